"""The shape of a built-in kind: a declared type of the generated table, with the kind's defaults."""

from cafe_sim.apiserver.kinds import defaults
from cafe_sim.apiserver.merging import MergeType, struct_type
from cafe_sim.apiserver.schema import types
from cafe_sim.apiserver.schema.types import Notes
from cafe_sim.apiserver.values import Value
from cafe_sim.contract import Json

defaults.install()


class BuiltinShape:
    """Objects as Go's structs would hold them.

    Attributes:
        struct: The kind's declared type.
    """

    is_builtin = True

    def __init__(self, struct: str) -> None:
        self.struct = types.struct(struct)

    def read(self, value: Value, notes: Notes, known: Value = None) -> Json:
        """Return *value* as the server stores it."""
        return types.read(self.struct, value, notes, known)

    def merge_type(self) -> MergeType:
        """Return how server-side apply merges it."""
        return struct_type(self.struct.name)

    def openapi(self) -> Json:
        """Built-in kinds are explained by their declared types; there is no other schema."""
        return {}

    def zero(self, field: str) -> Value:
        """Return the zero value of one of the kind's fields."""
        return types.read(self.struct, {}, Notes()).get(field)
