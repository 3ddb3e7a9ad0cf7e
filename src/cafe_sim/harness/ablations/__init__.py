"""Safeguards switched off one by one, each to be missed by some seed: the proof that the harness can see.

The product has no switches for this. An ablation is a text of one module's source, and what stands in its
place; an import hook swaps them when the module is loaded, in a process of its own. So nothing here may
import the product: whoever switches something off does so before its first import.
"""

import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

LIST = Path(__file__).with_name("list.toml")
PRODUCT = Path(__file__).parents[3] / "cafe"


class Drifted(Exception):
    """The text of an ablation is no longer in the code, or more than once."""


@dataclass(frozen=True, slots=True)
class Edit:
    """In *file* of the product, *old* is replaced by *new*."""

    file: str
    old: str
    new: str

    @property
    def module(self) -> str:
        """Return the name of the module that the file is."""
        return "cafe." + self.file.removesuffix(".py").replace("/", ".")

    def apply(self, source: str) -> str:
        """Return the module's source without the safeguard.

        Raises:
            Drifted: The text occurs otherwise than once.
        """
        if (count := source.count(self.old)) != 1:
            raise Drifted(f"{self.old!r} occurs {count} times in {self.file}, not once")
        return source.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Ablation:
    """One safeguard, and how to do without it.

    Attributes:
        name: What is missing, in a few words.
        protects: What the safeguard protects from.
        source: Where others met the bug, or the rule's page.
        edits: Which texts are replaced: several where one safeguard stands behind another.
        kinds: Faults to draw from; empty draws from all that the contract allows.
        steps: Things that people do, to draw from; empty draws from the usual ones.
        shape: Parts of the world's shape that are not drawn.
        args: Arguments of faults that are not drawn, by kind.
        needless: Why nothing breaks, if a search is known to end without a find.
    """

    name: str
    protects: str
    source: str
    edits: tuple[Edit, ...]
    kinds: Sequence[str] = ()
    steps: Sequence[str] = ()
    shape: Mapping[str, Any] = field(default_factory=dict)
    args: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    needless: str = ""


def load_ablations(path: Path = LIST) -> dict[str, Ablation]:
    """Read the list, by name."""
    found: dict[str, Ablation] = {}
    for entry in tomllib.loads(path.read_text())["ablation"]:
        first = {name: entry.pop(name) for name in ("file", "old", "new")}
        edits = tuple(Edit(**edit) for edit in (first, *entry.pop("also", ())))
        found[entry["name"]] = Ablation(**entry, edits=edits)
    return found


def switch_off(ablation: Ablation) -> None:
    """Load the product without the safeguard from now on, in this whole process.

    Raises:
        Drifted: Too late: a module that is to be changed was loaded before.
    """
    loaded = [edit.module for edit in ablation.edits if edit.module in sys.modules]
    if loaded:
        raise Drifted(f"{', '.join(loaded)} was imported before its safeguard could be switched off")
    sys.meta_path.insert(0, _Finder(ablation.edits))


class _Finder(MetaPathFinder):
    """Finds the modules that are to be changed, and leaves all others to Python."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits = edits

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load a module that is to be changed."""
        edits = [edit for edit in self._edits if edit.module == fullname]
        spec = PathFinder.find_spec(fullname, path, target) if edits else None
        if spec is None or spec.origin is None:
            return None
        spec.loader = _Loader(fullname, spec.origin, edits)
        return spec


class _Loader(SourceFileLoader):
    """Loads a module from its changed source; neither reads nor writes compiled files."""

    def __init__(self, fullname: str, path: str, edits: Sequence[Edit]) -> None:
        super().__init__(fullname, path)
        self._edits = edits

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 -- as Python calls it
        """Return the module without its safeguard."""
        source = self.get_data(self.path).decode()
        for edit in self._edits:
            source = edit.apply(source)
        return compile(source, f"{self.path} (ablated)", "exec", dont_inherit=True)
