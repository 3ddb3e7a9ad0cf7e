"""The pods of a StatefulSet: their names, volumes and identities."""

import re

from cafe_sim.contract import Json
from cafe_sim.controllers.base import APPS
from cafe_sim.controllers.pod_creation import pod_from_template
from cafe_sim.controllers.revisions import HASH_LABEL, template_of
from cafe_sim.machinery.objects import controller_reference, labels_of

NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"
_ORDINAL = re.compile(r"^(.*)-(\d+)$")


def ordinal_of(owner: Json, pod: Json) -> int | None:
    """Return the pod's ordinal, None if its name isn't one of the set's."""
    found = _ORDINAL.match(pod["metadata"]["name"])
    if found is None or found[1] != owner["metadata"]["name"]:
        return None
    return int(found[2])


def ordinals(owner: Json) -> range:
    """Return the ordinals that the set wants."""
    start = int((owner["spec"].get("ordinals") or {}).get("start") or 0)
    return range(start, start + int(owner["spec"].get("replicas", 1)))


def claim_names(owner: Json, ordinal: int) -> dict[str, str]:
    """Return the claim of each of the set's volumes, for one ordinal."""
    templates = owner["spec"].get("volumeClaimTemplates") or ()
    names = [template["metadata"]["name"] for template in templates]
    return {name: f"{name}-{owner['metadata']['name']}-{ordinal}" for name in names}


def claims_for(owner: Json, ordinal: int) -> list[Json]:
    """Return the PersistentVolumeClaims of one ordinal. They outlive the pod, and by default the set."""
    names = claim_names(owner, ordinal)
    labels = (owner["spec"].get("selector") or {}).get("matchLabels") or {}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": names[template["metadata"]["name"]],
                "labels": {**(template["metadata"].get("labels") or {}), **labels},
            },
            "spec": template["spec"],
        }
        for template in owner["spec"].get("volumeClaimTemplates") or ()
    ]


def stateful_pod(owner: Json, revision: Json, ordinal: int) -> Json:
    """Return the pod of one ordinal at one revision."""
    name = f"{owner['metadata']['name']}-{ordinal}"
    ref = controller_reference(owner, APPS, "StatefulSet")
    pod = pod_from_template(template_of(revision), ref, name)
    labels = {
        **(pod["metadata"].get("labels") or {}),
        NAME_LABEL: name,
        INDEX_LABEL: str(ordinal),
        HASH_LABEL: revision["metadata"]["name"],
    }
    claims = claim_names(owner, ordinal)
    volumes = [v for v in pod["spec"].get("volumes") or () if v["name"] not in claims]
    volumes += [{"name": k, "persistentVolumeClaim": {"claimName": v}} for k, v in claims.items()]
    spec = {**pod["spec"], "hostname": name, "subdomain": owner["spec"].get("serviceName") or ""}
    if volumes:
        spec["volumes"] = volumes
    return {**pod, "metadata": {**pod["metadata"], "labels": labels}, "spec": spec}


def pod_revision(pod: Json) -> str:
    """Return the name of the revision that a pod was made from."""
    return labels_of(pod).get(HASH_LABEL, "")
