// Command fakenodes plays any number of nodes against a real API server.
//
// It keeps the promises that a controller relies on (containers start after a while, a new image
// means a new container in the same pod, readiness follows containers and readiness gates,
// status.observedGeneration follows the spec) and none of the work: no container exists.
// Every change costs the API server one status patch, so that 50 nodes with 400 pods leave the
// processor to whatever is being measured.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// options are the command line.
type options struct {
	kubeconfig string
	prefix     string
	count      int
	cells      []string
	cellLabel  string
	start      time.Duration
	restart    time.Duration
	workers    int
	qps        float64
	capacity   capacity
}

func parse() options {
	var o options
	var cells string
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of an administrator")
	flag.StringVar(&o.prefix, "prefix", "fake", "nodes are called <prefix>-0, <prefix>-1 ...")
	flag.IntVar(&o.count, "count", 2, "number of nodes")
	flag.StringVar(&cells, "cells", "cell-a,cell-b", "cells; nodes are dealt out to them in turn")
	flag.StringVar(&o.cellLabel, "cell-label", "cafe.sofastack.io/cell", "label that holds a node's cell")
	flag.DurationVar(&o.start, "start", 300*time.Millisecond, "time to start a pod's containers")
	flag.DurationVar(&o.restart, "restart", 500*time.Millisecond, "time to replace a container whose image changed")
	flag.IntVar(&o.workers, "workers", 16, "status patches under way at once")
	flag.Float64Var(&o.qps, "qps", 5000, "client limit, requests per second")
	flag.StringVar(&o.capacity.cpu, "cpu", "32", "each node's processors")
	flag.StringVar(&o.capacity.memory, "memory", "128Gi", "each node's memory")
	flag.StringVar(&o.capacity.pods, "pods", "250", "most pods on a node")
	flag.Parse()
	o.cells = strings.Split(cells, ",")
	return o
}

func main() {
	if err := run(parse()); err != nil {
		fmt.Fprintln(os.Stderr, "fakenodes:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = float32(o.qps), int(2*o.qps)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.UserAgent = "fakenodes"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	fleet := newFleet(client, o)
	if err := fleet.register(ctx); err != nil {
		return err
	}
	go fleet.beat(ctx)
	kubelets := newKubelets(client, fleet, o)
	if err := kubelets.sync(ctx); err != nil {
		return err
	}
	fmt.Printf("ready: %d nodes\n", o.count) // The starter waits for this line.
	kubelets.run(ctx, o.workers)
	return nil
}
