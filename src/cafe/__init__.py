"""CAFE: application releases on Kubernetes for people who lose money when a release goes wrong."""
