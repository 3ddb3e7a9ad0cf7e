"""A cluster that fits in a dict, behind the command line's port; and the canonical release, posed.

Faked: the API server's storage, versions, guards and watches. Not faked: planning and importing, which are
the product's own.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from cafe.api.cafedeployment import Plan
from cafe.api.names import API_VERSION, APP_LABEL, REVISION_LABEL, UNIT_LABEL
from cafe.cli.errors import Exit, Problem
from cafe.cli.ports import Document, Place, Resource, Sighting, Tell, UpOptions, UpState, Whereabouts
from cafe.cli.upstate import write_state
from cafe.kernel import Clock, Conflict, ObjectKey, Unavailable
from cafe.processes.commandline import RealExporter, RealImporter, RealLibrarian, RealPlanner
from cafe.processes.reaching import find_access
from cafe.workloads.domain.groups import UnitSize, make_plan

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NAME = "productpage-v1"
OLD, NEW = "registry/productpage:1", "registry/productpage:2"


class StillClock:
    """Time that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.passed = timedelta()

    def now(self) -> datetime:
        return NOW + self.passed

    def monotonic(self) -> timedelta:
        return self.passed

    async def sleep(self, delay: timedelta) -> None:
        self.passed += delay
        await asyncio.sleep(0)


class SmallCluster:
    """Objects by kind and key. *rules* see each replacement and may change it: a controller's part."""

    def __init__(self, *documents: Document) -> None:
        self.objects: dict[tuple[str, ObjectKey], Document] = {}
        self.answers: dict[str, Any] = {"/version": {"gitVersion": "v1.36.0"}}
        self.writes: list[Document] = []
        self.refused: dict[str, Exception] = {}
        self.rules: list[Callable[[Document], None]] = []
        self.script: list[Sighting | Exception | timedelta] = []
        self.version = 100
        self.opened = 0
        for document in documents:
            self.store(document)

    @property
    def place(self) -> Place:
        return Place("test", "https://cluster.test", "default", "k (--kubeconfig)")

    def store(self, document: Document) -> Document:
        self.version += 1
        stored = deepcopy(document)
        stored["metadata"]["resourceVersion"] = str(self.version)
        self.objects[stored["kind"], key_of(stored)] = stored
        return deepcopy(stored)

    def at(self, kind: str, name: str, namespace: str = "default") -> Document:
        return self.objects[kind, ObjectKey(namespace, name)]

    async def get(self, resource: Resource, key: ObjectKey) -> Document:
        await asyncio.sleep(0)
        if (resource.kind, key) not in self.objects:
            raise Problem(Exit.NOT_FOUND, "NotFound", f"There is no {resource.kind} {key}.")
        return deepcopy(self.objects[resource.kind, key])

    async def list(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Sequence[Document]:
        await asyncio.sleep(0)
        wanted = dict(pair.split("=") for pair in labels.split(",") if pair)
        name = next((p.split("=")[1] for p in fields.split(",") if p.startswith("involvedObject.name")), "")
        return [
            deepcopy(d)
            for (kind, key), d in self.objects.items()
            if kind == resource.kind
            and namespace in {None, key.namespace}
            and wanted.items() <= (d["metadata"].get("labels") or {}).items()
            and (not name or d["involvedObject"]["name"] == name)
        ]

    async def replace(self, resource: Resource, document: Document, *, dry_run: bool = False) -> Document:
        stored = await self.get(resource, key_of(document))
        if document["metadata"]["resourceVersion"] != stored["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified")
        wanted = deepcopy(document)
        if wanted["spec"] != stored["spec"]:
            wanted["metadata"]["generation"] = stored["metadata"]["generation"] + 1
        if dry_run:
            return wanted
        self.writes.append(deepcopy(wanted))
        stored = self.store(wanted)
        for rule in self.rules:
            rule(self.objects[resource.kind, key_of(document)])
        return stored

    async def apply(self, document: Document, *, dry_run: bool = False, force: bool = False) -> Document:
        del force
        await asyncio.sleep(0)
        if (error := self.refused.get(document["metadata"]["name"])) is not None:
            raise error
        if dry_run:
            return document
        self.writes.append(deepcopy(document))
        return self.store(document)

    async def read(self, path: str) -> Any:  # noqa: ANN401 -- any JSON document
        await asyncio.sleep(0)
        if path not in self.answers:
            raise Unavailable("connection refused")
        return self.answers[path]

    async def post(self, path: str, document: Document) -> Document:
        await asyncio.sleep(0)
        del document
        answer: Document = self.answers.get(path, {"status": {"allowed": True}})
        return answer

    async def follow(self, resource: Resource, key: ObjectKey) -> AsyncGenerator[Sighting, None]:
        """Yield the present state, then what the script holds; then stay silent for ever."""
        yield Sighting(await self.get(resource, key))
        for entry in self.script:
            await asyncio.sleep(0)
            if isinstance(entry, Exception):
                raise entry
            if isinstance(entry, timedelta):
                await asyncio.sleep(entry.total_seconds())
                continue
            if entry.document is not None and not entry.problem:
                self.store(entry.document)
            yield entry
        await asyncio.Event().wait()


def key_of(document: Document) -> ObjectKey:
    meta = document["metadata"]
    return ObjectKey(meta.get("namespace", ""), meta["name"])


class SmallPlatform:
    """A `cafe up` that is up at once and runs until it is cancelled; or one that fails."""

    def __init__(self, program: Sequence[str] = (), failure: str = "") -> None:
        self.program = program
        self.failure = failure

    async def up(self, options: UpOptions, tell: Tell) -> None:
        if self.failure:
            raise Unavailable(self.failure)
        state = UpState(pid=os.getpid(), kubeconfig=str(options.home / "kubeconfig"), ready=True)
        write_state(options.state_file, state)
        tell("ready")
        try:
            await asyncio.Event().wait()
        finally:
            tell("cleaned up")


class SmallWiring:
    """Real decisions over a small cluster."""

    def __init__(
        self, cluster: SmallCluster, clock: Clock | None = None, platform: SmallPlatform | None = None
    ) -> None:
        self.cluster = cluster
        self.clock = clock or StillClock()
        self.planner = RealPlanner()
        self.importer = RealImporter()
        self.exporter = RealExporter()
        self.librarian = RealLibrarian()
        self.platform = platform or SmallPlatform()
        self.asked: list[Whereabouts] = []

    def check(self, whereabouts: Whereabouts) -> None:
        find_access(whereabouts, self.clock)

    @asynccontextmanager
    async def connect(self, whereabouts: Whereabouts) -> AsyncIterator[SmallCluster]:
        self.asked.append(whereabouts)
        yield self.cluster


def canonical_plan(*, revision: str = "bbbbbbbbbb") -> Plan:
    """Ten pods over two cells, batches of 4: 1+1, 2+2, 2+2."""
    units = [UnitSize("cell-a", 5, 0, 5), UnitSize("cell-b", 5, 0, 5)]
    return make_plan(revision, units, "Beta", 4)


def an_app(*, image: str = NEW, generation: int = 2, **status: Any) -> Document:  # noqa: ANN401 -- fields
    """Return productpage over two cells, with needWaitingForConfirm."""
    return {
        "apiVersion": API_VERSION,
        "kind": "CafeDeployment",
        "metadata": {
            "name": NAME,
            "namespace": "default",
            "uid": "u-1",
            "generation": generation,
            "creationTimestamp": "2026-03-01T11:00:00Z",
        },
        "spec": {
            "replicas": 10,
            "podSetType": "InPlaceSet",
            "selector": {"matchLabels": {"app": "productpage"}},
            "template": {
                "metadata": {"labels": {"app": "productpage"}},
                "spec": {"containers": [{"name": "productpage", "image": image}]},
            },
            "strategy": {"batchSize": 4, "needWaitingForConfirm": True},
            "topology": {"unitType": "Cell", "values": ["cell-a", "cell-b"]},
        },
        "status": {"observedGeneration": generation, **status},
    }


def releasing(
    *,
    group: int | None = 0,
    done: int = 1,
    phase: str = "WaitingForConfirm",
    plan: Plan | None = None,
    confirmed: int | None = None,
    reason: str = "",
) -> Document:
    """Return productpage in mid-release: *group* open, *done* pods of each cell updated and available."""
    followed = plan or canonical_plan()
    states, left = [], 2 * done
    for planned in followed.groups:
        total = sum(planned.units.values())
        taken = min(total, left)
        left -= taken
        is_open = group is not None and planned.index <= group
        state = "Pending" if not is_open else "Updating" if taken < total else "Done"
        if is_open and planned.index == group and phase == "WaitingForConfirm":
            state = "WaitingForConfirm"
        states.append({"index": planned.index, "state": state, "done": taken, "total": total})
    waiting: Document | None = {
        "reason": phase if phase in {"WaitingForConfirm", "Paused"} else "WaitingForPods",
        "message": "cell-a: 0 of 1 pods are updated",
        "group": group,
        "revision": followed.revision,
        "planHash": followed.hash,
    }
    if phase == "Complete":
        waiting = None
    units = [
        {
            "name": name,
            "desired": 5,
            "partition": 1,
            "replicas": 5,
            "updated": done,
            "available": 5,
            "updatedAvailable": done,
            "reason": reason,
            "message": "",
        }
        for name in ("cell-a", "cell-b")
    ]
    return an_app(
        phase=phase,
        progress="Beta",
        replicas=10,
        readyReplicas=10,
        availableReplicas=10,
        updatedReplicas=2 * done,
        updatedAvailableReplicas=2 * done,
        currentRevision=followed.revision if phase == "Complete" else "aaaaaaaaaa",
        updateRevision=followed.revision,
        plan=msgspec.to_builtins(followed),
        currentGroup=group,
        confirmedGroup=confirmed,
        waiting=waiting,
        groups=states,
        units=units,
    )


def a_revision(number: int, digest: str, image: str, cause: str = "") -> Document:
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{NAME}-{digest}",
            "namespace": "default",
            "creationTimestamp": "2026-03-01T11:30:00Z",
            "annotations": {"kubernetes.io/change-cause": cause} if cause else {},
            "ownerReferences": [{"uid": "u-1", "kind": "CafeDeployment", "name": NAME}],
        },
        "revision": number,
        "data": {
            "metadata": {"labels": {"app": "productpage"}},
            "spec": {"containers": [{"name": "productpage", "image": image}]},
        },
    }


def revisions() -> list[Document]:
    return [
        a_revision(1, "aaaaaaaaaa", OLD),
        a_revision(2, "bbbbbbbbbb", NEW, "cafe app release --image 2"),
    ]


def a_pod(name: str, unit: str, *, image: str = OLD, problem: str = "", message: str = "") -> Document:
    waiting = {"waiting": {"reason": problem, "message": message}} if problem else {"running": {}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {APP_LABEL: NAME, UNIT_LABEL: unit, REVISION_LABEL: "old"},
        },
        "spec": {"containers": [{"name": "productpage", "image": image}]},
        "status": {"containerStatuses": [{"name": "productpage", "state": waiting}]},
    }


def a_set(unit: str, replicas: int = 5) -> Document:
    return {
        "apiVersion": API_VERSION,
        "kind": "InPlaceSet",
        "metadata": {
            "name": f"{NAME}-{unit}",
            "namespace": "default",
            "labels": {UNIT_LABEL: unit},
            "ownerReferences": [{"uid": "u-1", "kind": "CafeDeployment", "name": NAME}],
        },
        "spec": {"replicas": replicas},
        "status": {"readyReplicas": replicas},
    }


def an_event(reason: str, message: str, minute: int) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"e{minute}", "namespace": "default"},
        "involvedObject": {"kind": "CafeDeployment", "name": NAME},
        "reason": reason,
        "message": message,
        "lastTimestamp": f"2026-03-01T11:{minute:02}:00Z",
    }
