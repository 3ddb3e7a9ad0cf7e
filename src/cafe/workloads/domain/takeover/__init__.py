"""Workloads of plain Kubernetes on their way to CAFE: one module for what is shared, and one for each kind.

*Source* is a document of a manifest, *wish* how it is to be taken over, *verdict* what becomes of one
field and *outcome* what becomes of one object.
"""
