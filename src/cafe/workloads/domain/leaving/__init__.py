"""CafeDeployments on their way to plain Kubernetes: the reverse of `takeover`.

*Source* is a document, *departure* what becomes of it, and a *loss* is something that CAFE does and plain
Kubernetes can't say. What the two can both say survives the way there and back.
"""
