"""The promise: an application's pods are updated in groups counted across its cells, without being moved.

Glossary:

- *unit*: a cell or a zone; one InPlaceSet each.
- *quota*: pods a unit should have.
- *group*: what is updated together, over all units; *Beta* is the group in front, one pod per unit.
- *plan*: the groups in order, with a hash; a confirmation names a group and this hash.
- *partition*: pods of a set that should run the update revision, counted up from 0 (the reverse of a
  StatefulSet's; docs/decisions/0004-partition-counts-updated-pods.md).
- *gate*: the pod's readiness gate, False while the pod is being changed.
- *grace period*: time between the gate's fall and the new image, in which traffic drains.
"""
