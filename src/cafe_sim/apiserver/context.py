"""Who asks, for what, and how."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from cafe_sim.apiserver.resource import Resource
from cafe_sim.contract import Json

FieldValidation = Literal["Ignore", "Warn", "Strict"]


@dataclass(frozen=True, slots=True)
class User:
    """Who asks."""

    name: str = "kubernetes-admin"
    groups: tuple[str, ...] = ("system:masters", "system:authenticated")
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""


@dataclass(slots=True)
class Context:
    """How it is asked.

    Attributes:
        manager: The field manager, from `fieldManager` or the client's name.
        is_dry_run: Do everything but store it.
        validation: What to do about unknown and duplicate fields.
        is_forced: Server-side apply takes fields from other managers.
        is_trusted: The cluster's own parts: webhooks aren't asked unless they can be without waiting.
        is_named: It is known which of those parts asks: policies judge it as everybody.
        through: The subresource that a write of the whole object came through: owners are told apart by it.
        entries: The managed fields after a server-side apply, which knows them itself.
        duplicates: What to say of the fields that the body gives twice.
        warnings: What the answer's Warning headers will say.
    """

    user: User = field(default_factory=User)
    manager: str = "unknown"
    is_dry_run: bool = False
    validation: FieldValidation = "Warn"
    is_forced: bool = False
    is_trusted: bool = False
    is_named: bool = False
    through: str = ""
    entries: list[Json] | None = None
    duplicates: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def warn(self, texts: Sequence[str]) -> None:
        """Add warnings, each only once."""
        self.warnings += [text for text in texts if text not in self.warnings]
