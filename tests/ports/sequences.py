"""Random sequences of requests, and what of the answers must be the same on every API server.

A step names objects, versions and UIDs by what the sequence itself has seen, so that one sequence means the
same on two servers. Transcripts are compared once everything that differs by nature has been replaced:
versions by their rank, UIDs by the order of their appearance, times by their presence.
"""

import asyncio
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tests.ports.backend import APPLY, JSON_PATCH, MERGE, STRATEGIC, Answer, Json, Watched, World
from tests.ports.objects import config_map, custom, pod

FOREIGN_UID = "00000000-0000-4000-8000-000000000000"
CUSTOM_API = "ports.cafe.test/v1"
PLURALS = {
    "ConfigMap": "configmaps",
    "ControllerRevision": "controllerrevisions",
    "Lease": "leases",
    "Pod": "pods",
    "Random": "randoms",
    "Secret": "secrets",
    "Service": "services",
}
APIS = {
    "ConfigMap": "v1",
    "ControllerRevision": "apps/v1",
    "Lease": "coordination.k8s.io/v1",
    "Pod": "v1",
    "Random": CUSTOM_API,
    "Secret": "v1",
    "Service": "v1",
}
LAST = "zz-last"


@dataclass(frozen=True)
class Step:
    """One request.

    Attributes:
        verb: `create`, `put`, `patch`, `apply`, `delete`, `list`, or `post` to a subresource.
        content: The object's part beside its metadata, a patch, or the options of a delete.
        version: `""`, `current` or `stale`: how `resourceVersion` is given.
        uid: `""`, `current` or `foreign`.
        media: Of a patch.
        sub: A subresource.
        query: Such as `dryRun`, `fieldManager`, `labelSelector`.
    """

    verb: str
    kind: str
    name: str = "a"
    content: Any = None
    version: str = ""
    uid: str = ""
    media: str = ""
    sub: str = ""
    query: Mapping[str, str] = field(default_factory=dict)


def body_of(kind: str, name: str, content: Json) -> Json:
    """Return an object of *kind*; *content* may hold `metadata` of its own."""
    base: Json
    if kind == "ConfigMap":
        base = config_map(name)
        del base["data"]
    elif kind == "Pod":
        base = pod(name, automountServiceAccountToken=False)
        spec = content.get("spec") or {}
        content = {**content, "spec": {**base["spec"], **spec}}
    elif kind == "Service":
        # An address of its own would be another on each server.
        base = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}
        spec = {"clusterIP": "None", "selector": {"app": "a"}, **(content.get("spec") or {})}
        content = {**content, "spec": spec}
    elif kind == "ControllerRevision":
        base = {"apiVersion": APIS[kind], "kind": kind, "metadata": {"name": name}, "revision": 1}
        base["data"] = {"spec": {"x": 1}}
    elif kind in {"Lease", "Secret"}:
        base = {"apiVersion": APIS[kind], "kind": kind, "metadata": {"name": name}}
    else:
        base = custom(kind, name)
    meta = {**base["metadata"], **content.get("metadata", {}), "name": name}
    return {**base, **content, "metadata": meta}


MAPS = st.one_of(
    st.none(),
    st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["1", "2", ""]), max_size=2),
)
PATCHED_MAPS = st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["1", "2", None]), max_size=2)
FINALIZERS = st.sampled_from([None, [], ["cafe.test/one"], ["cafe.test/one", "cafe.test/two"], ["bad"]])


def _some(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({}, optional=parts)


METADATA = _some(labels=MAPS, annotations=MAPS, finalizers=FINALIZERS)
PATCHED_METADATA = _some(labels=PATCHED_MAPS, annotations=PATCHED_MAPS, finalizers=FINALIZERS)
CONDITIONS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["Ready", "cafe.test/gate"]), "status": st.sampled_from(["True", "False"])},
        optional={"reason": st.just("Because"), "message": st.just("told")},
    ),
    max_size=2,
    unique_by=lambda item: item["type"],
)
POD_SPEC = _some(
    nodeName=st.just("no-such-node"),
    terminationGracePeriodSeconds=st.sampled_from([0, 5, 30]),
    readinessGates=st.just([{"conditionType": "cafe.test/gate"}]),
    containers=st.sampled_from(
        [
            [{"name": "main", "image": "x:1"}],
            [{"name": "main", "image": "x:1"}, {"name": "side", "image": "s:1", "args": ["1"]}],
            [],
        ]
    ),
)
POD_PATCH = _some(
    containers=st.sampled_from(
        [
            [{"name": "main", "image": "x:2"}],
            [{"name": "side", "image": "s:2"}],
            [{"name": "main", "args": ["2"]}],
            [{"name": "side", "$patch": "delete"}],
        ]
    ),
    activeDeadlineSeconds=st.sampled_from([10, 20, None, -1]),
    hostname=st.just("other"),
)
CUSTOM_SPEC = st.fixed_dictionaries(
    {"size": st.sampled_from([1, 2, 3, 7, 99, "x"])},
    optional={
        "image": st.sampled_from(["main:2", None]),
        "mode": st.sampled_from(["fast", "slow", "idle"]),
        "fixed": st.sampled_from(["x", "y"]),
        "any": st.sampled_from([{"k": [1, None]}, {}]),
        "items": st.sampled_from(
            [[], [{"name": "a"}], [{"name": "a"}, {"name": "a"}], [{"name": "b", "value": "1"}]]
        ),
        "nonsense": st.just(1),
    },
)
LEASE_SPEC = _some(
    holderIdentity=st.sampled_from(["one", "two", None]),
    leaseDurationSeconds=st.sampled_from([15, 0]),
    renewTime=st.sampled_from(["2030-01-01T00:00:00.000001Z", "yesterday"]),
)
PORTS = st.lists(
    st.fixed_dictionaries(
        {"port": st.sampled_from([80, 81, 0])},
        optional={"name": st.sampled_from(["http", "web"]), "protocol": st.sampled_from(["TCP", "UDP"])},
    ),
    max_size=2,
    unique_by=lambda item: (item["port"], item.get("protocol", "TCP")),
)
SERVICE_SPEC = _some(
    ports=PORTS,
    selector=st.sampled_from([{"app": "a"}, {"app": "b", "x": "1"}, None]),
    sessionAffinity=st.sampled_from(["None", "ClientIP", "Sideways"]),
    publishNotReadyAddresses=st.booleans(),
)
REVISION = _some(
    revision=st.sampled_from([1, 2, -1]), data=st.sampled_from([{"spec": {"x": 1}}, {"spec": {"x": 2}}])
)
SECRET = _some(
    data=st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["MQ==", "Mg==", ""]), max_size=2),
    stringData=st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["1", ""]), max_size=1),
    type=st.sampled_from(["Opaque", "cafe.test/own"]),
    immutable=st.booleans(),
)
PARTS: Mapping[str, tuple[st.SearchStrategy[Json], st.SearchStrategy[Json]]] = {
    "ControllerRevision": (REVISION, REVISION),
    "Secret": (SECRET, SECRET),
    "Service": (_some(spec=SERVICE_SPEC), _some(spec=SERVICE_SPEC)),
    "ConfigMap": (
        _some(data=MAPS, immutable=st.sampled_from([False, True])),
        _some(data=PATCHED_MAPS, immutable=st.sampled_from([True, None])),
    ),
    "Pod": (_some(spec=POD_SPEC), _some(spec=POD_PATCH)),
    "Lease": (_some(spec=LEASE_SPEC), _some(spec=LEASE_SPEC)),
    "Random": (st.fixed_dictionaries({"spec": CUSTOM_SPEC}), _some(spec=CUSTOM_SPEC)),
}
STATUSES: Mapping[str, st.SearchStrategy[Json]] = {
    "Pod": _some(
        conditions=CONDITIONS, message=st.just("hello"), phase=st.sampled_from(["Running", "Failed"])
    ),
    "Random": _some(size=st.sampled_from([1, 2]), conditions=CONDITIONS, x=st.just({"y": None})),
}
POINTERS = st.sampled_from(
    ["/metadata/labels/x", "/metadata/labels", "/data/x", "/spec/size", "/spec/nothing/x"]
)
JSON_STEPS = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"op": st.sampled_from(["add", "replace", "test"]), "path": POINTERS,
             "value": st.sampled_from(["1", 2, {"x": "3"}])}
        ),
        st.fixed_dictionaries({"op": st.just("remove"), "path": POINTERS}),
    ),
    min_size=1,
    max_size=2,
)  # fmt: skip
KINDS = st.sampled_from(sorted(PLURALS))
NAMES = st.sampled_from(["a", "a", "a", "b"])
VERSIONS = st.sampled_from(["", "", "current", "stale"])
UIDS = st.sampled_from(["", "", "", "current", "foreign"])
DRY = st.sampled_from([{}, {}, {}, {"dryRun": "All"}])
VERBS = (
    "create",
    "create",
    "put",
    "patch",
    "patch",
    "patch",
    "status",
    "apply",
    "apply",
    "delete",
    "list",
    "post",
)
DELETES = _some(
    gracePeriodSeconds=st.sampled_from([0, 3, 60]),
    # Foreground and Orphan are the collector's business, in its own time.
    propagationPolicy=st.sampled_from(["Background", "Sideways"]),
)
POSTS: Mapping[str, st.SearchStrategy[Json]] = {
    "eviction": _some(
        deleteOptions=_some(gracePeriodSeconds=st.sampled_from([0, 5]), dryRun=st.just(["All"]))
    ),
    "binding": st.fixed_dictionaries(
        {"target": st.sampled_from([{"kind": "Node", "name": "no-such-node"}, {"kind": "Pod", "name": "x"}])}
    ),
}
HEADS = {"eviction": ("policy/v1", "Eviction"), "binding": ("v1", "Binding")}
WATCHED = ("x=1", "x", "x in (1,2)", "x!=2", "!y")
"""Selections that each watch looks through; an object with only `x=1` is in all of them."""
SELECTORS = st.sampled_from(["x", "!x", "x=1", "x!=1", "x in (1,2)", "x notin (1)", "y=2,x"])


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Draw one request."""
    kind, name, query = draw(KINDS), draw(NAMES), dict(draw(DRY))
    verb = draw(st.sampled_from(VERBS))
    if verb == "list":
        return Step("list", kind, query={"labelSelector": draw(SELECTORS)})
    if verb == "post":
        sub = draw(st.sampled_from(sorted(POSTS)))
        return Step("post", "Pod", name, draw(POSTS[sub]), sub=sub, query=query)
    if verb in {"patch", "status"}:
        return draw(_patches(kind, name, query, is_status=verb == "status" and kind in STATUSES))
    guard = {"version": draw(VERSIONS), "uid": draw(UIDS)}
    if verb == "delete":
        return Step("delete", kind, name, draw(DELETES), **guard, query=query)
    content = {**draw(PARTS[kind][0]), "metadata": draw(METADATA)}
    if verb == "apply":
        query |= {"fieldManager": draw(st.sampled_from(["one", "two"]))}
        query |= draw(st.sampled_from([{}, {"force": "true"}]))
        return Step("apply", kind, name, _without_null(content), query=query)
    return Step(verb, kind, name, content, **(guard if verb == "put" else {}), query=query)


@st.composite
def _patches(draw: st.DrawFn, kind: str, name: str, query: dict[str, str], *, is_status: bool) -> Step:
    if not is_status and draw(st.integers(0, 4)) == 0:
        return Step("patch", kind, name, draw(JSON_STEPS), media=JSON_PATCH, query=query)
    content = {**draw(PARTS[kind][1]), "metadata": draw(PATCHED_METADATA)}
    if is_status:
        content["status"] = draw(STATUSES[kind])
    guard = {"version": draw(VERSIONS), "uid": draw(UIDS)}
    media = draw(st.sampled_from([MERGE, STRATEGIC]))
    return Step("patch", kind, name, content, **guard, media=media, sub="status" * is_status, query=query)


def _without_null(content: Json) -> Json:
    """Return an applied configuration without null and empty lists, which nobody writes."""
    return {
        name: _without_null(value) if isinstance(value, dict) else value
        for name, value in content.items()
        if value is not None and value != []
    }


class Player:
    """Plays a sequence on one server, below names of its own.

    Args:
        world: Where.
        prefix: Of all names; the objects carry it in the label `run`, unless a step takes that away.
    """

    def __init__(self, world: World, prefix: str) -> None:
        self._world = world
        self._prefix = prefix
        self._seen: dict[tuple[str, str], list[Json]] = {}

    async def play(self, sequence: list[Step]) -> list[Any]:
        """Return the transcript: all answers, then the events of each kind."""
        kinds = sorted({step.kind for step in sequence})
        starts = {kind: (await self._world.get(self._path(kind))).version for kind in kinds}
        answers = [await self._one(step) for step in sequence]
        for kind in kinds:
            await self._close(kind)
        events = await asyncio.gather(
            *(self._events(kind, starts[kind], each) for kind in kinds for each in ("", *WATCHED))
        )
        await self._clean(kinds)
        return _normalized([[_told(a) for a in answers], events], self._prefix, self._world.namespace)

    def _path(self, kind: str, name: str = "", sub: str = "") -> str:
        full = f"{self._prefix}-{name}" if name else ""
        return self._world.path(PLURALS[kind], full, api=APIS[kind], sub=sub)

    async def _one(self, step: Step) -> Answer:
        world, path = self._world, self._path(step.kind, step.name, step.sub)
        if step.verb == "list":
            selector = f"run={self._prefix},{step.query['labelSelector']}"
            return await world.get(self._path(step.kind), labelSelector=selector)
        if step.verb == "delete":
            wanted = {name: value for name, value in self._guard(step).items() if value}
            rehearsal = {"dryRun": ["All"]} if step.query else {}
            answer = await world.delete(
                path, {**step.content, **rehearsal, **({"preconditions": wanted} if wanted else {})}
            )
        elif step.verb == "patch":
            patch = step.content
            if isinstance(patch, dict):
                patch = {**patch, "metadata": {**patch.get("metadata", {}), **self._guard(step)}}
            answer = await world.patch(path, patch, step.media, **step.query)
        elif step.verb == "post":
            api, kind = HEADS[step.sub]
            head = {"apiVersion": api, "kind": kind, "metadata": {"name": f"{self._prefix}-{step.name}"}}
            return await world.post(path, {**head, **step.content}, **step.query)
        else:
            body = body_of(step.kind, f"{self._prefix}-{step.name}", step.content)
            labels = {**(body["metadata"].get("labels") or {}), "run": self._prefix}
            body["metadata"] |= {"labels": labels, **self._guard(step)}
            if step.verb == "create":
                answer = await world.post(self._path(step.kind), body, **step.query)
            elif step.verb == "put":
                answer = await world.put(path, body, **step.query)
            else:
                answer = await world.patch(path, body, APPLY, **step.query)
        if answer.status in {200, 201} and "uid" in answer.meta and "dryRun" not in step.query:
            self._seen.setdefault((step.kind, step.name), []).append(answer.meta)
        return answer

    def _guard(self, step: Step) -> Json:
        seen = self._seen.get((step.kind, step.name))
        if seen is None:
            return {}
        guard = {}
        if step.version:
            guard["resourceVersion"] = seen[-1 if step.version == "current" else 0]["resourceVersion"]
        if step.uid:
            guard["uid"] = seen[-1]["uid"] if step.uid == "current" else FOREIGN_UID
        return guard

    async def _close(self, kind: str) -> None:
        """Make the object that ends each watch."""
        content: Json = {"spec": {"size": 1}} if kind == "Random" else {}
        body = body_of(kind, f"{self._prefix}-{LAST}", content)
        body["metadata"]["labels"] = {"run": self._prefix, "x": "1"}
        made = await self._world.post(self._path(kind), body)
        assert made.status == 201, made.body

    async def _events(self, kind: str, start: str, selection: str) -> list[Any]:
        """Return what a watch through a selection saw from the beginning to the last object."""
        selector = ",".join(part for part in (f"run={self._prefix}", selection) if part)
        query = {"labelSelector": selector, "resourceVersion": start}
        async with self._world.watch(self._path(kind), **query) as stream:
            return [event async for event in _until_last(stream)]

    async def _clean(self, kinds: Iterable[str]) -> None:
        for kind in kinds:
            plural = PLURALS[kind]
            listed = await self._world.get(self._path(kind))
            for item in listed.body["items"]:
                name = item["metadata"]["name"]
                if not name.startswith(f"{self._prefix}-"):
                    continue
                path = self._world.path(plural, name, api=APIS[kind])
                if item["metadata"].get("finalizers"):
                    await self._world.patch(path, {"metadata": {"finalizers": None}})
                await self._world.delete(path, {"gracePeriodSeconds": 0})


async def _until_last(stream: Watched) -> Any:  # noqa: ANN401 -- an asynchronous generator
    while True:
        kind, obj = await stream.next()
        if obj["metadata"]["name"].endswith(LAST):
            return
        yield kind, obj


def _told(answer: Answer) -> Json:
    """Return what of an answer counts: of a refusal its reason and causes, of success the whole object."""
    if answer.status >= 400:
        return {"status": answer.status, "reason": answer.reason, "causes": sorted(answer.causes)}
    body = dict(answer.body)
    if "items" in body:
        return {"status": answer.status, "items": body["items"]}
    return {"status": answer.status, "body": body}


_TRANSITION = re.compile(r'"lastTransitionTime": "[^"]+"')


def _normalized(transcript: Any, prefix: str, namespace: str) -> Any:  # noqa: ANN401 -- JSON
    text = json.dumps(transcript).replace(prefix, "PREFIX").replace(namespace, "NAMESPACE")
    text = _TRANSITION.sub('"lastTransitionTime": "TIME"', text)
    whole = json.loads(text)
    versions = sorted({int(meta["resourceVersion"]) for meta in _metas(whole) if "resourceVersion" in meta})
    ranks = {str(version): rank for rank, version in enumerate(versions)}
    uids: dict[str, int] = {}
    for meta in _metas(whole):
        if "resourceVersion" in meta:
            meta["resourceVersion"] = ranks[meta["resourceVersion"]]
        if "uid" in meta:
            meta["uid"] = uids.setdefault(meta["uid"], len(uids))
        for name in ("creationTimestamp", "deletionTimestamp"):
            if name in meta:
                meta[name] = bool(meta[name])
        entries = meta.get("managedFields") or []
        for entry in entries:
            entry.pop("time", None)
        entries.sort(key=lambda entry: json.dumps(entry, sort_keys=True))
    return whole


def _metas(value: Any) -> Iterator[Json]:  # noqa: ANN401 -- JSON
    """Return all `metadata` of objects, and the details that name an object, in order."""
    if isinstance(value, list):
        for item in value:
            yield from _metas(item)
    elif isinstance(value, dict):
        for name in ("metadata", "details"):
            if isinstance(value.get(name), dict):
                yield value[name]
        for name in ("body", "items"):
            yield from _metas(value.get(name))
