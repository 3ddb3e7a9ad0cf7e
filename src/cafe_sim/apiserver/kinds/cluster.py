"""Namespaces, nodes, services, claims, configuration, and all that is only stored."""

import re
from collections.abc import Mapping

from cafe_sim.apiserver.errors import FieldError, not_supported
from cafe_sim.apiserver.names import NameRule, dns_label, dns_label_1035, dns_subdomain, path_segment
from cafe_sim.apiserver.resource import Rules, Surroundings
from cafe_sim.apiserver.values import Path, dig, with_fields, with_meta
from cafe_sim.contract import Json

IMMUTABLE = "field is immutable"
SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_FIRST_NODE_PORT, _NODE_PORTS = 30000, 2768
_NAMESPACE_LABEL = "kubernetes.io/metadata.name"


class StoredRules(Rules):
    """A kind that is stored and watched, and little else."""

    def __init__(
        self,
        *,
        name_rule: NameRule = dns_subdomain,
        zero_status: Json | None = None,
        fields: Mapping[str, Path] | None = None,
        **flags: bool,
    ) -> None:
        self.name_rule = name_rule
        self.has_status = zero_status is not None
        self._zero_status = zero_status
        self.fields = fields or {}
        for name in flags:
            if not isinstance(getattr(self, name, None), bool):
                raise TypeError(f"{name} is no flag of Rules")
        self.__dict__.update(flags)

    def first_status(self, obj: Json) -> Json | None:
        """The kind's zero."""
        del obj
        return self._zero_status


class ImmutableRules(StoredRules):
    """A kind of which some top-level fields never change."""

    def __init__(self, *fixed: str, name_rule: NameRule = dns_subdomain) -> None:
        super().__init__(name_rule=name_rule)
        self._fixed = fixed
        self.makes_on_update = name_rule is path_segment  # That is, RBAC's kinds.

    def check_update(self, new: Json, old: Json) -> list[FieldError]:
        """Compare the fixed fields."""
        return [
            FieldError("Invalid", name, new.get(name), IMMUTABLE)
            for name in self._fixed
            if new.get(name) != old.get(name)
        ]


class NamespaceRules(Rules):
    """Namespaces: emptied by their controller before they go."""

    has_status = True
    returns_deleted = True
    name_rule: NameRule = staticmethod(dns_label)
    fields: Mapping[str, Path] = {"status.phase": ("status", "phase")}

    def first_status(self, obj: Json) -> Json:
        """A namespace begins active."""
        del obj
        return {"phase": "Active"}

    def prepare_create(self, obj: Json, around: Surroundings) -> Json:
        """Hold it by the finalizer that its controller clears, and label it with its name."""
        obj = super().prepare_create(obj, around)
        labels = {**(obj["metadata"].get("labels") or {}), _NAMESPACE_LABEL: obj["metadata"]["name"]}
        finalizers = dig(obj, "spec", "finalizers") or []
        if "kubernetes" not in finalizers:
            finalizers = [*finalizers, "kubernetes"]
        return with_meta({**obj, "spec": {"finalizers": finalizers}}, labels=labels)

    def prepare_update(self, new: Json, old: Json, around: Surroundings) -> Json:
        """The spec changes through `/finalize` alone."""
        new = super().prepare_update(new, old, around)
        labels = {**(new["metadata"].get("labels") or {}), _NAMESPACE_LABEL: new["metadata"]["name"]}
        return with_meta(with_fields(new, spec=old.get("spec")), labels=labels)

    def prepare_subresource(self, name: str, new: Json, old: Json) -> Json:
        """`/finalize` changes the finalizers of the spec, and nothing else."""
        if name != "finalize":
            return super().prepare_subresource(name, new, old)
        finalizers = dig(new, "spec", "finalizers")
        return {**old, "spec": {"finalizers": finalizers} if finalizers else {}}

    def begin_deletion(self, obj: Json) -> Json | None:
        """Mark it terminating, unless nothing holds it any more."""
        meta = obj["metadata"]
        if not dig(obj, "spec", "finalizers"):
            return None
        if meta.get("deletionTimestamp"):
            return obj
        return {**obj, "status": {**(obj.get("status") or {}), "phase": "Terminating"}}

    def may_go(self, obj: Json) -> bool:
        """Its controller is done with it."""
        return not dig(obj, "spec", "finalizers")


class ServiceRules(Rules):
    """Services: addresses are handed out by the server."""

    has_status = True
    returns_deleted = True
    makes_on_update = True
    name_rule: NameRule = staticmethod(dns_label_1035)
    fields: Mapping[str, Path] = {
        "spec.clusterIP": ("spec", "clusterIP"),
        "spec.type": ("spec", "type"),
    }

    def first_status(self, obj: Json) -> Json:
        """No load balancer yet."""
        del obj
        return {"loadBalancer": {}}

    def prepare_create(self, obj: Json, around: Surroundings) -> Json:
        """Hand out what is missing."""
        return _with_addresses(super().prepare_create(obj, around), around)

    def prepare_update(self, new: Json, old: Json, around: Surroundings) -> Json:
        """Keep what was handed out unless the type changes."""
        new = super().prepare_update(new, old, around)
        spec, before = new["spec"], old["spec"]
        if spec.get("type") == "ExternalName":
            return new
        fresh = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
        kept = {name: before[name] for name in fresh if name not in spec and name in before}
        return _with_addresses({**new, "spec": {**spec, **kept}} if kept else new, around)

    def check(self, obj: Json) -> list[FieldError]:
        """Check type and ports."""
        spec = obj["spec"]
        found = []
        if spec["type"] not in SERVICE_TYPES:
            found.append(not_supported("spec.type", spec["type"], SERVICE_TYPES))
        if spec["sessionAffinity"] not in _AFFINITIES:
            found.append(not_supported("spec.sessionAffinity", spec["sessionAffinity"], _AFFINITIES))
        ports = spec.get("ports") or []
        if not ports and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
            found.append(FieldError("Required", "spec.ports"))
        return found + _check_ports(ports)

    def check_update(self, new: Json, old: Json) -> list[FieldError]:
        """An address stays for life."""
        found = self.check(new)
        before, after = dig(old, "spec", "clusterIP"), dig(new, "spec", "clusterIP")
        if before and after != before and dig(new, "spec", "type") != "ExternalName":
            shown = new["spec"].get("clusterIPs") or [after]
            text = "may not change once set"
            found.append(FieldError("Invalid", "spec.clusterIPs[0]", shown[0], text))
        return found


def _with_addresses(obj: Json, around: Surroundings) -> Json:
    spec = obj["spec"]
    if spec["type"] == "ExternalName":
        return obj
    more: Json = {}
    if not spec.get("clusterIP"):
        more["clusterIP"] = _free_address(around)
    address = more.get("clusterIP", spec.get("clusterIP"))
    more["clusterIPs"] = spec.get("clusterIPs") or [address]
    # Who leads to nothing that the server knows of may lead to either family.
    is_any = address == "None" and not spec.get("selector")
    more["ipFamilyPolicy"] = spec.get("ipFamilyPolicy") or ("RequireDualStack" if is_any else "SingleStack")
    is_dual = is_any and more["ipFamilyPolicy"] != "SingleStack"
    more["ipFamilies"] = spec.get("ipFamilies") or (["IPv4", "IPv6"] if is_dual else ["IPv4"])
    if spec["type"] in {"NodePort", "LoadBalancer"}:
        more["ports"] = _with_node_ports(spec.get("ports") or [], around)
    return obj if all(spec.get(k) == v for k, v in more.items()) else {**obj, "spec": {**spec, **more}}


def _free_address(around: Surroundings) -> str:
    taken = {dig(service, "spec", "clusterIP") for service in around.every("services")}
    number = 2  # The first is the server's own service.
    while (address := f"10.96.{number // 256}.{number % 256}") in taken:
        number += 1
    return address


def _with_node_ports(ports: list[Json], around: Surroundings) -> list[Json]:
    taken = {
        port.get("nodePort")
        for service in around.every("services")
        for port in service["spec"].get("ports") or []
    }
    free = (port for port in range(_FIRST_NODE_PORT, _FIRST_NODE_PORT + _NODE_PORTS) if port not in taken)
    return [port if port.get("nodePort") else {**port, "nodePort": next(free)} for port in ports]


class ConfigRules(Rules):
    """ConfigMaps and Secrets: some are sealed."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        if kind == "Secret":
            self.fields = {"type": ("type",)}

    def check(self, obj: Json) -> list[FieldError]:
        """Keys become names of files."""
        data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
        found = []
        for key in sorted(data):
            found += _bad_key(f"data[{key}]", key)
            if key in binary:
                text = "duplicate of key present in binaryData"
                found.append(FieldError("Invalid", f"data[{key}]", key, text))
        for key in sorted(binary):
            found += _bad_key(f"binaryData[{key}]", key)
        return found

    def check_update(self, new: Json, old: Json) -> list[FieldError]:
        """What is sealed stays, and stays sealed."""
        return self._check_sealed(new, old) + self.check(new)

    def _check_sealed(self, new: Json, old: Json) -> list[FieldError]:
        found = []
        if self._kind == "Secret" and new.get("type") != old.get("type"):
            found.append(FieldError("Invalid", "type", new.get("type"), IMMUTABLE))
        if not old.get("immutable"):
            return found
        text = "field is immutable when `immutable` is set"
        if not new.get("immutable"):
            found.append(FieldError("Forbidden", "immutable", None, text))
        changed = [name for name in ("data", "binaryData") if new.get(name) != old.get(name)]
        return found + [FieldError("Forbidden", name, None, text) for name in changed]


_AFFINITIES = ("ClientIP", "None")


def _check_ports(ports: list[Json]) -> list[FieldError]:
    found, names = [], set()
    for index, port in enumerate(ports):
        at = f"spec.ports[{index}]"
        for field in ("port", "targetPort"):
            number = port.get(field, 0)
            if isinstance(number, int) and not 0 < number < 65536:
                text = "must be between 1 and 65535, inclusive"
                found.append(FieldError("Invalid", f"{at}.{field}", number, text))
        name = port.get("name")
        if len(ports) > 1 and not name:
            found.append(FieldError("Required", f"{at}.name"))
        if name and name in names:
            found.append(FieldError("Duplicate", f"{at}.name", name))
        names.add(name)
    return found


_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
    "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)


def _bad_key(path: str, key: str) -> list[FieldError]:
    texts = [] if _KEY.fullmatch(key) else [_KEY_RULE]
    if key in {".", ".."}:
        texts.append(f"must not be '{key}'")
    elif key.startswith(".."):
        texts.append("must not start with '..'")
    return [FieldError("Invalid", path, key, text) for text in texts]


class ClaimRules(Rules):
    """PersistentVolumeClaims: they may grow, and be bound."""

    has_status = True
    returns_deleted = True

    def first_status(self, obj: Json) -> Json:
        """A claim begins pending."""
        del obj
        return {"phase": "Pending"}

    def check(self, obj: Json) -> list[FieldError]:
        """Check what a claim needs."""
        spec = obj["spec"]
        found = []
        if not spec.get("accessModes"):
            found.append(
                FieldError("Required", "spec.accessModes", None, "at least 1 access mode is required")
            )
        if not dig(spec, "resources", "requests", "storage"):
            found.append(FieldError("Required", "spec.resources[storage]"))
        return found

    def check_update(self, new: Json, old: Json) -> list[FieldError]:
        """A bound claim's spec stays, but for its size."""
        free = {"resources": None, "volumeName": None, "volumeAttributesClassName": None}
        if {**new["spec"], **free} == {**old["spec"], **free}:
            return self.check(new)
        text = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
            "bound claims"
        )
        return [FieldError("Forbidden", "spec", None, text)]


class NodeRules(Rules):
    """Nodes: written by kubelets."""

    has_status = True
    fields: Mapping[str, Path] = {"spec.unschedulable": ("spec", "unschedulable")}

    def prepare_create(self, obj: Json, around: Surroundings) -> Json:
        """Nodes alone may bring their status with them."""
        del around
        return obj

    def check_update(self, new: Json, old: Json) -> list[FieldError]:
        """What names the machine stays."""
        found = []
        for name in ("podCIDR", "providerID"):
            before = dig(old, "spec", name)
            if before and dig(new, "spec", name) != before:
                text = 'node updates may not change podCIDR except from "" to valid'
                if name == "providerID":
                    text = 'node updates may not change providerID except from "" to valid'
                found.append(FieldError("Forbidden", f"spec.{name}", None, text))
        return found


class LeaseRules(StoredRules):
    """Leases: who leads, and for how long."""

    makes_on_update = True
    needs_version = True
    takes_any_finalizer = True

    def __init__(self) -> None:
        super().__init__()

    def check(self, obj: Json) -> list[FieldError]:
        """A lease lasts, and its transitions are counted up."""
        spec = obj.get("spec") or {}
        found = []
        if spec.get("leaseDurationSeconds", 1) <= 0:
            text = "must be greater than 0"
            found.append(
                FieldError("Invalid", "spec.leaseDurationSeconds", spec["leaseDurationSeconds"], text)
            )
        if spec.get("leaseTransitions", 0) < 0:
            text = "must be greater than or equal to 0"
            found.append(FieldError("Invalid", "spec.leaseTransitions", spec["leaseTransitions"], text))
        return found
