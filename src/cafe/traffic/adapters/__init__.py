"""Traffic on Kubernetes, and on real load balancers and registries."""
