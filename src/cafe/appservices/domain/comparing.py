"""How two revisions differ, field by field, and which of the changes deserve care.

A rule looks at one changed field and says why it is risky, or nothing. The list of rules reads as the policy.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cafe.api.cafeapprevision import AppContent
from cafe.api.overrides import Setting, settings_by_unit
from cafe.appservices.contract import Comparison, FieldChange, Risk
from cafe.appservices.domain.content import spelled_out
from cafe.appservices.domain.drifting import name_key
from cafe.kernel import quantity

Rule = Callable[[FieldChange], str]
"""Says why a change is risky; empty if this rule has nothing against it."""

IMAGE = re.compile(
    r"^(?:template\.spec|deploy\.topology\.overrides\[[^]]+\])\.(?:init)?[cC]ontainers\[[^]]+\]\.image$"
)
RESOURCE = re.compile(r"\.resources\.(?:requests|limits)\.(\w[\w./-]*)$")
PROBE = re.compile(r"\.(liveness|readiness|startup)Probe$")
CONTAINER = re.compile(r"^template\.spec\.(?:init)?[cC]ontainers\[([^]]+)\]$")


def compare(old: AppContent, new: AppContent) -> Comparison:
    """Return all fields that differ between two contents, with the risk of each."""
    changes = [*_changes("", _common(old), _common(new)), *_unit_changes(old, new)]
    found = [_judged(change) for change in changes]
    return Comparison(tuple(sorted(found, key=lambda change: change.path)))


def _common(content: AppContent) -> dict[str, Any]:
    """Return what is said of all units alike."""
    told = spelled_out(content)
    del told["deploy"]["topology"]["overrides"]
    return told


def _unit_changes(old: AppContent, new: AppContent) -> Iterator[FieldChange]:
    """Yield what changes by overrides, unit by unit, as the pods there see it.

    An override that begins where the template's value was, or ends there, is told by that value; so it is
    judged as a change of the template would be.
    """
    before, after = (settings_by_unit(content.deploy.topology.overrides) for content in (old, new))
    for unit in sorted(before.keys() | after.keys()):
        was, will = before.get(unit, {}), after.get(unit, {})
        for setting in sorted(was.keys() | will.keys()):
            said = was.get(setting), will.get(setting)
            if said[0] == said[1]:
                continue
            place = f"containers[{setting.container}].{setting.field}" if setting.container else setting.path
            path = f"deploy.topology.overrides[{unit}].{place}"
            seen = _seen(old, unit, setting, said[0]), _seen(new, unit, setting, said[1])
            yield FieldChange(path, *(seen if seen[0] != seen[1] else said))


def _seen(content: AppContent, unit: str, setting: Setting, said: Any) -> Any:  # noqa: ANN401 -- any value of it
    """Return what a unit's pods have; nothing if there is no such unit."""
    if said is not None or unit not in content.deploy.topology.values:
        return said
    return setting.value_in(content.template)


def _judged(change: FieldChange) -> FieldChange:
    for rule in RULES:
        if why := rule(change):
            return FieldChange(change.path, change.old, change.new, Risk.HIGH, why)
    return change


def _changes(path: str, old: Any, new: Any) -> Iterator[FieldChange]:  # noqa: ANN401 -- any part of a content
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            yield from _changes(f"{path}.{key}" if path else str(key), old.get(key), new.get(key))
        return
    if isinstance(old, list) and isinstance(new, list):
        key = name_key(old or new)
        if key is not None and (not new or name_key(new) == key):
            yield from _item_changes(path, key, old, new)
            return
    yield FieldChange(path, old, new)


def _item_changes(path: str, key: str, old: Sequence[Any], new: Sequence[Any]) -> Iterator[FieldChange]:
    before = {str(item.get(key)): item for item in old}
    after = {str(item.get(key)): item for item in new}
    for name in sorted(before.keys() | after.keys()):
        yield from _changes(f"{path}[{name}]", before.get(name), after.get(name))
    kept_before = [name for name in before if name in after]
    if kept_before != [name for name in after if name in before]:
        yield FieldChange(f"{path}[order]", list(before), list(after))


def _is_less(new: Any, old: Any) -> bool:  # noqa: ANN401 -- quantities
    before, after = quantity(old), quantity(new)
    return before is not None and after is not None and after < before


def _selects(change: FieldChange) -> str:
    is_selector = change.path.startswith("selector.") or re.search(
        r"^services\[[^]]+\]\.spec\.selector\b", change.path
    )
    return "it changes which pods are found, and so where requests go" if is_selector else ""


def _takes_an_entrance_away(change: FieldChange) -> str:
    if re.match(r"^services\[[^]]+\]$", change.path) and change.new is None:
        return "who calls this Service finds nobody any more"
    if (
        re.match(r"^services\[[^]]+\]\.spec\.(ports|type|clusterIP)\b", change.path)
        and change.old is not None
    ):
        return "it changes how the application is reached"
    return ""


def _takes_resources_away(change: FieldChange) -> str:
    found = RESOURCE.search(change.path)
    if found and change.old is not None and change.new is not None and _is_less(change.new, change.old):
        return f"each pod gets less {found[1]} than it has now"
    return ""


def _reserves_nothing(change: FieldChange) -> str:
    is_resources = re.search(r"\.resources(\.requests)?$", change.path)
    if is_resources and change.old and not change.new:
        return "nothing is reserved for the container any more: it is the first to suffer on a full node"
    return ""


def _takes_a_probe_away(change: FieldChange) -> str:
    found = PROBE.search(change.path)
    if found and change.old is not None and change.new is None:
        return f"without its {found[1]} probe nobody notices a sick container"
    return ""


def _moves_the_image(change: FieldChange) -> str:
    if not IMAGE.match(change.path) or not isinstance(change.old, str) or not isinstance(change.new, str):
        return ""
    (old_registry, old_tag), (new_registry, new_tag) = image_parts(change.old), image_parts(change.new)
    if old_registry != new_registry:
        return f"the image comes from {new_registry}, not from {old_registry}"
    old_major, new_major = major(old_tag), major(new_tag)
    if old_major is not None and new_major is not None and old_major != new_major:
        return f"the major version changes from {old_major} to {new_major}"
    if new_tag in {"", "latest"} and old_tag != new_tag:
        return "a floating tag: nobody can say what will run"
    return ""


def _changes_the_containers(change: FieldChange) -> str:
    found = CONTAINER.match(change.path)
    if found and change.new is None:
        return f"container {found[1]} is gone"
    return ""


def _halves_the_pods(change: FieldChange) -> str:
    if change.path != "elasticity.replicas":
        return ""
    old, new = change.old or 1, change.new if change.new is not None else 1
    return f"{new} pods are left of {old}" if new * 2 <= old else ""


def _takes_the_reserve_away(change: FieldChange) -> str:
    if change.path == "elasticity.autoscaling" and change.old and not change.new:
        return "nobody adds pods under load any more"
    if change.path == "elasticity.autoscaling.maxReplicas" and change.new and change.old:
        less = f"under load there are {change.new} pods at most, where there were {change.old}"
        return less if change.new * 2 <= change.old else ""
    if change.path == "elasticity.autoscaling.minReplicas" and change.old:
        left = change.new or 1
        return f"without load {left} pods are left of {change.old}" if left * 2 <= change.old else ""
    return ""


def _weakens_the_release(change: FieldChange) -> str:
    path = change.path.removeprefix("deploy.strategy.")
    if path == "needWaitingForConfirm" and not change.new:
        return "nobody is asked between the groups any more"
    if path == "upgradeType" and change.new == "Batch":
        return "no Beta goes ahead of the groups any more"
    if path == "maxUnavailable" and change.new == "100%":
        return "all pods of a unit may be away at once"
    return ""


def _shortens_the_farewell(change: FieldChange) -> str:
    if change.path == "template.spec.terminationGracePeriodSeconds":
        old = change.old if change.old is not None else 30
        new = change.new if change.new is not None else 30
        return "pods get less time to end what they began" if new < old else ""
    if change.path.endswith(".lifecycle.preStop") and change.new is None:
        return "pods no longer say good-bye before they end"
    return ""


def _lets_volumes_go(change: FieldChange) -> str:
    is_policy = change.path.startswith("persistentVolumeClaimRetentionPolicy.")
    return (
        "volumes are deleted with their pods, and what is on them"
        if is_policy and change.new == "Delete"
        else ""
    )


def _gives_power(change: FieldChange) -> str:
    powers = ("hostNetwork", "hostPID", "hostIPC", "privileged", "allowPrivilegeEscalation")
    if change.path.rsplit(".", 1)[-1] in powers and change.new is True:
        return "the pod may reach into its node"
    if change.path == "template.spec.serviceAccountName":
        return "the pod acts under another name"
    return ""


RULES: tuple[Rule, ...] = (
    _selects,
    _takes_an_entrance_away,
    _takes_resources_away,
    _reserves_nothing,
    _takes_a_probe_away,
    _moves_the_image,
    _changes_the_containers,
    _halves_the_pods,
    _takes_the_reserve_away,
    _weakens_the_release,
    _shortens_the_farewell,
    _lets_volumes_go,
    _gives_power,
)


def image_parts(image: str) -> tuple[str, str]:
    """Return registry with repository, and tag, of an image reference; a digest is no tag."""
    bare = image.split("@", 1)[0]
    repository, colon, tag = bare.rpartition(":")
    if not colon or "/" in tag:
        return bare, ""
    return repository, tag


def major(tag: str) -> str | None:
    """Return the major version that a tag begins with; None if it has none."""
    found = re.match(r"^v?(\d+)(?:[.\-_]|$)", tag)
    return found[1] if found else None
