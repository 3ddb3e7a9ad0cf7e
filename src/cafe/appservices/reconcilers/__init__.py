"""One reconciler per kind: observe, decide, act, report."""
