package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"sync"
	"time"

	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

const (
	// leaseNamespace is where a kubelet's heartbeat lives.
	leaseNamespace = "kube-node-lease"
	// leaseSeconds is the kubelet's default; the node life cycle controller gives up after 50 s.
	leaseSeconds = 40
	// beatEvery is twice the kubelet's default of 10 s: half the writes, still far below 50 s.
	beatEvery = 20 * time.Second
)

// capacity is what each node says it has.
type capacity struct{ cpu, memory, pods string }

// node is one fake machine.
type node struct {
	name string
	cell string
	ip   string
	uid  types.UID
}

// fleet is all nodes that this process plays.
type fleet struct {
	client kubernetes.Interface
	o      options
	byName map[string]*node
	names  []string
}

func newFleet(client kubernetes.Interface, o options) *fleet {
	f := &fleet{client: client, o: o, byName: map[string]*node{}}
	for i := range o.count {
		n := &node{
			name: fmt.Sprintf("%s-%d", o.prefix, i),
			cell: o.cells[i%len(o.cells)],
			// 100.64.0.0/10 is the shared address space of RFC 6598: nothing is ever sent there.
			ip: fmt.Sprintf("100.127.%d.%d", i/250, 1+i%250),
		}
		f.byName[n.name] = n
		f.names = append(f.names, n.name)
	}
	return f
}

// register makes every node and its first heartbeat.
func (f *fleet) register(ctx context.Context) error {
	return inParallel(f.names, func(name string) error {
		n := f.byName[name]
		if err := f.registerNode(ctx, n); err != nil {
			return fmt.Errorf("node %s: %w", name, err)
		}
		return f.renew(ctx, n)
	})
}

func (f *fleet) registerNode(ctx context.Context, n *node) error {
	nodes := f.client.CoreV1().Nodes()
	object := f.object(n)
	made, err := nodes.Create(ctx, object, meta.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		made, err = nodes.Get(ctx, n.name, meta.GetOptions{})
	}
	if err != nil {
		return err
	}
	n.uid = made.UID
	// A patch, because the node life cycle controller writes its taints at the same time.
	patch, err := json.Marshal(map[string]any{"status": object.Status})
	if err != nil {
		return err
	}
	_, err = nodes.Patch(ctx, n.name, types.StrategicMergePatchType, patch, meta.PatchOptions{}, "status")
	return err
}

func (f *fleet) object(n *node) *core.Node {
	now := meta.Now()
	resources := core.ResourceList{
		core.ResourceCPU:    resource.MustParse(f.o.capacity.cpu),
		core.ResourceMemory: resource.MustParse(f.o.capacity.memory),
		core.ResourcePods:   resource.MustParse(f.o.capacity.pods),
	}
	condition := func(kind core.NodeConditionType, status core.ConditionStatus, reason string) core.NodeCondition {
		return core.NodeCondition{
			Type: kind, Status: status, Reason: reason, LastHeartbeatTime: now, LastTransitionTime: now,
		}
	}
	return &core.Node{
		ObjectMeta: meta.ObjectMeta{Name: n.name, Labels: map[string]string{
			f.o.cellLabel:                   n.cell,
			"topology.kubernetes.io/zone":   n.cell,
			"topology.kubernetes.io/region": "testbed",
			"kubernetes.io/hostname":        n.name,
			"kubernetes.io/os":              "linux",
			"kubernetes.io/arch":            "amd64",
			"cafe.test/node":                "fake",
		}},
		Status: core.NodeStatus{
			Capacity: resources, Allocatable: resources,
			Addresses: []core.NodeAddress{
				{Type: core.NodeInternalIP, Address: n.ip},
				{Type: core.NodeHostName, Address: n.name},
			},
			Conditions: []core.NodeCondition{
				condition(core.NodeReady, core.ConditionTrue, "KubeletReady"),
				condition(core.NodeMemoryPressure, core.ConditionFalse, "KubeletHasSufficientMemory"),
				condition(core.NodeDiskPressure, core.ConditionFalse, "KubeletHasNoDiskPressure"),
				condition(core.NodePIDPressure, core.ConditionFalse, "KubeletHasSufficientPID"),
			},
			NodeInfo: core.NodeSystemInfo{
				KubeletVersion: "fake", OperatingSystem: "linux", Architecture: "amd64",
				ContainerRuntimeVersion: "fake://1", OSImage: "fakenodes", KernelVersion: "fake",
			},
		},
	}
}

// beat renews the leases, spread over the period by the node's name so that they never bunch.
func (f *fleet) beat(ctx context.Context) {
	due := make([][]*node, int(beatEvery/time.Second))
	for _, name := range f.names {
		hash := fnv.New32a()
		hash.Write([]byte(name))
		slot := int(hash.Sum32() % uint32(len(due)))
		due[slot] = append(due[slot], f.byName[name])
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for slot := 0; ; slot = (slot + 1) % len(due) {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, n := range due[slot] {
			if err := f.renew(ctx, n); err != nil && ctx.Err() == nil {
				fmt.Fprintf(os.Stderr, "fakenodes: heartbeat of %s: %v\n", n.name, err)
			}
		}
	}
}

// renew moves the node's lease on, and makes it if there is none.
func (f *fleet) renew(ctx context.Context, n *node) error {
	leases := f.client.CoordinationV1().Leases(leaseNamespace)
	now := meta.NowMicro()
	patch := fmt.Sprintf(`{"spec":{"renewTime":%q}}`, now.UTC().Format(meta.RFC3339Micro))
	_, err := leases.Patch(ctx, n.name, types.MergePatchType, []byte(patch), meta.PatchOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	seconds := int32(leaseSeconds)
	_, err = leases.Create(ctx, &coordination.Lease{
		ObjectMeta: meta.ObjectMeta{Name: n.name, Namespace: leaseNamespace, OwnerReferences: []meta.OwnerReference{
			{APIVersion: "v1", Kind: "Node", Name: n.name, UID: n.uid},
		}},
		Spec: coordination.LeaseSpec{
			HolderIdentity: &n.name, LeaseDurationSeconds: &seconds, RenewTime: &now,
		},
	}, meta.CreateOptions{})
	return err
}

// inParallel calls do for each name, 16 at a time, and returns the first error.
func inParallel(names []string, do func(string) error) error {
	var wait sync.WaitGroup
	slots := make(chan struct{}, 16)
	failed := make(chan error, len(names))
	for _, name := range names {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			if err := do(name); err != nil {
				failed <- err
			}
		})
	}
	wait.Wait()
	close(failed)
	return <-failed
}
