"""What single units have otherwise than the others: how it is said, and whether it hits anything.

An override says its units, and of the pod template what is otherwise there. Several may name one unit, but no
two of them may set the same thing, so their order means nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from cafe.api.declaration import Rule
from cafe.api.names import APP_LABEL, POD_REVISION_LABEL, REVISION_LABEL, UNIT_LABEL
from cafe.api.selectors import matches
from cafe.api.shapes import IntOrPercent, LabelSelector, LabelValue, PodTemplate
from cafe.kernel import Refusal, quantity

OWN_LABELS = (APP_LABEL, UNIT_LABEL, POD_REVISION_LABEL, REVISION_LABEL)
"""Labels that CAFE writes on each pod, whatever its template says."""

ROOMS = ("containers", "initContainers")
"""Where a PodSpec has its containers; a name is in one of them only."""

Text = Annotated[str, Meta(min_length=1, max_length=4096)]
Amounts = dict[str, IntOrPercent]


class EnvOverride(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One environment variable, as in core/v1."""

    name: Annotated[str, Meta(min_length=1, max_length=256, description="Name of the variable.")]
    value: Annotated[str | None, Meta(description="Its value; empty without valueFrom.")] = None
    value_from: Annotated[
        dict[str, Any],
        Meta(
            description="Where its value comes from: an EnvVarSource of core/v1.",
            extra_json_schema={"x-kubernetes-preserve-unknown-fields": True},
        ),
    ] = field(default_factory=dict)


class ResourceOverride(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Amounts that a container has otherwise; those that aren't named stay as the template says."""

    limits: Annotated[Amounts, Meta(max_length=16, description="Most that it may use.")] = field(
        default_factory=dict
    )
    requests: Annotated[Amounts, Meta(max_length=16, description="What is reserved for it.")] = field(
        default_factory=dict
    )


class ContainerOverride(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What one container of the template has otherwise; init containers can be named, too."""

    name: Annotated[str, Meta(min_length=1, max_length=63, description="Container of the template.")]
    image: Annotated[Text | None, Meta(description="Its image.")] = None
    env: Annotated[
        list[EnvOverride],
        Meta(
            max_length=32,
            description="Variables that it has otherwise, or more than the template says; those come last, "
            "in the order of their names.",
            extra_json_schema={"x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = field(default_factory=list)
    resources: Annotated[ResourceOverride | None, Meta(description="Amounts that it has otherwise.")] = None


class UnitOverride(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What the pods of some units have otherwise than the template says."""

    units: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=63)]],
        Meta(
            min_length=1,
            max_length=64,
            description="Which units; each is one of topology.values.",
            extra_json_schema={"x-kubernetes-list-type": "set"},
        ),
    ]
    labels: Annotated[
        dict[str, LabelValue],
        Meta(max_length=32, description="Labels that their pods have otherwise, or more."),
    ] = field(default_factory=dict)
    annotations: Annotated[
        dict[str, str],
        Meta(max_length=32, description="Annotations that their pods have otherwise, or more."),
    ] = field(default_factory=dict)
    containers: Annotated[
        list[ContainerOverride],
        Meta(
            max_length=32,
            description="Containers that are otherwise there.",
            extra_json_schema={"x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = field(default_factory=list)


Overrides = Annotated[
    list[UnitOverride],
    Meta(
        max_length=64,
        description="What the pods of single units have otherwise than the template says. Several may name "
        "one unit; no two of them may set the same thing.",
    ),
]
"""The overrides of a topology, wherever they are said."""


def override_rules(topology: str) -> tuple[Rule, ...]:
    """Return the rules on the overrides of a topology, whose place in the spec is given."""
    held = f"self.{topology}.overrides"
    place = f".spec.{topology}.overrides"

    def each(demand: str, message: str) -> Rule:
        return Rule(f"!has({held}) || {held}.all(o, {demand})", f"{topology}.overrides {message}", place)

    return (
        each(
            f"o.units.all(u, has(self.{topology}.values) && u in self.{topology}.values)",
            f"names a unit that {topology}.values doesn't name",
        ),
        each(
            "(has(o.labels) && size(o.labels) > 0) || (has(o.annotations) && size(o.annotations) > 0) || "
            "(has(o.containers) && size(o.containers) > 0)",
            "has an entry that sets nothing: it needs labels, annotations or containers",
        ),
        each(
            "!has(o.containers) || o.containers.all(c, has(c.image) || (has(c.env) && size(c.env) > 0) || "
            "(has(c.resources) && ((has(c.resources.limits) && size(c.resources.limits) > 0) || "
            "(has(c.resources.requests) && size(c.resources.requests) > 0))))",
            "names a container and sets nothing of it: it needs image, env or resources",
        ),
        each(
            "!has(o.containers) || o.containers.all(c, !has(c.env) || "
            "c.env.all(e, !has(e.value) || !has(e.valueFrom)))",
            "gives a variable both value and valueFrom: it can have one of them",
        ),
    )


@dataclass(frozen=True, slots=True, order=True)
class Setting:
    """One thing that an override can set.

    Attributes:
        container: Whose it is; empty if it is a pod's.
        kind: `labels`, `annotations`, `image`, `env`, `limits` or `requests`.
        key: Which of them; empty for an image.
    """

    container: str
    kind: str
    key: str = ""

    @property
    def path(self) -> str:
        """Return how people call it: `app.image`, `app.resources.limits.cpu`, `labels[x]`."""
        if not self.container:
            return f"{self.kind}[{self.key}]"
        return f"{self.container}.{self.field}"

    @property
    def is_amount(self) -> bool:
        """Whether it is an amount of something."""
        return self.kind in {"limits", "requests"}

    @property
    def field(self) -> str:
        """Return what it is of its container."""
        if self.is_amount:
            return f"resources.{self.kind}.{self.key}"
        return f"{self.kind}[{self.key}]" if self.key else self.kind

    def value_in(self, template: PodTemplate) -> Any:  # noqa: ANN401 -- text, an amount or a variable
        """Return what a template says of it; None if it says nothing."""
        if not self.container:
            return getattr(template.metadata, self.kind).get(self.key)
        container = container_of(template, self.container) or {}
        if self.kind == "image":
            return container.get("image")
        if self.kind == "env":
            found = [e for e in container.get("env") or () if e.get("name") == self.key]
            return variable(found[-1]) if found else None
        return ((container.get("resources") or {}).get(self.kind) or {}).get(self.key)

    def is_equal(self, one: Any, other: Any) -> bool:  # noqa: ANN401 -- as above
        """Whether two values of it mean the same: `0.5` and `500m` of an amount."""
        if self.is_amount and one is not None and other is not None:
            amount = quantity(one)
            return str(one) == str(other) or (amount is not None and amount == quantity(other))
        return bool(one == other)


def variable(held: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a variable of core/v1 is, without its name; equal ones are written alike."""
    if source := held.get("valueFrom"):
        return {"valueFrom": source}
    return {"value": held.get("value") or ""}


def container_of(template: PodTemplate, name: str) -> Mapping[str, Any] | None:
    """Return a container of the template, or an init container; None if there is none of that name."""
    for room in ROOMS:
        for container in template.spec.get(room) or ():
            if container.get("name") == name:
                found: Mapping[str, Any] = container
                return found
    return None


def settings_of(entry: UnitOverride) -> dict[Setting, Any]:
    """Return what one entry sets."""
    found: dict[Setting, Any] = {Setting("", "labels", k): v for k, v in entry.labels.items()}
    found |= {Setting("", "annotations", k): v for k, v in entry.annotations.items()}
    for container in entry.containers:
        if container.image is not None:
            found[Setting(container.name, "image")] = container.image
        for one in container.env:
            found[Setting(container.name, "env", one.name)] = variable(msgspec.to_builtins(one))
        for kind in ("limits", "requests"):
            amounts: Amounts = getattr(container.resources, kind) if container.resources else {}
            found |= {Setting(container.name, kind, key): amount for key, amount in amounts.items()}
    return found


def settings_by_unit(overrides: Sequence[UnitOverride]) -> dict[str, dict[Setting, Any]]:
    """Return, for each unit that has something otherwise, what that is."""
    found: dict[str, dict[Setting, Any]] = {}
    for entry in overrides:
        for unit in entry.units:
            found.setdefault(unit, {}).update(settings_of(entry))
    return {unit: settings for unit, settings in found.items() if settings}


def demand_hits(selector: LabelSelector, template: PodTemplate, overrides: Sequence[UnitOverride]) -> None:
    """Refuse overrides that hit nothing, contradict each other, or lead pods away from their selector.

    Raises:
        Refusal: `BadOverride` or `SelectorMismatch`.
    """
    seen: set[tuple[str, Setting]] = set()
    for entry in overrides:
        for setting, value in settings_of(entry).items():
            if twice := [unit for unit in entry.units if (unit, setting) in seen]:
                raise Refusal(
                    "BadOverride",
                    f"Two overrides of {', '.join(twice)} set {setting.path}.",
                    "Which of them holds, nobody could say.",
                    "Set it in one of them only.",
                )
            seen |= {(unit, setting) for unit in entry.units}
            _demand_hit(template, setting, value, ", ".join(entry.units))
    for unit, settings in sorted(settings_by_unit(overrides).items()):
        labels = {s.key: v for s, v in settings.items() if s.kind == "labels"}
        if not matches(selector, template.metadata.labels | labels):
            raise Refusal(
                "SelectorMismatch",
                f"spec.selector does not match the labels that an override gives to the pods of {unit}.",
                "The pods that are made there would not belong to the set.",
                "Take those labels away that the selector asks for.",
            )


def _demand_hit(template: PodTemplate, setting: Setting, value: Any, units: str) -> None:  # noqa: ANN401 -- as above
    """Refuse what changes nothing of the template.

    Raises:
        Refusal: `BadOverride`.
    """
    if setting.container and container_of(template, setting.container) is None:
        there = [str(c.get("name")) for room in ROOMS for c in template.spec.get(room) or ()]
        raise Refusal(
            "BadOverride",
            f"The override of {units} names a container {setting.container}, which the template lacks.",
            f"It has: {', '.join(there)}.",
            "Correct the name, or take the override away.",
        )
    if setting.kind == "labels" and setting.key in OWN_LABELS:
        raise Refusal(
            "BadOverride",
            f"The override of {units} sets {setting.path}, which CAFE writes itself.",
            "So it would change nothing.",
            "Take it away.",
        )
    if setting.is_amount and quantity(value) is None:
        raise Refusal(
            "BadOverride",
            f"The override of {units} sets {setting.path} to {value!r}, which is no amount.",
            "No pod could be made there.",
            "Write a quantity, such as 500m or 1Gi.",
        )
    if setting.is_equal(value, setting.value_in(template)):
        raise Refusal(
            "BadOverride",
            f"The override of {units} sets {setting.path} to what the template says.",
            "It changes nothing now, and would keep the next change of the template away from there.",
            "Take it away, or set something else.",
        )
