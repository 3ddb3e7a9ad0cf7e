"""The rules of custom resources: by their schema, its CEL rules, and their subresources."""

from cafe_sim.apiserver.crds.expressions import Judge
from cafe_sim.apiserver.crds.validation import check_value
from cafe_sim.apiserver.errors import FieldError
from cafe_sim.apiserver.resource import Rules, Surroundings
from cafe_sim.apiserver.values import Path, Value, dig, same_but, with_fields, with_meta
from cafe_sim.contract import Json

_BLOCKING = {"NotSupported", "Required", "TooLong", "TooMany", "TypeInvalid"}
"""With such errors an object isn't fit for CEL."""

_UNCHECKED = FieldError(
    "Invalid",
    "<nil>",
    None,
    "some validation rules were not checked because the object was invalid; correct the existing errors to "
    "complete validation",
)


class CustomRules(Rules):
    """What may be done with objects of a custom kind.

    Args:
        schema: `openAPIV3Schema` of the version.
        has_status: The version has a status subresource.
        fields: `selectableFields`.
        counts: Paths of the scale subresource that must hold counts, such as `.spec.replicas`.
    """

    has_generation = True
    needs_version = True
    takes_any_finalizer = True
    status_keeps = None

    def __init__(
        self, schema: Json, *, has_status: bool, fields: dict[str, Path], counts: tuple[str, ...] = ()
    ) -> None:
        self._counts = counts
        self._schema = schema
        self._judge = Judge(schema)
        self.has_status = has_status
        self.fields = fields

    def prepare_create(self, obj: Json, around: Surroundings) -> Json:
        """Drop a status that has a door of its own."""
        del around
        return with_meta(with_fields(obj, status=None) if self.has_status else obj, generation=1)

    def is_same_intent(self, new: Json, old: Json) -> bool:
        """Everything but metadata and status is intent."""
        names = ("metadata", "status") if self.has_status else ("metadata",)
        return same_but(old, new, *names)

    def check(self, obj: Json) -> list[FieldError]:
        """Check schema and rules."""
        return self._check(obj, None)

    def check_update(self, new: Json, old: Json) -> list[FieldError]:
        """Check schema and rules, also those about steps."""
        return self._check(new, old)

    def check_status_update(self, new: Json, old: Json) -> list[FieldError]:
        """As for the object: the schema of the status holds here too."""
        return self._check(new, old)

    def _check(self, new: Json, old: Json | None) -> list[FieldError]:
        if old is not None and same_but(old, new, "metadata"):
            return []  # What is stored may break rules that came later; only what changes is judged.
        found = list(check_value(self._schema, new, "", old))
        found += [error for path in self._counts for error in _check_count(new, path)]
        if self._judge.is_idle:
            return found
        if any(error.kind in _BLOCKING for error in found):
            return [*found, _UNCHECKED]
        return found + list(self._judge.check(new, old))


_MOST = 2**31 - 1


def _check_count(obj: Json, path: str) -> list[FieldError]:
    """What `/scale` shows must be a count."""
    value: Value = dig(obj, *path.strip(".").split("."))
    if value is None:
        return []
    if type(value) is not int:
        kind = {str: "string", bool: "bool", float: "float64"}.get(type(value), "map[string]interface {}")
        text = f"{path} accessor error: {value} is of the type {kind}, expected int64"
        return [FieldError("Invalid", path, 0, text)]
    if value < 0:
        return [FieldError("Invalid", path, value, "should be a non-negative integer")]
    if value > _MOST:
        return [FieldError("Invalid", path, value, f"should be less than or equal to {_MOST}")]
    return []
