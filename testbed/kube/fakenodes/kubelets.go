package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// kubelets plays the kubelet of every node: one watch, one queue, any number of nodes. The queue
// hands a pod to one worker at a time, so a pod's own state needs no lock.
type kubelets struct {
	client   kubernetes.Interface
	fleet    *fleet
	took     durations
	informer cache.SharedIndexInformer
	queue    workqueue.TypedRateLimitingInterface[string]

	mu     sync.Mutex
	pods   map[string]*pod
	usedIP map[string]bool
	nextIP int
}

func newKubelets(client kubernetes.Interface, fleet *fleet, o options) *kubelets {
	scheduled := func(list *meta.ListOptions) {
		list.FieldSelector = fields.OneTermNotEqualSelector("spec.nodeName", "").String()
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTweakListOptions(scheduled))
	return &kubelets{
		client: client, fleet: fleet,
		took:     durations{start: o.start, restart: o.restart},
		informer: factory.Core().V1().Pods().Informer(),
		queue:    workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]()),
		pods:     map[string]*pod{}, usedIP: map[string]bool{},
	}
}

// sync starts the watch and waits for the first list.
func (k *kubelets) sync(ctx context.Context) error {
	if err := k.informer.SetTransform(trim); err != nil {
		return err
	}
	enqueue := func(object any) {
		if p, ok := object.(*core.Pod); ok && k.fleet.byName[p.Spec.NodeName] != nil {
			k.queue.Add(p.Namespace + "/" + p.Name)
		}
	}
	_, err := k.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    enqueue,
		UpdateFunc: func(_, object any) { enqueue(object) },
		DeleteFunc: func(object any) {
			if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = last.Obj
			}
			enqueue(object)
		},
	})
	if err != nil {
		return err
	}
	go k.informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), k.informer.HasSynced) {
		return errors.New("the first list of pods did not arrive")
	}
	return nil
}

// trim drops what a node never reads, and which is most of a pod.
func trim(object any) (any, error) {
	if p, ok := object.(*core.Pod); ok {
		p.ManagedFields, p.Annotations = nil, nil
	}
	return object, nil
}

func (k *kubelets) run(ctx context.Context, workers int) {
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for k.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	k.queue.ShutDown()
	wait.Wait()
}

func (k *kubelets) next(ctx context.Context) bool {
	key, quit := k.queue.Get()
	if quit {
		return false
	}
	defer k.queue.Done(key)
	if err := k.syncPod(ctx, key); err != nil {
		if ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "fakenodes: %s: %v\n", key, err)
		}
		k.queue.AddRateLimited(key)
		return true
	}
	k.queue.Forget(key)
	return true
}

// syncPod brings one pod a step on: one pass, at most one write.
func (k *kubelets) syncPod(ctx context.Context, key string) error {
	cached, exists, err := k.informer.GetStore().GetByKey(key)
	if err != nil {
		return err
	}
	if !exists {
		k.forget(key)
		return nil
	}
	object := cached.(*core.Pod)
	p := k.remember(key, object)
	object = newest(object, p.latest)
	if object.DeletionTimestamp != nil {
		return k.end(ctx, p, object)
	}
	if object.Status.Phase == core.PodFailed || object.Status.Phase == core.PodSucceeded {
		return nil
	}
	now := time.Now()
	wake, busy := p.advance(object, now, k.took)
	if wake > 0 {
		k.queue.AddAfter(key, wake)
	}
	if busy && len(object.Status.ContainerStatuses) == 0 {
		return nil // First news of a pod: its containers, started.
	}
	if p.startedAt.IsZero() {
		p.startedAt = seconds(now)
	}
	wanted := p.statusOf(object, k.fleet.byName[object.Spec.NodeName].ip, now)
	if busy && !isReadiness(object, wanted) {
		return nil // One patch when the restart is over, not one per step.
	}
	return k.report(ctx, p, object, wanted)
}

func (k *kubelets) report(ctx context.Context, p *pod, object *core.Pod, wanted *core.PodStatus) error {
	patch := difference(object, wanted)
	if patch == nil {
		return nil
	}
	answer, err := k.client.CoreV1().Pods(object.Namespace).Patch(
		ctx, object.Name, types.StrategicMergePatchType, patch, meta.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // Gone, or another pod of the same name: the watch will tell.
	}
	if err != nil {
		return err
	}
	p.latest = answer
	return nil
}

// end removes a pod that is being deleted: its containers stop at once.
func (k *kubelets) end(ctx context.Context, p *pod, object *core.Pod) error {
	if p.gone {
		return nil // A finalizer holds it; our part is done.
	}
	at := int64(0)
	err := k.client.CoreV1().Pods(object.Namespace).Delete(ctx, object.Name, meta.DeleteOptions{
		GracePeriodSeconds: &at, Preconditions: &meta.Preconditions{UID: &object.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return err
	}
	p.gone = true
	return nil
}

// remember returns what is known of the pod; a new UID is a new pod.
func (k *kubelets) remember(key string, object *core.Pod) *pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.pods[key]
	if p != nil && p.uid == object.UID {
		return p
	}
	if p != nil {
		delete(k.usedIP, p.ip)
	}
	p = recall(object)
	if p.ip == "" {
		p.ip = k.freeIP()
	}
	k.usedIP[p.ip] = true
	k.pods[key] = p
	return p
}

func (k *kubelets) forget(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.pods[key]; p != nil {
		delete(k.usedIP, p.ip)
		delete(k.pods, key)
	}
}

// freeIP deals out 100.64.0.1 to 100.126.255.250 in turn, so that an address rests before it is used again.
func (k *kubelets) freeIP() string {
	for {
		k.nextIP = (k.nextIP + 1) % (63 * 256 * 250)
		n := k.nextIP
		ip := fmt.Sprintf("100.%d.%d.%d", 64+n/(256*250), n/250%256, 1+n%250)
		if !k.usedIP[ip] {
			return ip
		}
	}
}

// newest picks the later of what the watch showed and what our own patch was answered.
func newest(seen, answered *core.Pod) *core.Pod {
	if answered == nil || answered.UID != seen.UID || version(seen) >= version(answered) {
		return seen
	}
	return answered
}

// version reads a resourceVersion as the number that it is since Kubernetes 1.35 by contract (KEP-5504).
func version(object *core.Pod) uint64 {
	n, err := strconv.ParseUint(object.ResourceVersion, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
