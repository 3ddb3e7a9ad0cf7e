"""A Deployment's ReplicaSets: which is new, which are old, and their revision numbers."""

from dataclasses import dataclass

from cafe_sim.contract import ApiError, Json
from cafe_sim.controllers.base import APPS, Controller
from cafe_sim.controllers.rollout_arithmetic import Room, SetCount
from cafe_sim.machinery.hashes import template_hash, without_label
from cafe_sim.machinery.objects import (
    annotations_of,
    controller_reference,
    controller_uid,
    key_of,
    merge_diff,
    status_of,
    uid_of,
)

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
LIMIT = "deployment.kubernetes.io/max-replicas"
NOT_COPIED = frozenset(
    {"kubectl.kubernetes.io/last-applied-configuration", REVISION, HISTORY, DESIRED, LIMIT}
    | {"deprecated.deployment.rollback.to"}
)
SETS = "replicasets.apps"


@dataclass(frozen=True, slots=True)
class History:
    """All ReplicaSets of a Deployment, oldest first; *new* is the one of its present template, if there."""

    new: Json | None
    old: tuple[Json, ...]

    @property
    def all(self) -> tuple[Json, ...]:
        """Old ones and the new one."""
        return (*self.old, self.new) if self.new is not None else self.old


def count_of(one: Json) -> SetCount:
    """Return a ReplicaSet's numbers."""
    return SetCount(
        name=one["metadata"]["name"],
        wanted=int(one["spec"].get("replicas", 1)),
        available=int(status_of(one).get("availableReplicas") or 0),
        limit=int(annotations_of(one).get(LIMIT) or 0),
    )


def age(one: Json) -> tuple[str, str]:
    """Return a key that sorts by creation, then name."""
    return (one["metadata"]["creationTimestamp"], one["metadata"]["name"])


def history_of(deployment: Json, sets: list[Json]) -> History:
    """Tell the set of the present template from the others."""
    ordered = sorted(sets, key=age)
    template = without_label(deployment["spec"]["template"], HASH_LABEL)
    new = next((s for s in ordered if without_label(s["spec"]["template"], HASH_LABEL) == template), None)
    return History(new, tuple(s for s in ordered if s is not new))


def revision_of(obj: Json) -> int:
    """Return the revision number that an object is annotated with, 0 if none."""
    return int(annotations_of(obj).get(REVISION) or 0)


def set_annotations(deployment: Json, one: Json | None, revision: int, room: Room) -> Json:
    """Return the annotations that the ReplicaSet of *revision* should have."""
    found = dict(annotations_of(one)) if one is not None else {}
    found |= {k: v for k, v in annotations_of(deployment).items() if k not in NOT_COPIED}
    before = found.get(REVISION)
    if before is not None and int(before) < revision:
        past = [number for number in found.get(HISTORY, "").split(",") if number]
        if before not in past:
            found[HISTORY] = ",".join([*past, before])
    if int(before or 0) < revision:
        found[REVISION] = str(revision)
    return found | {DESIRED: str(room.replicas), LIMIT: str(room.most)}


def new_set_body(deployment: Json, size: int, revision: int, room: Room) -> Json:
    """Return a ReplicaSet for the Deployment's present template."""
    spec = deployment["spec"]
    hash_ = template_hash(spec["template"], status_of(deployment).get("collisionCount"))
    template = spec["template"]
    meta = template.get("metadata") or {}
    labels = {**(meta.get("labels") or {}), HASH_LABEL: hash_}
    selector = spec["selector"]
    matched = {**(selector.get("matchLabels") or {}), HASH_LABEL: hash_}
    body_spec: Json = {
        "replicas": size,
        "selector": {**selector, "matchLabels": matched},
        "template": {**template, "metadata": {**meta, "labels": labels}},
    }
    if spec.get("minReadySeconds"):
        body_spec["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": APPS,
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{deployment['metadata']['name']}-{hash_}",
            "labels": labels,
            "annotations": set_annotations(deployment, None, revision, room),
            "ownerReferences": [controller_reference(deployment, APPS, "Deployment")],
        },
        "spec": body_spec,
    }


def create_set(controller: Controller, deployment: Json, body: Json) -> Json | None:
    """Create the ReplicaSet; None if another object has its name, and the next hash is to be tried.

    A set of that name with our UID and template is ours: an earlier pass made it.
    """
    namespace = deployment["metadata"]["namespace"]
    try:
        return controller.client.create(SETS, namespace, body)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
    there = controller.client.api.get(SETS, namespace, body["metadata"]["name"])
    if there is not None and controller_uid(there) == uid_of(deployment):
        ours = without_label(there["spec"]["template"], HASH_LABEL)
        if ours == without_label(deployment["spec"]["template"], HASH_LABEL):
            return there
    count = int(status_of(deployment).get("collisionCount") or 0) + 1
    patch = {"status": {"collisionCount": count}}
    controller.client.patch("deployments.apps", key_of(deployment), patch, "status")
    return None


def annotate(controller: Controller, resource: str, obj: Json, wanted: Json) -> Json:
    """Write annotations if they differ; return the object as it then is."""
    diff = merge_diff(annotations_of(obj), wanted)
    if not diff:
        return obj
    return controller.client.patch(resource, key_of(obj), {"metadata": {"annotations": diff}})
