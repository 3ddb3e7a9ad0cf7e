"""Simulated kubelets. Containers are ground truth: they live in a `Runtime`, whatever the API says."""
