"""Deleting: preconditions, finalizers, grace, propagation.

An object goes at once, or it is marked (`deletionTimestamp`) and stays until its finalizers are cleared and
its grace has passed. The server only marks; clearing is the work of controllers and kubelets.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from cafe_sim.apiserver import errors
from cafe_sim.apiserver.context import Context, Target
from cafe_sim.apiserver.metadata import FOREGROUND, ORPHAN, stamp
from cafe_sim.apiserver.resource import Resource, Surroundings
from cafe_sim.apiserver.steps import Steps
from cafe_sim.apiserver.store import Store
from cafe_sim.apiserver.values import with_meta
from cafe_sim.apiserver.writing import Admission
from cafe_sim.contract import DeleteOptions, Json


class Deleter:
    """Deletes objects of any resource."""

    def __init__(self, store: Store, around: Surroundings, admission: Admission) -> None:
        self._store = store
        self._around = around
        self._admission = admission

    def delete(
        self, target: Target, context: Context, options: DeleteOptions, *, is_judged: bool = True
    ) -> Steps[tuple[Json, bool]]:
        """Begin or finish a deletion. Return the object as it is now, and whether it is gone.

        An eviction's deletion is not judged again: the eviction was.

        Raises:
            StatusError: 403, 404 or 409.
        """
        resource = target.resource
        old = self._store.table(resource.key).get(target.namespace, target.name)
        if old is None:
            raise errors.not_found(resource.plural, resource.group, target.name)
        _check_preconditions(resource, old, options)
        if is_judged:
            yield from self._admission.judge(target, context, {}, old)
        marked = resource.rules.begin_deletion(old)
        if marked is old:
            return old, False
        if marked is not None:
            marked = self._marked(marked, _finalizers(marked, options), 0)
            marked = with_meta(marked, deletionGracePeriodSeconds=None)
            return self._store_marked(resource, context, marked, old)
        wanted = None if options.grace_period is None else int(options.grace_period / timedelta(seconds=1))
        grace = resource.rules.grace(old, wanted)
        finalizers = _finalizers(old, options)
        if old["metadata"].get("deletionTimestamp"):
            return self._again(resource, context, old, grace, finalizers)
        if not grace and not finalizers:
            return self._gone(resource, context, old)
        return self._store_marked(resource, context, self._marked(old, finalizers, grace or 0), old)

    def _again(
        self, resource: Resource, context: Context, old: Json, grace: int | None, finalizers: Sequence[str]
    ) -> tuple[Json, bool]:
        """Delete what is being deleted: grace may get shorter, never longer."""
        meta = old["metadata"]
        left = meta.get("deletionGracePeriodSeconds") or 0
        if grace is not None and grace < left and resource.rules.grace(old, None) is not None:
            if grace == 0 and not finalizers:
                return self._gone(resource, context, old)
            marked = self._marked(old, finalizers, grace)
            return self._store_marked(resource, context, marked, old)
        if not left and not finalizers and resource.rules.may_go(old):
            return self._gone(resource, context, old)
        if list(finalizers) != (meta.get("finalizers") or []):
            return self._store_marked(resource, context, with_meta(old, finalizers=list(finalizers)), old)
        return old, False

    def _marked(self, old: Json, finalizers: Sequence[str], grace: int) -> Json:
        meta = old["metadata"]
        begun = self._around.now()
        if meta.get("deletionTimestamp"):  # A shorter grace counts from the first delete.
            before = timedelta(seconds=meta.get("deletionGracePeriodSeconds") or 0)
            begun = datetime.fromisoformat(meta["deletionTimestamp"]) - before
        end = stamp(begun + timedelta(seconds=grace))
        generation = meta.get("generation")
        if generation and not meta.get("deletionTimestamp"):
            generation += 1
        return with_meta(
            old,
            deletionTimestamp=end,
            deletionGracePeriodSeconds=grace,
            finalizers=list(finalizers) or None,
            generation=generation,
        )

    def _store_marked(
        self, resource: Resource, context: Context, marked: Json, old: Json
    ) -> tuple[Json, bool]:
        if context.is_dry_run:
            return marked, False
        if not marked["metadata"].get("finalizers") and resource.rules.may_go(marked):
            return self._gone(resource, context, old)
        return self._store.commit(resource.key, "MODIFIED", old, marked), False

    def _gone(self, resource: Resource, context: Context, old: Json) -> tuple[Json, bool]:
        """Remove it. What has a grace period is marked first, by a commit of its own, even if it is over."""
        meta = old["metadata"]
        is_marked = meta.get("deletionTimestamp") and not meta.get("deletionGracePeriodSeconds")
        if not is_marked and resource.rules.grace(old, 0) is not None:
            marked = self._marked(old, meta.get("finalizers") or [], 0)
            old = marked if context.is_dry_run else self._store.commit(resource.key, "MODIFIED", old, marked)
        if context.is_dry_run:
            return old, True
        return self._store.commit(resource.key, "DELETED", old, old), True


def _check_preconditions(resource: Resource, old: Json, options: DeleteOptions) -> None:
    meta = old["metadata"]
    for label, wanted, found in (
        ("UID", options.uid, meta["uid"]),
        ("ResourceVersion", options.resource_version, meta["resourceVersion"]),
    ):
        if wanted is not None and wanted != found:
            why = f"Precondition failed: {label} in precondition: {wanted}, {label} in object meta: {found}"
            raise errors.conflict(resource.plural, resource.group, meta["name"], why)


def _finalizers(old: Json, options: DeleteOptions) -> list[str]:
    """Return the finalizers a delete leaves: the wanted propagation is one of them."""
    present: list[str] = old["metadata"].get("finalizers") or []
    if options.propagation is None:
        return present
    rest = [name for name in present if name not in {ORPHAN, FOREGROUND}]
    chosen = {"Orphan": [ORPHAN], "Foreground": [FOREGROUND], "Background": []}[options.propagation]
    return [*rest, *chosen]
