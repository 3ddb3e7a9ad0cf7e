"""One application and what surrounds it, gathered for looking at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import APP_LABEL, CHANGE_CAUSE_ANNOTATION, UNIT_LABEL
from cafe.cli.errors import Exit, Problem
from cafe.cli.ports import Cluster, Document, Facts
from cafe.cli.resources import APPS, EVENTS, PODS, REVISIONS, SETS
from cafe.kernel import ObjectKey

HARMLESS = {"", "ContainerCreating", "PodInitializing"}
"""Reasons to wait that pass by themselves."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One stored template of an application.

    Attributes:
        overrides: What single units had otherwise.
    """

    number: int
    hash: str
    template: Mapping[str, Any]
    cause: str = ""
    created: str | None = None
    overrides: Sequence[Document] = ()

    @property
    def images(self) -> list[str]:
        """Images of the containers, in order."""
        return images_of(self.template)


@dataclass(frozen=True, slots=True)
class SickPod:
    """A container that can't start, and what the kubelet says of it."""

    pod: str
    unit: str
    container: str
    image: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Picture:
    """An application at one moment.

    Attributes:
        document: As the server holds it.
        problem: Why this may be stale; empty while it is live.
    """

    app: CafeDeployment
    document: Document
    now: datetime
    pods: Sequence[Document] = ()
    revisions: Sequence[Revision] = ()
    events: Sequence[Document] = ()
    problem: str = ""

    @property
    def sick(self) -> list[SickPod]:
        """Pods that can't start."""
        return [found for pod in self.pods for found in sickness(pod)]

    @property
    def is_current(self) -> bool:
        """Whether the status speaks of the newest spec."""
        return self.app.status.observed_generation >= self.app.metadata.generation

    @property
    def way_back(self) -> Revision | None:
        """The revision to return to: the last one that was released whole, else the one before."""
        status = self.app.status
        others = [r for r in self.revisions if r.hash != status.update_revision]
        whole = next((r for r in others if r.hash == status.current_revision), None)
        return whole or max(others, key=lambda r: r.number, default=None)


def app_of(document: Document) -> CafeDeployment:
    """Read an application.

    Raises:
        Problem: The object does not fit this version of its kind.
    """
    try:
        return msgspec.convert(document, CafeDeployment)
    except msgspec.ValidationError as error:
        name = document.get("metadata", {}).get("name", "?")
        raise Problem(
            Exit.FAILURE,
            "UnknownShape",
            f"CafeDeployment {name} has a shape that this cafe does not know.",
            str(error),
            "cafe doctor",
        ) from error


def images_of(template: Mapping[str, Any]) -> list[str]:
    """Return the images of a pod template's containers."""
    return [str(c.get("image", "")) for c in (template.get("spec") or {}).get("containers") or []]


def sickness(pod: Document) -> Iterable[SickPod]:
    """Yield the containers of *pod* that can't start."""
    meta = pod.get("metadata") or {}
    for status in (pod.get("status") or {}).get("containerStatuses") or []:
        waiting = (status.get("state") or {}).get("waiting") or {}
        reason = str(waiting.get("reason") or "")
        if reason in HARMLESS:
            continue
        asked = (pod.get("spec") or {}).get("containers") or []
        image = next((c.get("image") for c in asked if c.get("name") == status.get("name")), "")
        yield SickPod(
            pod=str(meta.get("name")),
            unit=str((meta.get("labels") or {}).get(UNIT_LABEL, "")),
            container=str(status.get("name")),
            image=str(image),
            reason=reason,
            message=str(waiting.get("message") or ""),
        )


async def load_app(cluster: Cluster, key: ObjectKey) -> tuple[CafeDeployment, Document]:
    """Read one application."""
    document = await cluster.get(APPS, key)
    return app_of(document), document


async def load_revisions(cluster: Cluster, app: CafeDeployment) -> list[Revision]:
    """Return the stored templates of *app*, oldest first."""
    found = [_revision(document, app.metadata.name) for document in await _stored_revisions(cluster, app)]
    return sorted(found, key=lambda r: r.number)


def owned_by(uid: str, documents: Iterable[Document]) -> list[Document]:
    """Return those of *documents* that belong to the object of that UID."""
    return [
        d for d in documents if any(o.get("uid") == uid for o in d["metadata"].get("ownerReferences") or [])
    ]


async def _stored_revisions(cluster: Cluster, app: CafeDeployment) -> list[Document]:
    return owned_by(app.metadata.uid, await cluster.list(REVISIONS, app.metadata.namespace))


def _revision(document: Document, owner: str) -> Revision:
    meta = document["metadata"]
    data = document.get("data") or {}
    inner = data.get("spec") or {}
    template = data.get("template") or inner.get("template") or data
    return Revision(
        number=int(document.get("revision") or 0),
        hash=str(meta["name"]).removeprefix(f"{owner}-"),
        template=template,
        cause=str((meta.get("annotations") or {}).get(CHANGE_CAUSE_ANNOTATION, "")),
        created=meta.get("creationTimestamp"),
        overrides=(inner.get("topology") or {}).get("overrides") or (),
    )


async def load_pods(cluster: Cluster, app: CafeDeployment) -> Sequence[Document]:
    """Return the pods of *app*, of all units."""
    return await cluster.list(PODS, app.metadata.namespace, labels=f"{APP_LABEL}={app.metadata.name}")


async def load_facts(cluster: Cluster, app: CafeDeployment) -> Facts:
    """Return what a plan for *app* is made from."""
    owned = owned_by(app.metadata.uid, await cluster.list(SETS, app.metadata.namespace))
    stored = await _stored_revisions(cluster, app)
    return Facts(sets=owned, pods=await load_pods(cluster, app), revisions=stored)


async def load_events(cluster: Cluster, app: CafeDeployment) -> list[Document]:
    """Return what happened to *app*, oldest first."""
    meta = app.metadata
    fields = f"involvedObject.kind=CafeDeployment,involvedObject.name={meta.name}"
    found = await cluster.list(EVENTS, meta.namespace, fields=fields)
    # Times are in seconds: what happened within one is told apart by the order of the writes.
    return sorted(found, key=lambda event: (event_time(event), _written_at(event)))


def _written_at(document: Document) -> int:
    version = str(document["metadata"].get("resourceVersion") or "")
    return int(version) if version.isdigit() else 0


def event_time(event: Document) -> str:
    """Return when an event happened last; the API has four places for it."""
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
        or ""
    )


async def surround(cluster: Cluster, document: Document, now: datetime) -> Picture:
    """Gather what belongs to an application that was read."""
    app = app_of(document)
    return Picture(
        app=app,
        document=document,
        now=now,
        pods=await load_pods(cluster, app),
        revisions=await load_revisions(cluster, app),
        events=await load_events(cluster, app),
    )
