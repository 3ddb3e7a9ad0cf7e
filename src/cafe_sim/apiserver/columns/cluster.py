"""Rows of nodes, services, configuration and the rest."""

from collections.abc import Callable
from datetime import datetime

from cafe_sim.apiserver.columns.cells import Cell, age, columns, labels_text
from cafe_sim.apiserver.values import Value, dig
from cafe_sim.contract import Json

_NONE = "<none>"
_ROLE = "node-role.kubernetes.io/"
_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _age(obj: Json, now: datetime | None) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _node(obj: Json, now: datetime | None) -> list[Cell]:
    status: Value = obj.get("status") or {}
    ready = next((c for c in status.get("conditions") or [] if c["type"] == "Ready"), None)
    states = ["Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"]
    if dig(obj, "spec", "unschedulable"):
        states.append("SchedulingDisabled")
    roles = [key[len(_ROLE) :] for key in obj["metadata"].get("labels") or {} if key.startswith(_ROLE)]
    info = status.get("nodeInfo") or {}
    addresses = {item["type"]: item["address"] for item in status.get("addresses") or []}
    return [
        obj["metadata"]["name"],
        ",".join(states),
        ",".join(sorted(roles)) or _NONE,
        _age(obj, now),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", _NONE),
        addresses.get("ExternalIP", _NONE),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _service(obj: Json, now: datetime | None) -> list[Cell]:
    spec = obj["spec"]
    ports = [
        f"{port['port']}:{port['nodePort']}/{port['protocol']}"
        if port.get("nodePort")
        else f"{port['port']}/{port['protocol']}"
        for port in spec.get("ports") or []
    ]
    external = ",".join(spec.get("externalIPs") or []) or _NONE
    if spec["type"] == "ExternalName":
        external = spec.get("externalName", _NONE)
    if spec["type"] == "LoadBalancer" and external == _NONE:
        found = dig(obj, "status", "loadBalancer", "ingress") or []
        external = ",".join(item.get("ip") or item.get("hostname", "") for item in found) or "<pending>"
    return [
        obj["metadata"]["name"],
        spec["type"],
        spec.get("clusterIP") or _NONE,
        external,
        ",".join(ports) or _NONE,
        _age(obj, now),
        labels_text(spec.get("selector")),
    ]


def _event(obj: Json, now: datetime | None) -> list[Cell]:
    about = obj.get("involvedObject") or {}
    first = obj.get("firstTimestamp") or obj.get("eventTime") or obj["metadata"].get("creationTimestamp")
    last = obj.get("lastTimestamp") or dig(obj, "series", "lastObservedTime") or first
    source = obj.get("source") or {}
    where = [source.get("component") or obj.get("reportingComponent", ""), source.get("host", "")]
    return [
        age(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{about.get('kind', '').lower()}/{about.get('name', '')}",
        about.get("fieldPath", ""),
        ", ".join(filter(None, where)),
        (obj.get("message") or "").strip(),
        age(first, now),
        obj.get("count") or 1,
        obj["metadata"]["name"],
    ]


def _claim(obj: Json, now: datetime | None) -> list[Cell]:
    spec, status = obj["spec"], obj.get("status") or {}
    is_bound = bool(spec.get("volumeName"))
    modes = ",".join(_MODES.get(mode, mode) for mode in status.get("accessModes") or []) if is_bound else ""
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    size = dig(status, "capacity", "storage") or "" if is_bound else ""
    kind = spec.get("storageClassName", "")
    group = spec.get("volumeAttributesClassName") or "<unset>"
    return [
        obj["metadata"]["name"], phase, spec.get("volumeName", ""), size, modes, kind, group, _age(obj, now),
        spec.get("volumeMode", ""),
    ]  # fmt: skip


def _slice(obj: Json, now: datetime | None) -> list[Cell]:
    ports = ",".join(str(port.get("port", "*")) for port in obj.get("ports") or []) or "<unset>"
    addresses = [address for item in obj.get("endpoints") or [] for address in item.get("addresses") or []]
    text = ",".join(addresses[:3]) + (f" + {len(addresses) - 3} more..." if len(addresses) > 3 else "")
    return [obj["metadata"]["name"], obj.get("addressType", ""), ports, text or "<unset>", _age(obj, now)]


def _fields(*paths: str) -> Callable[[Json, datetime | None], list[Cell]]:
    """Return a printer of a name, plain fields, and the age."""

    def cells(obj: Json, now: datetime | None) -> list[Cell]:
        found = [dig(obj, *path.split(".")) for path in paths]
        return [obj["metadata"]["name"], *("" if item is None else item for item in found), _age(obj, now)]

    return cells


def _counted(*names: str) -> Callable[[Json, datetime | None], list[Cell]]:
    """Return a printer of a name, how much fields hold, and the age."""

    def cells(obj: Json, now: datetime | None) -> list[Cell]:
        total = sum(len(obj.get(name) or ()) for name in names)
        return [obj["metadata"]["name"], total, _age(obj, now)]

    return cells


def _secret(obj: Json, now: datetime | None) -> list[Cell]:
    return [obj["metadata"]["name"], obj.get("type", ""), len(obj.get("data") or {}), _age(obj, now)]


def _binding(obj: Json, now: datetime | None) -> list[Cell]:
    ref = obj.get("roleRef") or {}
    return [obj["metadata"]["name"], f"{ref.get('kind', '')}/{ref.get('name', '')}", _age(obj, now)]


def _created(obj: Json, now: datetime | None) -> list[Cell]:
    del now
    return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]


PRINTERS = {
    "namespaces": (columns("Name Status Age"), _fields("status.phase")),
    "nodes": (
        columns(
            "Name Status Roles Age Version Internal-IP|wide External-IP|wide OS-Image|wide Kernel-Version|wide "
            "Container-Runtime|wide"
        ),
        _node,
    ),
    "services": (columns("Name Type Cluster-IP External-IP Port(s) Age Selector|wide"), _service),
    "configmaps": (columns("Name #Data Age"), _counted("data", "binaryData")),
    "secrets": (columns("Name Type #Data Age"), _secret),
    "serviceaccounts": (columns("Name #Secrets Age"), _counted("secrets")),
    "events": (
        columns("Last_Seen Type Reason Object Subobject|wide Source|wide Message First_Seen|wide #Count|wide Name|wide"),
        _event,
    ),
    "persistentvolumeclaims": (
        columns(
            "Name Status Volume Capacity Access_Modes StorageClass VolumeAttributesClass Age VolumeMode|wide"
        ),
        _claim,
    ),
    "leases.coordination.k8s.io": (columns("Name Holder Age"), _fields("spec.holderIdentity")),
    "endpointslices.discovery.k8s.io": (columns("Name AddressType Ports Endpoints Age"), _slice),
    "priorityclasses.scheduling.k8s.io": (
        columns("Name #Value Global-Default Age PreemptionPolicy"),
        lambda obj, now: [
            obj["metadata"]["name"], obj.get("value", 0), str(obj.get("globalDefault", False)).lower(), _age(obj, now),
            obj.get("preemptionPolicy", ""),
        ],
    ),
    "roles.rbac.authorization.k8s.io": (columns("Name Created_At"), _created),
    "clusterroles.rbac.authorization.k8s.io": (columns("Name Created_At"), _created),
    "rolebindings.rbac.authorization.k8s.io": (columns("Name Role Age"), _binding),
    "clusterrolebindings.rbac.authorization.k8s.io": (columns("Name Role Age"), _binding),
    "customresourcedefinitions.apiextensions.k8s.io": (columns("Name Created_At"), _created),
    "validatingwebhookconfigurations.admissionregistration.k8s.io": (columns("Name #Webhooks Age"), _counted("webhooks")),
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": (columns("Name #Webhooks Age"), _counted("webhooks")),
}  # fmt: skip
