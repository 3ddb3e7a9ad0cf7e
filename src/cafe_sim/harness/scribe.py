"""Writes into a run's journal what each commit means for a person, beside what processes and people say.

Only failures that are looked at have a scribe: it costs time, and the trace hash doesn't know of it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from cafe.api.names import CONFIRM_ANNOTATION, CONTROLLER_LEASE, UNIT_GOAL_ANNOTATION, UPDATE_STATE_ANNOTATION
from cafe_sim.apiserver.store import Commit
from cafe_sim.contract import Json
from cafe_sim.harness.journal import Entry
from cafe_sim.harness.names import APPS, LEASES, PODS, REPLICA_SETS, SETS, STATEFUL_SETS
from cafe_sim.harness.oracle.reading import condition, gate_of, image_of

if TYPE_CHECKING:
    from cafe_sim.harness.world import World

CLUSTER: Final = "cluster"
"""Who kubelets, scheduler and garbage collector are in a timeline."""
WORDS: Final = {
    PODS: "pod", SETS: "set", REPLICA_SETS: "set", STATEFUL_SETS: "set", APPS: "app", LEASES: "lease",
}  # fmt: skip


class Scribe:
    """Listens to a world's commits; hand it to `run` as the guest."""

    def comes(self, world: "World") -> None:
        """Begin to listen."""
        self._world = world
        # Before the oracle: what was written stands above the rule that it broke.
        world.watchers.insert(0, self._saw)

    def leaves(self, world: "World") -> None:
        """Have heard everything."""

    def _saw(self, resource: str, commit: Commit, author: str) -> None:
        word = WORDS.get(resource)
        if word is None or (resource == LEASES and _name(commit) != CONTROLLER_LEASE):
            return
        told = ", ".join(_told(resource, commit))
        if told:
            entry = Entry(self._world.loop.now, author or CLUSTER, f"{word} {_name(commit)}: {told}")
            self._world.journal.entries.append(entry)


def _name(commit: Commit) -> str:
    return str(commit.new["metadata"]["name"])


def _told(resource: str, commit: Commit) -> Iterator[str]:
    if commit.type == "DELETED":
        yield "is gone"
        return
    old, new = commit.old, commit.new
    if old is None:
        yield "is made"
        if resource == PODS:
            yield image_of(new)
        return
    if "deletionTimestamp" in new["metadata"] and "deletionTimestamp" not in old["metadata"]:
        yield "is to be deleted"
    yield from TELLS[resource](old, new)


def _changed(word: str, old: object, new: object) -> Iterator[str]:
    if old != new:
        yield f"{word} {_shown(old)} → {_shown(new)}"


def _shown(value: object) -> str:
    return "none" if value in {None, ""} else str(value)


def _pod_changes(old: Json, new: Json) -> Iterator[str]:
    yield from _changed("image", image_of(old), image_of(new))
    yield from _changed("gate", gate_of(old), gate_of(new))
    yield from _changed("Ready", condition(old, "Ready"), condition(new, "Ready"))
    yield from _changed("node", old["spec"].get("nodeName"), new["spec"].get("nodeName"))
    yield from _changed("phase", _status(old, "phase"), _status(new, "phase"))
    had, has = (UPDATE_STATE_ANNOTATION in _annotations(pod) for pod in (old, new))
    if had != has:
        yield "its update begins" if has else "its update ends"
    if old["metadata"].get("ownerReferences") != new["metadata"].get("ownerReferences"):
        yield "its owners change"


def _set_changes(old: Json, new: Json) -> Iterator[str]:
    before, after = old["spec"], new["spec"]
    yield from _changed("replicas", before["replicas"], after["replicas"])
    for field in ("partition", "maxUnavailable", "paused"):
        yield from _changed(field, before["strategy"].get(field), after["strategy"].get(field))
    yield from _changed(
        "image", *(spec["template"]["spec"]["containers"][0]["image"] for spec in (before, after))
    )
    for field in ("updatedReplicas", "availableReplicas"):
        yield from _changed(field, _status(old, field), _status(new, field))


def _app_changes(old: Json, new: Json) -> Iterator[str]:
    before, after = old["spec"], new["spec"]
    yield from _changed("replicas", before["replicas"], after["replicas"])
    yield from _changed(
        "image", *(spec["template"]["spec"]["containers"][0]["image"] for spec in (before, after))
    )
    for field in ("batchSize", "pause"):
        yield from _changed(field, *(spec["strategy"].get(field) for spec in (before, after)))
    yield from _changed("phase", _status(old, "phase"), _status(new, "phase"))
    yield from _changed("group", _status(old, "currentGroup"), _status(new, "currentGroup"))
    yield from _changed("plan", *((_status(app, "plan") or {}).get("hash") for app in (old, new)))
    yield from _changed("waits", *((_status(app, "waiting") or {}).get("reason") for app in (old, new)))
    yield from _changed("confirm", *(_annotations(app).get(CONFIRM_ANNOTATION) for app in (old, new)))


def _lease_changes(old: Json, new: Json) -> Iterator[str]:
    yield from _changed("holder", *(str(lease["spec"].get("holderIdentity", "")) for lease in (old, new)))


def _native_changes(old: Json, new: Json) -> Iterator[str]:
    before, after = old["spec"], new["spec"]
    yield from _changed("replicas", before["replicas"], after["replicas"])
    yield from _changed("partition", *(_rolling(spec) for spec in (before, after)))
    yield from _changed(
        "image", *(spec["template"]["spec"]["containers"][0]["image"] for spec in (before, after))
    )
    yield from _changed("goal", *(_annotations(one).get(UNIT_GOAL_ANNOTATION) for one in (old, new)))


def _rolling(spec: Json) -> int | None:
    found: int | None = ((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition")
    return found


TELLS: Final[Mapping[str, Callable[[Json, Json], Iterator[str]]]] = {
    PODS: _pod_changes,
    SETS: _set_changes,
    REPLICA_SETS: _native_changes,
    STATEFUL_SETS: _native_changes,
    APPS: _app_changes,
    LEASES: _lease_changes,
}


def _status(obj: Json, field: str) -> Json | None:
    found: Json | None = (obj.get("status") or {}).get(field)
    return found


def _annotations(obj: Json) -> Json:
    found: Json = obj["metadata"].get("annotations") or {}
    return found
