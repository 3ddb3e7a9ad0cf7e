"""What a new pod of a set looks like."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from cafe.api.inplaceset import InPlaceSet
from cafe.api.names import (
    API_VERSION,
    EXPECTED_ANNOTATION,
    INSTANCE_LABEL,
    REVISION_LABEL,
    TRAFFIC_GATE,
    UPDATE_GATE,
)
from cafe.workloads.domain.facts import ContainerBefore, Doubt, RevisionFact, UpdateState
from cafe.workloads.domain.scaling import Creation

HOST_LABEL = "kubernetes.io/hostname"


GATES = (UPDATE_GATE, TRAFFIC_GATE)
"""The readiness gates of every pod of ours."""


def render_pod(
    owner: InPlaceSet, creation: Creation, revision: RevisionFact, expected: str = ""
) -> dict[str, Any]:
    """Return the pod to create: the revision's template, owned, labelled, with what every pod of ours has.

    That is the readiness gates, which cannot be added to a living pod, and a wish to be spread over nodes:
    the scheduler's own default is for pods of kinds that it knows, and ours would crowd on one node. Neither
    is part of the template, so that a later version may ask for something else without replacing pods.

    Args:
        owner: The set.
        creation: What is made.
        revision: Whose template.
        expected: Who must send it requests before it counts, as its annotation holds it; empty for nobody.
    """
    template = revision.template
    meta = template.get("metadata") or {}
    spec = dict(template.get("spec") or {})
    gates = [g for g in spec.get("readinessGates") or [] if g.get("conditionType") not in GATES]
    spec["readinessGates"] = [*gates, *({"conditionType": gate} for gate in GATES)]
    spread = list(spec.get("topologySpreadConstraints") or ())
    if not any(constraint.get("topologyKey") == HOST_LABEL for constraint in spread):
        spec["topologySpreadConstraints"] = [*spread, _over_hosts(owner)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": creation.name,
            "namespace": owner.metadata.namespace,
            "labels": {
                **(meta.get("labels") or {}),
                REVISION_LABEL: revision.hash,
                INSTANCE_LABEL: str(creation.instance),
            },
            "annotations": dict(meta.get("annotations") or {})
            | ({EXPECTED_ANNOTATION: expected} if expected else {}),
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": spec,
    }


def _over_hosts(owner: InPlaceSet) -> dict[str, Any]:
    """Return the wish to be spread over the nodes; one that can't be had keeps no pod from running."""
    return {
        "maxSkew": 1,
        "topologyKey": HOST_LABEL,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": msgspec.to_builtins(owner.spec.selector),
    }


def owner_reference(owner: InPlaceSet) -> dict[str, Any]:
    """Return the reference by which a pod or revision belongs to *owner*."""
    return {
        "apiVersion": API_VERSION,
        "kind": "InPlaceSet",
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def write_state(state: UpdateState) -> str:
    """Return an update's state as its annotation holds it."""
    content: dict[str, Any] = {"revision": state.revision, "since": state.since.isoformat()}
    if state.before is not None:
        content["before"] = {
            name: {"imageID": was.image_id, "containerID": was.container_id}
            for name, was in state.before.items()
        }
    if state.doubted is not None:
        content["doubted"] = {
            "containerIDs": dict(state.doubted.containers),
            "since": state.doubted.since.isoformat(),
        }
    if state.sizes:
        content["sizes"] = {name: dict(amounts) for name, amounts in state.sizes.items()}
    if state.later:
        content["later"] = [dict(images) for images in state.later]
    return json.dumps(content, separators=(",", ":"), sort_keys=True)


def _read_doubt(content: Mapping[str, Any] | None) -> Doubt | None:
    if content is None:
        return None
    containers = {str(name): str(known) for name, known in content["containerIDs"].items()}
    return Doubt(containers, datetime.fromisoformat(content["since"]).astimezone(UTC))


def read_state(text: str | None) -> UpdateState | None:
    """Read an update's state from its annotation.

    A person may have corrupted it. What can't be read counts as an update begun at the epoch towards no
    revision: the pod is out of traffic, and the next pass either begins its update anew or gives it back.
    """
    if text is None:
        return None
    try:
        content = json.loads(text)
        before: Mapping[str, Any] | None = content.get("before")
        return UpdateState(
            revision=str(content["revision"]),
            since=datetime.fromisoformat(content["since"]).astimezone(UTC),
            before=None
            if before is None
            else {n: ContainerBefore(str(w["imageID"]), str(w["containerID"])) for n, w in before.items()},
            doubted=_read_doubt(content.get("doubted")),
            sizes={
                str(name): {str(key): str(amount) for key, amount in amounts.items()}
                for name, amounts in (content.get("sizes") or {}).items()
            },
            later=tuple(
                {str(name): str(image) for name, image in images.items()}
                for images in content.get("later") or ()
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return UpdateState(revision="", since=datetime(1970, 1, 1, tzinfo=UTC))
