package main

import (
	"encoding/json"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// statusOf writes down what the node knows as a kubelet does, on top of the status that is there,
// so that what others own (the scheduler's condition, the gates) stays.
func (p *pod) statusOf(object *core.Pod, hostIP string, now time.Time) *core.PodStatus {
	status := object.Status.DeepCopy()
	status.ObservedGeneration = object.Generation
	status.HostIP, status.HostIPs = hostIP, []core.HostIP{{IP: hostIP}}
	status.PodIP, status.PodIPs = p.ip, []core.PodIP{{IP: p.ip}}
	status.StartTime = &p.startedAt
	status.ContainerStatuses = nil
	for _, spec := range object.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, p.containers[spec.Name].status(spec))
	}
	status.InitContainerStatuses = nil
	for _, spec := range object.Spec.InitContainers {
		status.InitContainerStatuses = append(status.InitContainerStatuses, p.initStatus(spec))
	}
	status.Phase = phase(status.ContainerStatuses)
	p.setConditions(object, status, seconds(now))
	return status
}

func (c *container) status(spec core.Container) core.ContainerStatus {
	s := core.ContainerStatus{
		Name: spec.Name, Image: c.image, ImageID: c.imageID, ContainerID: c.containerID,
		RestartCount: c.restarts, Ready: c.running, Started: &c.running,
	}
	if c.last != nil {
		s.LastTerminationState.Terminated = c.last
	}
	if c.running {
		s.State.Running = &core.ContainerStateRunning{StartedAt: c.startedAt}
		// Said by every node that can resize; here any size is given at once.
		s.Resources, s.AllocatedResources = spec.Resources.DeepCopy(), spec.Resources.Requests.DeepCopy()
		return s
	}
	if s.Image == "" {
		s.Image = spec.Image
	}
	reason, message := c.problem, `Back-off pulling image "`+spec.Image+`"`
	if reason == "" {
		reason, message = "ContainerCreating", ""
	}
	s.State.Waiting = &core.ContainerStateWaiting{Reason: reason, Message: message}
	return s
}

// initStatus reports a sidecar as it is and a plain init container as done.
func (p *pod) initStatus(spec core.Container) core.ContainerStatus {
	if isSidecar(spec) {
		return p.containers[spec.Name].status(spec)
	}
	id := "fake://" + string(p.uid) + "/" + spec.Name
	started := false
	return core.ContainerStatus{
		Name: spec.Name, Image: spec.Image, ImageID: imageID(spec.Image), ContainerID: id, Ready: true, Started: &started,
		State: core.ContainerState{Terminated: &core.ContainerStateTerminated{
			Reason: "Completed", StartedAt: p.startedAt, FinishedAt: p.startedAt, ContainerID: id,
		}},
	}
}

// phase is Pending while a container has never run, and Running from then on (kubelet, getPhase).
func phase(statuses []core.ContainerStatus) core.PodPhase {
	for _, s := range statuses {
		if s.State.Waiting != nil && s.LastTerminationState.Terminated == nil {
			return core.PodPending
		}
	}
	return core.PodRunning
}

func (p *pod) setConditions(object *core.Pod, status *core.PodStatus, now meta.Time) {
	unready := ""
	for _, s := range append(append([]core.ContainerStatus{}, status.ContainerStatuses...), status.InitContainerStatuses...) {
		if !s.Ready {
			unready = s.Name
		}
	}
	set := func(kind core.PodConditionType, value bool, reason, message string) {
		setCondition(status, core.PodCondition{
			Type: kind, Status: truth(value), Reason: reason, Message: message,
			LastTransitionTime: now, ObservedGeneration: object.Generation,
		})
	}
	set(core.PodReadyToStartContainers, true, "", "")
	set(core.PodInitialized, true, "", "")
	if unready != "" {
		message := "containers with unready status: [" + unready + "]"
		set(core.ContainersReady, false, "ContainersNotReady", message)
		set(core.PodReady, false, "ContainersNotReady", message)
		return
	}
	set(core.ContainersReady, true, "", "")
	if gate := closedGate(object, status); gate != "" {
		set(core.PodReady, false, "ReadinessGatesNotReady", gate)
		return
	}
	set(core.PodReady, true, "", "")
}

// closedGate says which readiness gate keeps the pod from being ready, in the kubelet's words.
func closedGate(object *core.Pod, status *core.PodStatus) string {
	for _, gate := range object.Spec.ReadinessGates {
		found := condition(status, gate.ConditionType)
		if found == nil {
			return `corresponding condition of pod readiness gate "` + string(gate.ConditionType) + `" does not exist.`
		}
		if found.Status != core.ConditionTrue {
			return `the status of pod readiness gate "` + string(gate.ConditionType) + `" is not "True", but ` + string(found.Status)
		}
	}
	return ""
}

func truth(value bool) core.ConditionStatus {
	if value {
		return core.ConditionTrue
	}
	return core.ConditionFalse
}

func condition(status *core.PodStatus, kind core.PodConditionType) *core.PodCondition {
	for i := range status.Conditions {
		if status.Conditions[i].Type == kind {
			return &status.Conditions[i]
		}
	}
	return nil
}

// setCondition keeps the time of the last transition unless there is one.
func setCondition(status *core.PodStatus, wanted core.PodCondition) {
	found := condition(status, wanted.Type)
	if found == nil {
		status.Conditions = append(status.Conditions, wanted)
		return
	}
	if found.Status == wanted.Status {
		wanted.LastTransitionTime = found.LastTransitionTime
	}
	wanted.LastProbeTime = found.LastProbeTime
	*found = wanted
}

// difference is the smallest strategic merge patch from one status to the other, nil if they are
// equal. Conditions merge by type, so those of others, gates above all, cannot be overwritten.
func difference(object *core.Pod, wanted *core.PodStatus) []byte {
	old, fields := &object.Status, map[string]any{}
	put := func(name string, before, after any) {
		if !equality.Semantic.DeepEqual(before, after) {
			fields[name] = after
		}
	}
	put("observedGeneration", old.ObservedGeneration, wanted.ObservedGeneration)
	put("phase", old.Phase, wanted.Phase)
	put("hostIP", old.HostIP, wanted.HostIP)
	put("hostIPs", old.HostIPs, wanted.HostIPs)
	put("podIP", old.PodIP, wanted.PodIP)
	put("podIPs", old.PodIPs, wanted.PodIPs)
	put("startTime", old.StartTime, wanted.StartTime)
	put("containerStatuses", old.ContainerStatuses, wanted.ContainerStatuses)
	put("initContainerStatuses", old.InitContainerStatuses, wanted.InitContainerStatuses)
	var changed []core.PodCondition
	for _, c := range wanted.Conditions {
		before := condition(old, c.Type)
		if before == nil || !equality.Semantic.DeepEqual(*before, c) {
			changed = append(changed, c)
		}
	}
	if changed != nil {
		fields["conditions"] = changed
	}
	if len(fields) == 0 {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": object.UID}, "status": fields})
	if err != nil {
		panic(err) // Nothing in a pod's status refuses to be JSON.
	}
	return patch
}

// isReadiness tells whether the pod's readiness changes: that may not wait for a restart's end.
func isReadiness(object *core.Pod, wanted *core.PodStatus) bool {
	before, after := condition(&object.Status, core.PodReady), condition(wanted, core.PodReady)
	return before != nil && before.Status != after.Status
}
