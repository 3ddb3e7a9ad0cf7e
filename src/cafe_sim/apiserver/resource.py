"""What a resource is: its names, its shape and its rules. Built-in and custom ones look alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from cafe.kernel import Entropy
from cafe_sim.apiserver.errors import FieldError, qualified
from cafe_sim.apiserver.merging import MergeType
from cafe_sim.apiserver.names import NameRule, dns_subdomain
from cafe_sim.apiserver.schema.types import Notes
from cafe_sim.apiserver.values import Path, Value, with_fields, with_meta
from cafe_sim.contract import Json

META_FIELDS: Mapping[str, Path] = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
}
ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Surroundings(Protocol):
    """What rules may know of the world around an object."""

    @property
    def entropy(self) -> Entropy:
        """Where chance comes from."""

    def now(self) -> datetime:
        """Return the world's time."""

    def find(self, resource: str, namespace: str, name: str) -> Json | None:
        """Return an object of any resource, or None."""

    def every(self, resource: str, namespace: str | None = None) -> list[Json]:
        """Return all objects of a resource."""


class Shape(Protocol):
    """What objects of a resource look like."""

    is_builtin: bool

    def read(self, value: Value, notes: Notes, known: Value = None) -> Json:
        """Return *value* as the server stores it: pruned, defaulted, canonical.

        Raises:
            BadTypeError: A value doesn't fit its field.
        """

    def merge_type(self) -> MergeType:
        """Return how server-side apply merges it."""

    def openapi(self) -> Json:
        """Return the schema of a custom kind."""


class Rules:
    """What may be done with objects of a kind; each kind's own rules derive from it.

    Attributes:
        has_status: Status is written through `/status` alone.
        has_generation: `metadata.generation` counts changes of the spec.
        status_keeps: What of the metadata `/status` leaves alone; None is all of it. It differs by kind, and
            is as the strategies of the real server have it.
        returns_deleted: A finished delete answers with the object and not with a Status.
        needs_version: A PUT must say which version it replaces.
        makes_on_update: A PUT to a free name creates.
        takes_any_finalizer: A finalizer need not have a domain; the core kinds are stricter.
        name_rule: What may be a name.
        fields: What field selectors may use, beside name and namespace.
    """

    has_status = False
    has_generation = False
    status_keeps: tuple[str, ...] | None = ()
    returns_deleted = False
    needs_version = False
    makes_on_update = False
    takes_any_finalizer = False
    name_rule: NameRule = staticmethod(dns_subdomain)
    fields: Mapping[str, Path] = {}

    def prepare_create(self, obj: Json, around: Surroundings) -> Json:
        """Return a new object as it begins its life."""
        del around
        if self.has_status:
            obj = with_fields(obj, status=self.first_status(obj))
        return with_meta(obj, generation=1) if self.has_generation else with_meta(obj, generation=None)

    def first_status(self, obj: Json) -> Json | None:
        """Return the status that a new object has, whatever the client sent."""
        del obj
        return None

    def prepare_update(self, new: Json, old: Json, around: Surroundings) -> Json:
        """Return an update with what it may not touch taken from *old*, and its generation."""
        del around
        if self.has_status:
            new = with_fields(new, status=old.get("status"))
        return self.counted(new, old) if self.has_generation else new

    def counted(self, new: Json, old: Json) -> Json:
        """Return *new* with its generation raised if what the user wants has changed."""
        if self.is_same_intent(new, old):
            return new
        return with_meta(new, generation=old["metadata"].get("generation", 0) + 1)

    def is_same_intent(self, new: Json, old: Json) -> bool:
        """Tell whether the generation stays."""
        return bool(new.get("spec") == old.get("spec"))

    def prepare_status(self, new: Json, old: Json) -> Json:
        """Return an update through `/status`: the status counts, and of the metadata what the kind allows."""
        kept = {**old, "status": new["status"]} if "status" in new else {**old}
        if "status" not in new:
            kept.pop("status", None)
        if self.status_keeps is None:
            return kept
        meta = {name: old["metadata"].get(name) for name in self.status_keeps}
        return {**kept, "metadata": with_fields(new["metadata"], **meta)}

    def prepare_subresource(self, name: str, new: Json, old: Json) -> Json:
        """Return an update through a subresource: only its part of the object counts."""
        return self.prepare_status(new, old) if name == "status" else old

    def check_subresource(self, name: str, new: Json, old: Json) -> list[FieldError]:
        """Return what is wrong with a step through a subresource."""
        return self.check_status_update(new, old) if name == "status" else []

    def check(self, obj: Json) -> list[FieldError]:
        """Return what is wrong with an object, at any time."""
        del obj
        return []

    def check_update(self, new: Json, old: Json) -> list[FieldError]:
        """Return what is wrong with the step from *old* to *new*."""
        del old
        return self.check(new)

    def check_status_update(self, new: Json, old: Json) -> list[FieldError]:
        """Return what is wrong with a step through `/status`."""
        del new, old
        return []

    def grace(self, obj: Json, wanted: int | None) -> int | None:
        """Return the seconds between the delete and the end; None if the kind goes at once."""
        del obj, wanted
        return None

    def begin_deletion(self, obj: Json) -> Json | None:
        """Return the object as a delete leaves it if the kind has its own way to go (namespaces), or None."""
        del obj
        return None

    def may_go(self, obj: Json) -> bool:
        """Tell whether nothing but finalizers holds an object that is being deleted."""
        return not obj["metadata"].get("deletionGracePeriodSeconds")


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One resource in one version.

    Attributes:
        key: Where it is stored; versions of one resource share it.
        subresources: Their names, such as `status`.
        to_store: Turns this version's objects into stored ones.
        from_store: And back.
        is_shown: Tells which stored objects are there at all; None shows all.
    """

    group: str
    version: str
    plural: str
    kind: str
    is_namespaced: bool
    shape: Shape
    rules: Rules
    key: str
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    verbs: tuple[str, ...] = ALL_VERBS
    to_store: Callable[[Json], Json] | None = None
    from_store: Callable[[Json], Json] | None = None
    is_shown: Callable[[Json], bool] | None = None
    columns: tuple[Json, ...] = field(default=())

    @property
    def api_version(self) -> str:
        """`group/version`, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """As in `kubectl api-resources -o name`."""
        return qualified(self.plural, self.group)

    @property
    def selectable(self) -> Mapping[str, Path]:
        """What field selectors may use."""
        meta = META_FIELDS if self.is_namespaced else {"metadata.name": META_FIELDS["metadata.name"]}
        return {**meta, **self.rules.fields}

    def shows(self, obj: Json) -> bool:
        """Tell whether a stored object is one of this resource."""
        return self.is_shown is None or self.is_shown(obj)

    def present(self, obj: Json) -> Json:
        """Return a stored object in this version."""
        if self.from_store is not None:
            return self.from_store(obj)
        if obj.get("apiVersion") == self.api_version:
            return obj
        return with_fields(obj, apiVersion=self.api_version)

    def stored(self, obj: Json) -> Json:
        """Return an object of this version as it is stored."""
        return self.to_store(obj) if self.to_store is not None else obj
