package main

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	errImagePull     = "ErrImagePull"
	imagePullBackOff = "ImagePullBackOff"
	// backOffAfter is how long a kubelet shows ErrImagePull before it shows ImagePullBackOff.
	backOffAfter = time.Second
)

// container is one container as its node knows it: the truth that status only reports.
type container struct {
	image       string // of what runs, or ran last
	imageID     string
	containerID string
	restarts    int32
	startedAt   meta.Time
	running     bool
	due         time.Time // when the start under way is over; zero if none is
	refused     string    // the image that could not be pulled
	problem     string    // why it waits
	last        *core.ContainerStateTerminated
}

// pod is what a node remembers of a pod: enough to compute its status from the spec.
type pod struct {
	uid        types.UID
	ip         string
	startedAt  meta.Time
	containers map[string]*container
	latest     *core.Pod // the answer to our own last patch, which the watch may not show yet
	gone       bool
}

// durations are how long the simulated work takes.
type durations struct{ start, restart time.Duration }

// recall rebuilds what a node knew from the status it last reported, as a kubelet that restarts
// finds its containers running.
func recall(object *core.Pod) *pod {
	p := &pod{uid: object.UID, ip: object.Status.PodIP, containers: map[string]*container{}}
	if object.Status.StartTime != nil {
		p.startedAt = *object.Status.StartTime
	}
	statuses := append([]core.ContainerStatus{}, object.Status.ContainerStatuses...)
	for _, status := range append(statuses, object.Status.InitContainerStatuses...) {
		c := &container{
			image: status.Image, imageID: status.ImageID, containerID: status.ContainerID,
			restarts: status.RestartCount, last: status.LastTerminationState.Terminated,
		}
		if status.State.Running != nil {
			c.running, c.startedAt = true, status.State.Running.StartedAt
		}
		if status.State.Waiting != nil {
			c.problem = status.State.Waiting.Reason
		}
		p.containers[status.Name] = c
	}
	return p
}

// served are the containers that go on running: the ordinary ones and the sidecars.
func served(object *core.Pod) []core.Container {
	all := append([]core.Container{}, object.Spec.Containers...)
	for _, c := range object.Spec.InitContainers {
		if isSidecar(c) {
			all = append(all, c)
		}
	}
	return all
}

func isSidecar(c core.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == core.ContainerRestartPolicyAlways
}

// advance moves the containers towards the spec as far as they have got by now. It returns how
// long until there is more to do (zero: nothing) and whether a start is under way.
func (p *pod) advance(object *core.Pod, now time.Time, d durations) (wake time.Duration, busy bool) {
	soonest := func(due time.Time) {
		if left := due.Sub(now); wake == 0 || left < wake {
			wake = left
		}
	}
	for _, spec := range served(object) {
		c := p.containers[spec.Name]
		if c == nil {
			c = &container{}
			p.containers[spec.Name] = c
		}
		due := c.advance(object.UID, spec, now, d)
		if due.After(now) {
			soonest(due)
			busy = busy || c.problem == ""
		}
	}
	return wake, busy
}

// advance takes one container as far as it has got; it returns when to look again.
func (c *container) advance(uid types.UID, spec core.Container, now time.Time, d durations) time.Time {
	if c.running && c.image == spec.Image && c.due.IsZero() {
		return time.Time{}
	}
	if c.refused == spec.Image {
		return c.backOff(now)
	}
	if c.due.IsZero() {
		c.problem = ""
		c.due = now.Add(c.delay(d))
		return c.due
	}
	if now.Before(c.due) {
		return c.due
	}
	if c.running {
		c.stop(now)
	}
	if !isPullable(spec.Image) {
		c.refused, c.problem, c.due = spec.Image, errImagePull, now.Add(backOffAfter)
		return c.due
	}
	c.startAs(uid, spec, now)
	return time.Time{}
}

func (c *container) delay(d durations) time.Duration {
	if c.containerID == "" {
		return d.start
	}
	return d.restart
}

// backOff turns ErrImagePull into ImagePullBackOff once its time has come.
func (c *container) backOff(now time.Time) time.Time {
	if c.due.IsZero() || now.Before(c.due) {
		return c.due
	}
	c.problem, c.due = imagePullBackOff, time.Time{}
	return time.Time{}
}

func (c *container) stop(now time.Time) {
	c.running = false
	c.last = &core.ContainerStateTerminated{
		ExitCode: 0, Reason: "Completed", StartedAt: c.startedAt, FinishedAt: seconds(now), ContainerID: c.containerID,
	}
}

func (c *container) startAs(uid types.UID, spec core.Container, now time.Time) {
	if c.containerID != "" {
		c.restarts++
	}
	c.image, c.imageID = spec.Image, imageID(spec.Image)
	c.containerID = fmt.Sprintf("fake://%x", sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", uid, spec.Name, c.restarts)))
	c.running, c.startedAt = true, seconds(now)
	c.due, c.refused, c.problem = time.Time{}, "", ""
}

// seconds cuts a time to what the API keeps, so that comparing with what it returns is exact.
func seconds(t time.Time) meta.Time { return meta.NewTime(t.Truncate(time.Second)) }

// isPullable tells the images that a test wants refused: tag "bad", or "/missing" anywhere.
func isPullable(image string) bool {
	_, tag := split(image)
	return tag != "bad" && !strings.Contains(image, "/missing")
}

// imageID makes a digest from the image's name. A tag ending in "-same" has the content of the
// tag without it, for the case of a new tag that points to the old image.
func imageID(image string) string {
	repository, tag := split(image)
	content := repository + ":" + strings.TrimSuffix(tag, "-same")
	return fmt.Sprintf("%s@sha256:%x", repository, sha256.Sum256([]byte(content)))
}

// split parts repository and tag; a digest counts as a tag.
func split(image string) (repository, tag string) {
	if repository, digest, found := strings.Cut(image, "@"); found {
		return repository, digest
	}
	colon := strings.LastIndex(image, ":")
	if colon <= strings.LastIndex(image, "/") {
		return image, "latest"
	}
	return image[:colon], image[colon+1:]
}
