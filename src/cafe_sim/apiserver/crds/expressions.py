"""CEL: the rules in `x-kubernetes-validations`, with the library functions that Kubernetes adds.

A rule that names `oldSelf` judges a step: it is skipped where there is no old value to compare with, that is
on creation, and for items of lists that can't be told apart by keys.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import cel

from cafe_sim.apiserver.crds.structural import CustomType
from cafe_sim.apiserver.errors import UNSHOWN, FieldError
from cafe_sim.apiserver.fieldsets import elements
from cafe_sim.apiserver.schema.quantities import BadQuantityError, amount
from cafe_sim.apiserver.values import Value
from cafe_sim.contract import Json

_REASONS = {
    "FieldValueInvalid": "Invalid",
    "FieldValueForbidden": "Forbidden",
    "FieldValueRequired": "Required",
    "FieldValueDuplicate": "Duplicate",
}
_BAD_PROGRAM = (ValueError, RuntimeError, TypeError)


def _is_quantity(text: str) -> bool:
    try:
        amount(text)
    except BadQuantityError:
        return False
    return True


def _replace(text: str, old: str, new: str) -> str:
    return text.replace(old, new)


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "isSorted": lambda items: all(a <= b for a, b in pairwise(items)),
    "sum": sum,
    "indexOf": lambda where, what: where.index(what) if what in where else -1,
    "split": lambda text, by: text.split(by),
    "join": lambda items, by="": by.join(items),
    "lowerAscii": lambda text: text.lower(),
    "upperAscii": lambda text: text.upper(),
    "trim": lambda text: text.strip(),
    "replace": _replace,
    "substring": lambda text, start, end=None: text[start:end],
    "isQuantity": _is_quantity,
    "quantity": lambda text: float(amount(text)),
    "isGreaterThan": lambda a, b: a > b,
    "isLessThan": lambda a, b: a < b,
}
"""What Kubernetes adds to CEL, as far as it can be called without new types."""


_MOST_HELD = 1024


class Program(Protocol):
    """A compiled expression."""

    def execute(self, context: dict[str, Value] | cel.Context | None = None, /) -> Value:
        """Return what it comes to."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule."""

    program: Program
    text: str
    is_step: bool
    message: str
    message_program: Program | None
    kind: str
    field: str
    held: dict[tuple[int, int], tuple[Value, Value]]
    """Pairs that it let pass: values are shared and never change, so it would let them pass again."""


class BadRuleError(ValueError):
    """A rule can't be compiled."""


def compile_rule(item: Json) -> Rule:
    """Compile an entry of `x-kubernetes-validations`.

    Raises:
        BadRuleError: Its expression is no CEL.
    """
    text = item.get("rule", "").strip()
    told = item.get("messageExpression")
    try:
        program = cel.compile(text)
        message_program = cel.compile(told) if told else None
    except _BAD_PROGRAM as error:
        raise BadRuleError(f"compilation failed: {error}") from error
    return Rule(
        program=program,
        text=text,
        is_step="oldSelf" in program.variables(),
        message=item.get("message") or f"failed rule: {text}",
        message_program=message_program,
        kind=_REASONS.get(item.get("reason", ""), "Invalid"),
        field=item.get("fieldPath", ""),
        held={},
    )


class Judge:
    """All rules of a schema, compiled once.

    Raises:
        BadRuleError: A rule can't be compiled.
    """

    def __init__(self, schema: Json) -> None:
        self._schema = schema
        self._type = CustomType(schema)
        self._rules = [compile_rule(item) for item in schema.get("x-kubernetes-validations") or []]
        self._fields = _judges(schema.get("properties") or {})
        rest, items = schema.get("additionalProperties"), schema.get("items")
        self._rest = Judge(rest) if isinstance(rest, dict) else None
        self._items = Judge(items) if isinstance(items, dict) else None
        below = [*self._fields.values(), *filter(None, (self._rest, self._items))]
        self.is_idle: bool = not self._rules and all(judge.is_idle for judge in below)
        """There is no rule here or below."""
        self.has_steps: bool = any(rule.is_step for rule in self._rules) or any(j.has_steps for j in below)
        """There is a rule about steps here or below."""

    def check(self, new: Value, old: Value, at: str = "") -> Iterator[FieldError]:
        """Yield what the rules say against *new*, which replaces *old* (None if nothing did).

        What has not changed is not judged again, but by rules about steps (KEP-4008).
        """
        if new is old and not self.has_steps:
            return
        for rule in self._rules:
            if (old is not None) if rule.is_step else new is not old:
                yield from _judged(rule, new, old, at)
        if isinstance(new, dict):
            before = old if isinstance(old, dict) else {}
            for name, item in new.items():
                judge = self._fields.get(name, self._rest)
                if judge is not None and not judge.is_idle:
                    yield from judge.check(item, before.get(name), f"{at}.{name}" if at else name)
        elif isinstance(new, list) and self._items is not None and not self._items.is_idle:
            yield from self._check_items(self._items, new, old, at)

    def _check_items(self, judge: "Judge", new: list[Value], old: Value, at: str) -> Iterator[FieldError]:
        keyed = self._type.kind == "keyed"
        before = (elements(self._type, old) or {}) if keyed and old is not None else {}
        names = list(elements(self._type, new) or {}) if keyed else []
        for index, item in enumerate(new):
            had = before.get(names[index]) if keyed and len(names) == len(new) else None
            yield from judge.check(item, had, f"{at}[{index}]")


def _judges(properties: Json) -> dict[str, Judge]:
    return {name: Judge(inner) for name, inner in properties.items()}


def _judged(rule: Rule, new: Value, old: Value, at: str) -> Iterator[FieldError]:
    pair = (id(new), id(old))
    if pair in rule.held:
        return
    value = UNSHOWN if isinstance(new, dict | list) else new
    context = cel.Context(variables={"self": new, "oldSelf": old}, functions=FUNCTIONS)
    where = f"{at}{rule.field}" if rule.field else at
    try:
        if rule.program.execute(context) is True:
            if len(rule.held) > _MOST_HELD:
                rule.held.clear()
            rule.held[pair] = (new, old)  # Both are kept, or their identities could be given to others.
            return
    except _BAD_PROGRAM as error:
        yield FieldError("Invalid", where, value, f"rule evaluation error: {error}: {rule.text}")
        return
    message = rule.message
    if rule.message_program is not None:
        try:
            message = str(rule.message_program.execute(context))
        except _BAD_PROGRAM:
            message = rule.message  # As the real server: a message that fails gives way to the plain one.
    detail = "" if rule.kind == "Duplicate" else message  # Go's field.Duplicate takes none.
    yield FieldError(rule.kind, where or "<nil>", value, detail)
