"""How a world ended, as far as all tellings of one story must end alike."""

from dataclasses import dataclass

from cafe.api.names import REVISION_LABEL, UNIT_LABEL
from cafe_sim.contract import Json
from cafe_sim.harness.carriers import senders
from cafe_sim.harness.names import IN_PLACE, SETS_OF, SPACE, STATEFUL
from cafe_sim.harness.oracle.carrying import protections_of
from cafe_sim.harness.oracle.natives import partition_of
from cafe_sim.harness.oracle.reading import cpu_of, image_of
from cafe_sim.harness.world import World


@dataclass(frozen=True, slots=True)
class End:
    """How a world ended, as far as every run must end alike.

    Attributes:
        cells: Per cell what its pods are: image, note, environment, CPU that they ask for and have.
        restarts: Per cell how often its pods' containers were restarted, the most often first.
        release: What the status says: phase, plan, group, revisions.
        sets: Per set: replicas, revisions, and what of it is open.
        carried: Per pod's image: how many protections it has, and how many processes send it requests.
        names: Of the pods: a power cut before a create may lead to others.
    """

    cells: dict[str, list[tuple[str, str, str, str, str]]]
    restarts: dict[str, list[int]]
    release: tuple[object, ...]
    sets: dict[str, tuple[object, ...]]
    carried: list[tuple[int, int]]
    names: frozenset[str]


def end_of(world: World) -> End:
    """Look at how a world is now."""
    cells: dict[str, list[tuple[str, str, str, str, str]]] = {}
    restarts: dict[str, list[int]] = {}
    for pod in world.pods():
        cell = pod["metadata"]["labels"].get(UNIT_LABEL, "")
        note = pod["metadata"]["annotations"].get("note", "")
        setting = pod["spec"]["containers"][0]["env"][0]["value"]
        sizes = (cpu_of(pod["spec"]["containers"][0]), cpu_of(pod["status"]["containerStatuses"][0]))
        cells.setdefault(cell, []).append((image_of(pod), note, setting, *sizes))
        restarts.setdefault(cell, []).append(pod["status"]["containerStatuses"][0]["restartCount"])
    status = (world.app() or {}).get("status") or {}
    sets = world.server.list(SETS_OF[world.plan.shape.kind], SPACE)
    return End(
        cells={cell: sorted(found) for cell, found in sorted(cells.items())},
        restarts={cell: sorted(found, reverse=True) for cell, found in sorted(restarts.items())},
        release=_release_of(status),
        sets={found["metadata"]["name"]: _set_of(found) for found in sets},
        carried=sorted((len(protections_of(p)), len(senders(world, p))) for p in world.pods()),
        names=frozenset(pod["metadata"]["name"] for pod in world.pods()),
    )


def _release_of(status: Json) -> tuple[object, ...]:
    names = ("phase", "currentGroup", "currentRevision", "updateRevision", "collisionCount")
    return (*(status.get(name) for name in names), (status.get("plan") or {}).get("hash"))


def _set_of(found: Json) -> tuple[object, ...]:
    spec, status = found["spec"], found["status"]
    told = (found["metadata"]["labels"].get(REVISION_LABEL), spec["replicas"])
    if found["kind"] == IN_PLACE:
        return (*told, spec["strategy"]["partition"], status["currentRevision"], status["updateRevision"])
    if found["kind"] == STATEFUL:
        return (*told, partition_of(found), status["currentRevision"], status["updateRevision"])
    return told


def differences(clean: End, cut: End) -> list[str]:
    """Return how an end differs from the clean one where it may not."""
    amiss = [
        f"{name} are {getattr(cut, name)}, not {getattr(clean, name)}"
        for name in ("cells", "release", "sets", "carried")
        if getattr(cut, name) != getattr(clean, name)
    ]
    for cell, counts in cut.restarts.items():
        usual = clean.restarts.get(cell, [])
        if any(count > most for count, most in zip(counts, usual, strict=False)):
            amiss.append(f"containers in {cell} were restarted {counts} times, not {usual}")
    return amiss
