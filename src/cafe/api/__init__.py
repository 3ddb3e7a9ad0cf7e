"""The kinds of CAFE, one module each, and the names of its labels, annotations and finalizers."""
