"""CPU and memory of containers, and which changes of them a living pod can take (KEP-1287).

Amounts are flat: `{"requests.cpu": "250m", "limits.memory": "1Gi"}`. What a container is limited to but does
not request is requested too, as the API server fills it in: else a change of the limit alone would change the
pod's quality of service, which the server refuses.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cafe.kernel import quantity

Amounts = Mapping[str, str]

RESIZABLE = ("cpu", "memory")


@dataclass(frozen=True, slots=True)
class Size:
    """What a container is to have.

    Attributes:
        amounts: All of its CPU and memory, also what does not change.
        restarts: Whether its resizePolicy has it restarted for this change.
        is_same: Whether the amounts are only written otherwise than before.
    """

    amounts: Amounts
    restarts: bool = False
    is_same: bool = False


def amounts_of(resources: Mapping[str, Any] | None) -> dict[str, str]:
    """Return a container's CPU and memory as the API server would fill them in."""
    held = resources or {}
    limits, requests = held.get("limits") or {}, held.get("requests") or {}
    requests = {name: limits[name] for name in RESIZABLE if name in limits} | dict(requests)
    return {
        f"{group}.{name}": str(amounts[name])
        for group, amounts in (("limits", limits), ("requests", requests))
        for name in RESIZABLE
        if name in amounts
    }


def size_between(was: Mapping[str, Any], will: Mapping[str, Any]) -> Size | None:
    """Return the new size of a container whose `resources` differ; None if a living pod can't take it.

    Only an amount of CPU or memory that was there before can be changed.
    """
    if _other(was.get("resources")) != _other(will.get("resources")):
        return None
    old, new = amounts_of(was.get("resources")), amounts_of(will.get("resources"))
    if old.keys() != new.keys():
        return None
    moved = {key.partition(".")[2] for key in new if not are_equal(old[key], new[key])}
    policies = {p.get("resourceName"): p.get("restartPolicy") for p in will.get("resizePolicy") or ()}
    return Size(new, any(policies.get(name) == "RestartContainer" for name in moved), not moved)


def _other(resources: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return all but CPU and memory: devices, ephemeral storage, claims."""
    left: dict[str, Any] = {}
    for group, held in (resources or {}).items():
        if not isinstance(held, Mapping):
            left[group] = held
        elif kept := {name: amount for name, amount in held.items() if name not in RESIZABLE}:
            left[group] = kept
    return left


def quality_of(spec: Mapping[str, Any]) -> str:
    """Return a pod's quality of service class: `BestEffort`, `Burstable` or `Guaranteed`."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    sizes = [amounts_of(container.get("resources")) for container in containers]
    if not any(is_some(amount) for size in sizes for amount in size.values()):
        return "BestEffort"
    return "Guaranteed" if all(map(_is_guaranteed, sizes)) else "Burstable"


def is_some(amount: str) -> bool:
    """Whether an amount is more than nothing."""
    return bool(quantity(amount))


def _is_guaranteed(size: Amounts) -> bool:
    return all(
        f"limits.{name}" in size
        and is_some(size[f"limits.{name}"])
        and are_equal(size[f"limits.{name}"], size[f"requests.{name}"])
        for name in RESIZABLE
    )


def are_equal(one: str, other: str) -> bool:
    """Whether two quantities are the same amount: `0.5` and `500m`."""
    return one == other or (quantity(one) is not None and quantity(one) == quantity(other))


def has(held: Amounts | None, wanted: Amounts) -> bool:
    """Whether each wanted amount is held."""
    return held is not None and all(key in held and are_equal(held[key], wanted[key]) for key in wanted)


def as_resources(amounts: Amounts) -> dict[str, dict[str, str]]:
    """Return amounts as `resources` of a container."""
    resources: dict[str, dict[str, str]] = {}
    for key, amount in amounts.items():
        group, _, name = key.partition(".")
        resources.setdefault(group, {})[name] = amount
    return resources


def sized_paths(names: Iterable[str]) -> tuple[str, ...]:
    """Return the paths of containers' sizes, as a person would write them."""
    return tuple(f"spec.containers[{name}].resources" for name in sorted(names))
