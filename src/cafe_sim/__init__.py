"""A simulated Kubernetes: the embedded default of `cafe up`, and the world in which tests run fast.

Nothing here reads a wall clock, global randomness or a thread: time comes from a `Timeline`, chance from an
`Entropy`, so that a seed decides everything. Behaviour is copied from observation of a real server; the
conformance list in `tests/ports` runs on both.
"""
