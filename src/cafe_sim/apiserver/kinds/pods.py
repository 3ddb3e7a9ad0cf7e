"""Pods: what a pod must have, what of it may change, and how long it takes to go."""

from collections.abc import Iterator

from cafe_sim.apiserver.errors import FieldError, not_supported
from cafe_sim.apiserver.names import check_labels, dns_label
from cafe_sim.apiserver.resource import Rules, Surroundings
from cafe_sim.apiserver.schema.quantities import amount
from cafe_sim.apiserver.values import Path, Value, dig, with_fields, with_meta
from cafe_sim.contract import Json

RESTART_POLICIES = ("Always", "OnFailure", "Never")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
IMMUTABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def qos_class(spec: Json) -> str:
    """Return the quality of service that a pod's requests and limits give it."""
    requests: dict[str, bool] = {}
    guaranteed = True
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    for container in containers:
        resources = container.get("resources") or {}
        limits, wanted = resources.get("limits") or {}, resources.get("requests") or {}
        for name in ("cpu", "memory"):
            limit, request = amount(limits.get(name, "0")), amount(wanted.get(name, "0"))
            requests[name] = requests.get(name, False) or bool(limit or request)
            guaranteed = guaranteed and bool(limit) and limit == request
    if not any(requests.values()):
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def check_pod_spec(spec: Json, field: str) -> list[FieldError]:
    """Return what is wrong with a pod's spec, or with a template's."""
    containers = spec.get("containers") or []
    found = [] if containers else [FieldError("Required", f"{field}.containers")]
    names: set[str] = set()
    volumes = {volume.get("name") for volume in spec.get("volumes") or []}
    for kind in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(kind) or []):
            found += _check_container(container, f"{field}.{kind}[{index}]", names, volumes)
    for name, allowed in (("restartPolicy", RESTART_POLICIES), ("dnsPolicy", DNS_POLICIES)):
        if spec.get(name) not in allowed:
            found.append(not_supported(f"{field}.{name}", spec.get(name), allowed))
    grace = spec.get("terminationGracePeriodSeconds")
    if isinstance(grace, int) and grace < 0:
        text = "must be greater than or equal to 0"
        found.append(FieldError("Invalid", f"{field}.terminationGracePeriodSeconds", grace, text))
    found += check_labels(spec.get("nodeSelector"), f"{field}.nodeSelector")
    for index, gate in enumerate(spec.get("readinessGates") or []):
        if not gate.get("conditionType"):
            at = f"{field}.readinessGates[{index}].conditionType"
            found.append(FieldError("Invalid", at, "", "name part must be non-empty"))
    return found


def _check_container(
    container: Json, field: str, names: set[str], volumes: set[str | None]
) -> list[FieldError]:
    found: list[FieldError] = []
    name = container.get("name", "")
    if not name:
        found.append(FieldError("Required", f"{field}.name"))
    else:
        found += [FieldError("Invalid", f"{field}.name", name, text) for text in dns_label(name)]
    if name in names:
        found.append(FieldError("Duplicate", f"{field}.name", name))
    names.add(name)
    if not container.get("image"):
        found.append(FieldError("Required", f"{field}.image"))
    elif container["image"] != container["image"].strip():
        text = "must not have leading or trailing whitespace"
        found.append(FieldError("Invalid", f"{field}.image", container["image"], text))
    policy = container.get("imagePullPolicy")
    if policy not in PULL_POLICIES:
        found.append(not_supported(f"{field}.imagePullPolicy", policy, PULL_POLICIES))
    found += _check_parts(container, field, volumes)
    return found + _check_resources(container.get("resources") or {}, f"{field}.resources")


def _check_parts(container: Json, field: str, volumes: set[str | None]) -> Iterator[FieldError]:
    for index, port in enumerate(container.get("ports") or []):
        at, number = f"{field}.ports[{index}].containerPort", port.get("containerPort", 0)
        if not number:
            yield FieldError("Required", at)
        elif not 0 < number < 65536:
            yield FieldError("Invalid", at, number, "must be between 1 and 65535, inclusive")
    for index, mount in enumerate(container.get("volumeMounts") or []):
        if mount.get("name") not in volumes:
            yield FieldError("NotFound", f"{field}.volumeMounts[{index}].name", mount.get("name"))
    for index, item in enumerate(container.get("env") or []):
        if not item.get("name"):
            yield FieldError("Required", f"{field}.env[{index}].name")


def _check_resources(resources: Json, field: str) -> list[FieldError]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    found = []
    for group, amounts in (("limits", limits), ("requests", requests)):
        for name, text in amounts.items():
            if amount(text) < 0:
                why = "must be greater than or equal to 0"
                found.append(FieldError("Invalid", f"{field}.{group}[{name}]", text, why))
    for name, text in requests.items():
        if name in limits and amount(text) > amount(limits[name]):
            why = f"must be less than or equal to {name} limit of {limits[name]}"
            found.append(FieldError("Invalid", f"{field}.requests", text, why))
    return found


class PodRules(Rules):
    """The rules of pods."""

    has_status = True
    has_generation = True
    status_keeps = ("ownerReferences",)  # Old kubelets broke them.
    returns_deleted = True
    fields: dict[str, Path] = {  # noqa: RUF012 -- declared as a Mapping by the base
        "spec.nodeName": ("spec", "nodeName"),
        "spec.restartPolicy": ("spec", "restartPolicy"),
        "spec.schedulerName": ("spec", "schedulerName"),
        "spec.serviceAccountName": ("spec", "serviceAccountName"),
        "spec.hostNetwork": ("spec", "hostNetwork"),
        "status.phase": ("status", "phase"),
        "status.podIP": ("status", "podIP"),
        "status.nominatedNodeName": ("status", "nominatedNodeName"),
    }

    def first_status(self, obj: Json) -> Json:
        """A pod begins pending."""
        status: Json = {"phase": "Pending", "qosClass": qos_class(obj["spec"])}
        if obj["spec"].get("schedulingGates"):
            status["conditions"] = [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                    "lastProbeTime": None,
                    "lastTransitionTime": None,
                }
            ]
        return status

    def check(self, obj: Json) -> list[FieldError]:
        """Check the spec."""
        return check_pod_spec(obj["spec"], "spec")

    def check_update(self, new: Json, old: Json) -> list[FieldError]:
        """Let through only what a live pod can change."""
        spec, before = new["spec"], old["spec"]
        if spec is before:
            return []
        found = self.check(new)
        for kind in ("containers", "initContainers"):
            if len(spec.get(kind) or []) != len(before.get(kind) or []):
                text = "pod updates may not add or remove containers"
                return [*found, FieldError("Forbidden", f"spec.{kind}", None, text)]
        late = list(_check_deadline(spec, before))
        if late and spec.get("activeDeadlineSeconds") is not None:
            return found + late  # The real server looks no further then.
        found += [*late, *_check_tolerations(spec, before), *_check_gates(spec, before)]
        if _munged(spec, before) != before:
            found.append(FieldError("Forbidden", "spec", None, IMMUTABLE))
        return found

    def check_status_update(self, new: Json, old: Json) -> list[FieldError]:
        """A container that ended for good can't come back, and a pod's IPs must be addresses."""
        node = dig(old, "spec", "nodeName")
        nominated = dig(new, "status", "nominatedNodeName")
        if nominated and node and dig(old, "status", "nominatedNodeName") != nominated:
            text = "may not be set on a scheduled pod"
            return [FieldError("Forbidden", "status.nominatedNodeName", None, text)]
        return []

    def prepare_subresource(self, name: str, new: Json, old: Json) -> Json:
        """`/resize` changes the containers' resources, `/ephemeralcontainers` adds some for debugging."""
        spec, before = new["spec"], old["spec"]
        if name == "ephemeralcontainers":
            added = spec.get("ephemeralContainers")
            return self.counted({**old, "spec": with_fields(before, ephemeralContainers=added)}, old)
        if name == "resize" and len(spec["containers"]) == len(before["containers"]):
            pairs = zip(spec["containers"], before["containers"], strict=True)
            sized = [with_fields(had, resources=has.get("resources") or {}) for has, had in pairs]
            return self.counted({**old, "spec": {**before, "containers": sized}}, old)
        return super().prepare_subresource(name, new, old)

    def check_subresource(self, name: str, new: Json, old: Json) -> list[FieldError]:
        """A resize may not change the quality of service."""
        if name != "resize":
            return super().check_subresource(name, new, old)
        found = self.check(new)
        if qos_class(new["spec"]) != qos_class(old["spec"]):
            text = "Pod QOS Class may not change as a result of resizing"
            found.append(FieldError("Invalid", "spec", dig(old, "status", "qosClass"), text))
        if not _reports_resources(old):
            text = "Pod running on node without support for resize"
            found.append(FieldError("Forbidden", "spec", None, text))
        return found + _check_resize(new["spec"]["containers"], old["spec"]["containers"])

    def grace(self, obj: Json, wanted: int | None) -> int:
        """An unscheduled or finished pod goes at once; the others as asked, or as their spec says."""
        spec = obj["spec"]
        if not spec.get("nodeName") or dig(obj, "status", "phase") in {"Failed", "Succeeded"}:
            return 0
        grace = spec.get("terminationGracePeriodSeconds", 30) if wanted is None else wanted
        if wanted is None and obj["metadata"].get("deletionTimestamp"):
            return int(obj["metadata"].get("deletionGracePeriodSeconds") or 0)
        return 1 if grace < 0 else int(grace)

    def prepare_update(self, new: Json, old: Json, around: Surroundings) -> Json:
        """Keep the status; count changes of the spec."""
        del around
        return self.counted(with_fields(new, status=old.get("status")), old)


def _reports_resources(pod: Json) -> bool:
    """Whether the first running container's status tells its resources; nodes too old for resize don't."""
    running = [
        s for s in dig(pod, "status", "containerStatuses") or [] if "running" in (s.get("state") or {})
    ]
    return not running or "resources" in running[0]


def _check_resize(new: list[Json], old: list[Json]) -> list[FieldError]:
    found = []
    for index, (has, had) in enumerate(zip(new, old, strict=True)):
        sizes, before = has.get("resources") or {}, had.get("resources") or {}
        for group in ("requests", "limits"):
            if (before.get(group) or {}).keys() - (sizes.get(group) or {}).keys():
                at = f"spec.containers[{index}].resources.{group}"
                found.append(FieldError("Forbidden", at, None, f"resource {group} cannot be removed"))
        if _beside_cpu_and_memory(sizes) != _beside_cpu_and_memory(before):
            text = "only cpu and memory resources are mutable"
            found.append(FieldError("Forbidden", "spec", None, text))
    return found


def _beside_cpu_and_memory(resources: Json) -> Json:
    return {
        group: {k: v for k, v in amounts.items() if k not in {"cpu", "memory"}}
        if isinstance(amounts, dict)
        else amounts
        for group, amounts in {"requests": {}, "limits": {}, **resources}.items()
    }


def _check_deadline(spec: Json, before: Json) -> Iterator[FieldError]:
    at = "spec.activeDeadlineSeconds"
    new, old = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if new is None and old is not None:
        yield FieldError("Invalid", at, None, "must not update from a positive integer to nil value")
    elif new is not None and not 0 <= new <= 2**31 - 1:
        yield FieldError("Invalid", at, new, "must be between 0 and 2147483647, inclusive")
    elif new is not None and old is not None and old < new:
        yield FieldError("Invalid", at, new, "must be less than or equal to previous value")


def _check_tolerations(spec: Json, before: Json) -> Iterator[FieldError]:
    new, old = spec.get("tolerations") or [], before.get("tolerations") or []
    fixed = [{k: v for k, v in item.items() if k != "tolerationSeconds"} for item in new]
    for item in old:
        if item not in new and {k: v for k, v in item.items() if k != "tolerationSeconds"} not in fixed:
            text = "existing toleration can not be modified except its tolerationSeconds"
            yield FieldError("Forbidden", "spec.tolerations", None, text)
            return


def _check_gates(spec: Json, before: Json) -> list[FieldError]:
    known = {gate["name"] for gate in before.get("schedulingGates") or []}
    text = "only deletion is allowed, but found new scheduling gate '{}'"
    return [
        FieldError("Forbidden", "spec.schedulingGates", None, text.format(gate["name"]))
        for gate in spec.get("schedulingGates") or []
        if gate["name"] not in known
    ]


def _munged(spec: Json, before: Json) -> Json:
    """Return *spec* with all that may change set back to what it was."""
    fixed = dict(spec)
    for kind in ("containers", "initContainers"):
        if kind in fixed:
            pairs = zip(fixed[kind], before[kind], strict=True)
            fixed[kind] = [_with_image(container, old) for container, old in pairs]
    for name in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        _set_back(fixed, before, name)
    if before.get("terminationGracePeriodSeconds", 0) < 0 and fixed["terminationGracePeriodSeconds"] == 1:
        _set_back(fixed, before, "terminationGracePeriodSeconds")
    if before.get("schedulingGates"):  # A gated pod may still be narrowed down.
        for name in ("nodeSelector", "affinity"):
            _set_back(fixed, before, name)
    return fixed


def _with_image(container: Json, old: Json) -> Json:
    return {**container, "image": old["image"]} if "image" in old else container


def _set_back(fixed: Json, before: Json, name: str) -> None:
    value: Value = before.get(name)
    if value is None:
        fixed.pop(name, None)
    else:
        fixed[name] = value


def bound(pod: Json, node: str, annotations: Json, when: str) -> Json:
    """Return a pod as it is once it has a node."""
    pod = _with_condition(pod, {"type": "PodScheduled", "status": "True"}, when)
    pod = {**pod, "spec": {**pod["spec"], "nodeName": node}}
    if annotations:
        return with_meta(pod, annotations={**(pod["metadata"].get("annotations") or {}), **annotations})
    return pod


def evicted(pod: Json, when: str) -> Json:
    """Return the pod with the condition by which its owner learns why it goes (KEP-3329)."""
    target = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
    }
    return _with_condition(pod, target, when)


def _with_condition(pod: Json, wanted: Json, when: str) -> Json:
    """Return *pod* with a condition where its like stood; one that says the same keeps its time."""
    status = pod.get("status") or {}
    conditions = list(status.get("conditions") or [])
    at = next((i for i, has in enumerate(conditions) if has["type"] == wanted["type"]), len(conditions))
    old = conditions[at] if at < len(conditions) else {}
    since = old.get("lastTransitionTime") if old.get("status") == wanted["status"] else when
    conditions[at : at + 1] = [{**wanted, "lastProbeTime": None, "lastTransitionTime": since}]
    return {**pod, "status": {**status, "conditions": conditions}}
