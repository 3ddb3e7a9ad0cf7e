"""What pods ask of a node, as the scheduler, the kubelet and admission count it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cafe_sim.contract import Json
from cafe_sim.machinery.quantities import milli, whole


@dataclass(frozen=True, slots=True)
class Request:
    """What a pod asks for: CPU in millicores, everything else in units (memory in bytes), and host ports."""

    resources: Mapping[str, int]
    ports: frozenset[tuple[str, str, int]] = frozenset()


def amount(resource: str, value: str | float) -> int:
    """Return a quantity in the unit in which *resource* is counted."""
    return milli(value) if resource == "cpu" else whole(value)


def request_of(pod: Json) -> Request:
    """Return what the scheduler counts for a pod (KEP-753 for init containers that keep running).

    The sum of its containers and sidecars, or more if an init container together with the sidecars
    started before it needs more; plus overhead.
    """
    spec = pod["spec"]
    total: dict[str, int] = {}
    for container in spec["containers"]:
        add_to(total, _requests(container))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        asked = _requests(container)
        if container.get("restartPolicy") == "Always":
            add_to(total, asked)
            add_to(sidecars, asked)
            asked = sidecars
        else:
            asked = {k: asked.get(k, 0) + sidecars.get(k, 0) for k in {**asked, **sidecars}}
        for name, value in asked.items():
            peak[name] = max(peak.get(name, 0), value)
    for name, value in peak.items():
        total[name] = max(total.get(name, 0), value)
    add_to(total, {k: amount(k, v) for k, v in (spec.get("overhead") or {}).items()})
    return Request(total, _host_ports(spec))


def _requests(container: Mapping[str, Any]) -> dict[str, int]:
    resources = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: amount(name, value) for name, value in asked.items()}


def add_to(total: dict[str, int], more: Mapping[str, int]) -> None:
    """Add amounts to a total, resource by resource."""
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _host_ports(spec: Mapping[str, Any]) -> frozenset[tuple[str, str, int]]:
    return frozenset(
        (port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", int(port["hostPort"]))  # noqa: S104 -- the API's "any address"
        for container in spec["containers"]
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )
