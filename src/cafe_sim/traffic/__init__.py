"""Doubles of load balancers and registries, for simulated worlds."""
