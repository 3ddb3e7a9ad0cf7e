"""The ports made real on Kubernetes."""
