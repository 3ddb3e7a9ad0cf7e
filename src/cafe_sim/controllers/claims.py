"""Adoption and release: what a controller owns is what carries its UID *and* matches its selector."""

from cafe_sim.contract import ApiError, Json
from cafe_sim.controllers.base import Controller
from cafe_sim.machinery.objects import (
    controller_reference,
    is_deleting,
    key_of,
    labels_of,
    owner_references,
    uid_of,
)
from cafe_sim.machinery.selectors import Selector

OWNER_KINDS = {"replicasets.apps": "ReplicaSet", "deployments.apps": "Deployment"}
OWNER_KINDS |= {"statefulsets.apps": "StatefulSet"}


def claim(
    controller: Controller, owner_resource: str, owner: Json, children: str, selector: Selector
) -> list[Json]:
    """Return the children of *owner*, after adopting orphans that match and releasing what doesn't.

    An owner that is being deleted adopts nobody; a child that is being deleted is neither adopted nor
    released. (As kube-controller-manager's ControllerRefManager.)

    Args:
        controller: On whose behalf.
        owner_resource: The resource of *owner*.
        owner: The object whose children are wanted.
        children: Their resource.
        selector: What they must match.
    """
    informer = controller.client.informer(children)
    claimed = []
    for child in informer.owned(owner):
        if selector.matches(labels_of(child)):
            claimed.append(child)
        elif not is_deleting(child) and not is_deleting(owner):
            _release(controller, owner, children, child)
    if not is_deleting(owner):
        for orphan in informer.orphans(owner["metadata"]["namespace"]):
            if selector.matches(labels_of(orphan)) and not is_deleting(orphan):
                adopted = _adopt(controller, owner_resource, owner, children, orphan)
                if adopted is not None:
                    claimed.append(adopted)
    return claimed


def _adopt(
    controller: Controller, owner_resource: str, owner: Json, children: str, orphan: Json
) -> Json | None:
    fresh = controller.client.api.get(owner_resource, *key_of(owner))
    if fresh is None or uid_of(fresh) != uid_of(owner) or is_deleting(fresh):
        return None  # The cache is late: the owner has gone, or another one took its name.
    ref = controller_reference(owner, "apps/v1", OWNER_KINDS[owner_resource])
    references = [r for r in owner_references(orphan) if r["uid"] != ref["uid"]]
    patch = {"metadata": {"uid": uid_of(orphan), "ownerReferences": [*references, ref]}}
    return _patch(controller, children, orphan, patch)


def _release(controller: Controller, owner: Json, children: str, child: Json) -> None:
    left = [ref for ref in owner_references(child) if ref["uid"] != uid_of(owner)]
    patch = {"metadata": {"uid": uid_of(child), "ownerReferences": left or None}}
    _patch(controller, children, child, patch)


def _patch(controller: Controller, children: str, child: Json, patch: Json) -> Json | None:
    try:
        return controller.client.patch(children, key_of(child), patch)
    except ApiError as error:
        if error.status in {404, 422}:  # Gone, or another object has its name.
            return None
        raise
