"""What application services offer to the others: how two revisions differ, and how risky that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from cafe.api.cafeapprevision import AppContent


class Risk(StrEnum):
    """How much care a change deserves."""

    ORDINARY = "Ordinary"
    HIGH = "High"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs.

    Attributes:
        path: Dotted; list items that have a name are told by it: `template.spec.containers[shop].image`.
        old: None if the field is new.
        new: None if the field is gone.
        why: What makes the change risky; empty for an ordinary one.
    """

    path: str
    old: Any
    new: Any
    risk: Risk = Risk.ORDINARY
    why: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All fields that differ between two contents, by path."""

    changes: Sequence[FieldChange]

    @property
    def risk(self) -> Risk:
        """The highest risk of all changes."""
        return Risk.HIGH if any(c.risk is Risk.HIGH for c in self.changes) else Risk.ORDINARY


class Compare(Protocol):
    """Compares two contents of one service."""

    def __call__(self, old: AppContent, new: AppContent) -> Comparison:
        """Return what differs, and how risky it is."""
