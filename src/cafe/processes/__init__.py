"""One module per process, and the only place where the parts meet."""
