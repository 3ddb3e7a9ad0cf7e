"""Builders of facts: each names only what a test is about."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cafe.workloads.domain.budget import Budget, budget_now
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import ContainerBefore, ContainerFact, PodFact, UpdateState
from cafe.workloads.domain.scaling import SetGoal
from cafe.workloads.domain.templates import InPlace, Recreate
from cafe.workloads.domain.updating import UpdateRules

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)
OLD, NEW, NEWER = "aaaa", "bbbb", "cccc"
DWELL = Dwell(NOW, timedelta(0))
IMAGES = {OLD: "app:v1", NEW: "app:v2", NEWER: "app:v3"}


def container(
    image: str = "app:v1", number: int = 1, *, running: bool = True, problem: str = ""
) -> ContainerFact:
    return ContainerFact(
        image=image,
        image_id=f"sha256:{image}" if running else "",
        container_id=f"containerd://{number}",
        is_running=running,
        problem=problem,
    )


def pod(name: str = "web-1", revision: str = OLD, **changes: Any) -> PodFact:  # noqa: ANN401 -- any field
    """Return an available pod."""
    facts: dict[str, Any] = {
        "uid": f"uid-{name}",
        "resource_version": "1",
        "node": "node-1",
        "created_at": LONG_AGO,
        "ready_since": LONG_AGO,
        "containers": {"app": container(IMAGES.get(revision, "app:v1"))},
    }
    return PodFact(name=name, revision=revision, **{**facts, **changes})


def sick(name: str = "web-1", revision: str = OLD, **changes: Any) -> PodFact:  # noqa: ANN401 -- any field
    """Return a running pod whose container is not ready."""
    facts: dict[str, Any] = {
        "ready_since": None,
        "containers": {
            "app": container(IMAGES.get(revision, "app:v1"), running=False, problem="CrashLoopBackOff")
        },
    }
    return pod(name, revision, **{**facts, **changes})


def withheld(name: str = "web-1", target: str = NEW, since: datetime = NOW, **changes: Any) -> PodFact:  # noqa: ANN401 -- any field
    """Return a pod whose gate has fallen and whose image is not written yet."""
    return pod(name, is_gated=True, state=UpdateState(target, since), **changes)


def changing(name: str = "web-1", revision: str = NEW, **changes: Any) -> PodFact:  # noqa: ANN401 -- any field
    """Return a pod whose image was written and which the kubelet has not restarted yet."""
    before = {"app": ContainerBefore("sha256:app:v1", "containerd://1")}
    facts: dict[str, Any] = {
        "is_gated": True,
        "is_observed": False,
        "state": UpdateState(revision, LONG_AGO, before),
        "containers": {"app": container("app:v1", 1)},
    }
    return pod(name, revision, **{**facts, **changes})


def goal(
    replicas: int = 4, partition: int = 4, max_unavailable: int = 1, update: str = NEW, current: str = OLD
) -> SetGoal:
    return SetGoal("web", "set-uid", replicas, partition, max_unavailable, update, current)


def budget(wanted: SetGoal, pods: list[PodFact], dwell: Dwell = DWELL) -> Budget:
    return budget_now(wanted.replicas, wanted.max_unavailable, pods, wanted.update_revision, dwell)


def new_image(_: str) -> InPlace:
    return InPlace(images={"app": "app:v2"})


def new_label(_: str) -> InPlace:
    return InPlace(labels={"tier": "gold"})


def new_environment(_: str) -> Recreate:
    return Recreate(("spec.containers[app].env",))


def rules(change_from: Any = new_image, *, grace: int = 0, **flags: bool) -> UpdateRules:  # noqa: ANN401 -- any way
    return UpdateRules(change_from, timedelta(seconds=grace), **flags)


def template(image: str = "app:v1", labels: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:  # noqa: ANN401 -- any field of a PodSpec
    return {
        "metadata": {"labels": dict(labels or {"app": "web"})},
        "spec": {"containers": [{"name": "app", "image": image}], **spec},
    }
