"""How a kind is declared, once: the CRD, its columns and its rules are generated from this."""

from dataclasses import dataclass

from msgspec import Struct


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule on the spec, checked by the API server at admission.

    Attributes:
        rule: Must be true; `self` is the spec, `oldSelf` the one before.
        message: What is wrong and what to do, for the person whose request is refused.
        field_path: Where the fault lies, from the object's root.
    """

    rule: str
    message: str
    field_path: str


@dataclass(frozen=True, slots=True)
class PrinterColumn:
    """One column of `kubectl get`. With *priority* 1 it shows in `-o wide` only."""

    name: str
    type: str
    json_path: str
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Scale:
    """Where `kubectl scale` and the autoscaler find their numbers."""

    spec_path: str
    status_path: str
    selector_path: str


@dataclass(frozen=True, slots=True)
class KindDeclaration:
    """Everything that the API server must know of a kind.

    Attributes:
        type: Struct of a whole object, with `spec` and `status`.
        description: First sentence of `kubectl explain`.
    """

    kind: str
    plural: str
    short_names: tuple[str, ...]
    type: type[Struct]
    description: str
    rules: tuple[Rule, ...]
    columns: tuple[PrinterColumn, ...]
    scale: Scale | None = None
