"""The controllers of kube-controller-manager that applications lean on, one module each."""
