"""Writing what was shown and nothing else.

The controller writes status all the time, so an object's resourceVersion moves although nothing that a person
looked at has changed. A write is therefore repeated on a conflict, but only while what was shown still holds.
"""

from collections.abc import Callable
from copy import deepcopy

from cafe.cli.errors import Exit, Problem
from cafe.cli.ports import Cluster, Document, Resource
from cafe.cli.resources import APPS
from cafe.kernel import Conflict, ObjectKey

ATTEMPTS = 8

Edit = Callable[[Document], None]
Still = Callable[[Document], "Problem | None"]


async def change(
    cluster: Cluster,
    shown: Document,
    edit: Edit,
    still: Still,
    *,
    dry_run: bool = False,
    resource: Resource = APPS,
) -> Document:
    """Write *edit* of an object, guarded by its resourceVersion.

    Args:
        cluster: Where.
        shown: The state that the user saw.
        edit: Changes a copy in place.
        still: Says why a newer state is not what was shown any more; None if it still is.
        dry_run: Only check.
        resource: What it is.

    Returns:
        The object as stored.

    Raises:
        Problem: Somebody else was first; nothing was written.
    """
    meta = shown["metadata"]
    key = ObjectKey(meta.get("namespace", ""), meta["name"])
    document = shown
    for _ in range(ATTEMPTS):
        wanted = deepcopy(document)
        edit(wanted)
        try:
            return await cluster.replace(resource, wanted, dry_run=dry_run)
        except Conflict:
            document = await cluster.get(resource, key)
            if document["metadata"].get("uid") != meta.get("uid"):
                raise moved(key, "it was deleted and made anew", resource) from None
            if (problem := still(document)) is not None:
                raise problem from None
    raise moved(key, f"it changed {ATTEMPTS} times while we tried", resource)


def moved(key: ObjectKey, why: str, resource: Resource = APPS) -> Problem:
    """Return the problem that an object is not what was shown."""
    return Problem(
        Exit.CONFLICT,
        "Conflict",
        f"{resource.kind} {key} is not what was shown; nothing was written.",
        f"Since it was read, {why}",
        f"cafe app get {key.name} -n {key.namespace}, then repeat",
    )


def same_spec(shown: Document, resource: Resource = APPS) -> Still:
    """Return the guard of a change to the spec: nobody else changed it in between."""
    meta = shown["metadata"]
    generation = meta.get("generation")
    key = ObjectKey(meta.get("namespace", ""), meta["name"])

    def still(document: Document) -> Problem | None:
        if document["metadata"].get("generation") == generation:
            return None
        return moved(key, "somebody changed its spec", resource)

    return still
