"""Label selectors, read once and matched often."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Requirement:
    """One expression: *key* *operator* *values*, operators as in `metav1.LabelSelectorRequirement`."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether *labels* fulfil it. NotIn is fulfilled by labels that lack the key."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
        return False


@dataclass(frozen=True, slots=True)
class Selector:
    """A `metav1.LabelSelector`. One without requirements matches everything."""

    requirements: tuple[Requirement, ...]
    matches_nothing: bool = False
    equal: Mapping[str, str] = field(default_factory=dict)
    """Labels that must be there as they are: `matchLabels`."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether *labels* fulfil every requirement."""
        if self.matches_nothing or not self.equal.items() <= labels.items():
            return False
        return not self.requirements or all(r.matches(labels) for r in self.requirements)

    @property
    def is_empty(self) -> bool:
        """Whether it has no requirement at all, and so matches everything."""
        return not self.requirements and not self.equal and not self.matches_nothing


NOTHING = Selector((), matches_nothing=True)


def selector_of(source: Mapping[str, Any] | None) -> Selector:
    """Read a `metav1.LabelSelector`; None selects nothing, `{}` everything."""
    if source is None:
        return NOTHING
    expressions = tuple(
        Requirement(e["key"], e["operator"], frozenset(e.get("values") or ()))
        for e in source.get("matchExpressions") or ()
    )
    return Selector(expressions, equal=source.get("matchLabels") or {})


def selector_from_map(labels: Mapping[str, str] | None) -> Selector:
    """Read a Service's plain map; None or an empty one selects nothing."""
    return selector_of({"matchLabels": labels}) if labels else NOTHING
