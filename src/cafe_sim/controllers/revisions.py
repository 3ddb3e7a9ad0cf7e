"""ControllerRevisions: the templates that a set has had, numbered."""

from cafe_sim.contract import ApiError, Json
from cafe_sim.controllers.base import APPS, Controller
from cafe_sim.machinery.hashes import template_hash
from cafe_sim.machinery.objects import (
    controller_reference,
    controller_uid,
    key_of,
    status_of,
    uid_of,
)

REVISIONS = "controllerrevisions.apps"
HASH_LABEL = "controller-revision-hash"


def revision_data(owner: Json) -> Json:
    """Return what a revision holds: a patch that puts the template back."""
    return {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}}


def template_of(revision: Json) -> Json:
    """Return the template that a revision holds."""
    template: Json = revision["data"]["spec"]["template"]
    return {k: v for k, v in template.items() if k != "$patch"}


def ordered(revisions: list[Json]) -> list[Json]:
    """Return revisions by number, then by creation and name."""
    return sorted(revisions, key=_rank)


def _rank(revision: Json) -> tuple[int, str, str]:
    meta = revision["metadata"]
    return (int(revision["revision"]), meta["creationTimestamp"], meta["name"])


def update_revision(controller: Controller, owner: Json, revisions: list[Json]) -> tuple[Json, int]:
    """Return the revision of the owner's present template, and the collision count.

    An equal old one is reused with the next number; else one is made, with the next hash if a foreign object
    has its name.
    """
    data = revision_data(owner)
    equal = [one for one in revisions if one["data"] == data]
    number = max((int(one["revision"]) for one in revisions), default=0) + 1
    collisions = int(status_of(owner).get("collisionCount") or 0)
    if equal and equal[-1] is revisions[-1]:
        return equal[-1], collisions
    if equal:
        patch = {"revision": number}
        return controller.client.patch(REVISIONS, key_of(equal[-1]), patch), collisions
    while True:
        body = _body(owner, data, number, collisions)
        try:
            return controller.client.create(REVISIONS, owner["metadata"]["namespace"], body), collisions
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        there = controller.client.api.get(REVISIONS, owner["metadata"]["namespace"], body["metadata"]["name"])
        if there is not None and controller_uid(there) == uid_of(owner) and there["data"] == data:
            return there, collisions
        collisions += 1


def _body(owner: Json, data: Json, number: int, collisions: int) -> Json:
    hash_ = template_hash(data, collisions)
    labels = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
    return {
        "apiVersion": APPS,
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{owner['metadata']['name']}-{hash_}",
            "labels": {**labels, HASH_LABEL: hash_},
            "ownerReferences": [controller_reference(owner, APPS, "StatefulSet")],
        },
        "data": data,
        "revision": number,
    }
