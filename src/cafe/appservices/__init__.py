"""The promise: a service is described whole, every edit is kept, and only publishing changes what runs.

Glossary:

- *content*: what a service says of its application; what a revision keeps.
- *revision*: a content with a number, kept as a CafeAppRevision that never changes.
- *draft*: a spec that makes no revision yet.
- *live*: the revision that runs or is being released; *last good*: the last one that was released whole.
- *hold*: why a revision may not be made live.
- *child*: an object rendered from the live revision: CafeDeployment, Service, ConfigMap.
- *drift*: what somebody changed by hand in a child.
"""
