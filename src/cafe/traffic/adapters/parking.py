"""Registrations of a directory, how they are taken away without being lost, and put back.

    /dubbo/shop.Cart/providers                       what consumers read
                     providers.cafe/parked-<name>    a registration that was taken away, with its data
                                    restored-<name>  a mark: the registration of that name was put back by us

An application registers itself by ephemeral nodes of its own session, and nobody else can make a node of that
session. So a registration that has to be put back (an operation that was called off: the application runs on
and believes itself registered) becomes a *persistent* node:

- if it belonged to CAFE's session, all that was ever put back would vanish when the controller dies;
- if the pod dies, the node stays until the engine calls `remove`, as it does for pods that are gone;
- if the application registers itself again under another name (Dubbo's URLs carry a time stamp), its own
  ephemeral node is there, and ours goes with the next attach: the mark tells which is ours.

All registrations of one session belong together: a provider may have several in one directory, one for each
group and version. Those of an earlier session are stale as soon as the application has a newer one.

What is to be done about one member is planned here as one transaction, so that whoever dies dies before it or
after it.
"""

import base64
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

PARKED: Final = "parked-"
RESTORED: Final = "restored-"

ADDRESS: Final = re.compile(r"[a-z][\w.+-]*://(?:[^@/?]*@)?(\[[^\]]+\]:\d+|[^:/?]+:\d+)", re.IGNORECASE)

Acl = tuple[tuple[int, str, str], ...]
"""Who may do what: permissions, scheme, id."""


@functools.lru_cache(maxsize=16_384)
def address_of(name: str) -> str | None:
    """Return `ip:port` of a registration's URL, by its node's name; None if it is no URL with both."""
    found = ADDRESS.match(unquote(name))
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Registration:
    """What a provider's node holds.

    Attributes:
        owner: The session it belongs to; 0 for a persistent node.
        acl: Empty where it can't be known.
    """

    data: bytes = b""
    owner: int = 0
    acl: Acl = ()

    def encode(self) -> bytes:
        """Return what the parked copy holds."""
        data = base64.b64encode(self.data).decode()
        return json.dumps({"data": data, "owner": self.owner, "acl": self.acl}).encode()

    @classmethod
    def decode(cls, text: bytes) -> "Registration":
        """Read a parked copy; one that a person corrupted is a registration without data."""
        try:
            read = json.loads(text)
            acl = tuple((int(p), str(s), str(i)) for p, s, i in read["acl"])
            return cls(base64.b64decode(read["data"]), int(read["owner"]), acl)
        except (ValueError, TypeError, KeyError):
            return cls()


@dataclass(frozen=True, slots=True)
class Shelf:
    """All that a directory has of one member, by the name of the registration."""

    live: Mapping[str, Registration] = field(default_factory=dict)
    parked: Mapping[str, Registration] = field(default_factory=dict)
    restored: Mapping[str, Registration] = field(default_factory=dict)

    def is_stale(self, registration: Registration) -> bool:
        """Whether the application has registered itself anew since."""
        now = {found.owner for found in self.live.values() if found.owner}
        return bool(now) and registration.owner != 0 and registration.owner not in now


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a node."""

    path: str


@dataclass(frozen=True, slots=True)
class Create:
    """Create a persistent node; without *acl* it is for CAFE alone."""

    path: str
    data: bytes
    acl: Acl | None = None


@dataclass(frozen=True, slots=True)
class Replace:
    """Replace a node's data."""

    path: str
    data: bytes


Step = Delete | Create | Replace


@dataclass(frozen=True, slots=True)
class Directory:
    """Where a pool's registrations are, and those that were taken away."""

    path: str

    @classmethod
    def of(cls, pool: str) -> "Directory":
        """Return the directory that a pool names."""
        return cls("/" + pool.strip("/"))

    @property
    def aside(self) -> str:
        """Return the node beside it."""
        return f"{self.path}.cafe"

    def live(self, name: str) -> str:
        """Return the path of a registration."""
        return f"{self.path}/{name}"

    def parked(self, name: str) -> str:
        """Return the path of its parked copy."""
        return f"{self.aside}/{PARKED}{name}"

    def restored(self, name: str) -> str:
        """Return the path of the mark that it was put back."""
        return f"{self.aside}/{RESTORED}{name}"


Plan = Callable[[Directory, Shelf], list[Step]]


def plan_detach(place: Directory, shelf: Shelf) -> list[Step]:
    """Park each registration; drop what is stale."""
    steps: list[Step] = []
    for name, found in shelf.live.items():
        # What we put back ourselves is parked as what it was at first.
        original = found if found.owner else shelf.restored.get(name, found)
        steps.append(Delete(place.live(name)))
        if not shelf.is_stale(original):
            write = Replace if name in shelf.parked else Create
            steps.append(write(place.parked(name), original.encode()))
        elif name in shelf.parked:
            steps.append(Delete(place.parked(name)))
    steps += [
        Delete(place.parked(name))
        for name, copy in shelf.parked.items()
        if name not in shelf.live and shelf.is_stale(copy)
    ]
    return steps + [Delete(place.restored(name)) for name in shelf.restored]


def plan_attach(place: Directory, shelf: Shelf) -> list[Step]:
    """Put back what was parked, unless the application has registered itself again."""
    steps: list[Step] = []
    for name, copy in shelf.parked.items():
        steps.append(Delete(place.parked(name)))
        if name not in shelf.live and not shelf.is_stale(copy):
            steps.append(Create(place.live(name), copy.data, copy.acl))
            if copy.owner:
                write = Replace if name in shelf.restored else Create
                steps.append(write(place.restored(name), copy.encode()))
    return steps + list(_forget_marks(place, shelf, {s.path for s in steps if not isinstance(s, Delete)}))


def _forget_marks(place: Directory, shelf: Shelf, written: set[str]) -> Iterator[Step]:
    """Forget what we put back and the application has taken over, renewed, or withdrawn by itself."""
    for name, mark in shelf.restored.items():
        if place.restored(name) in written:
            continue
        found = shelf.live.get(name)
        if found is None or found.owner:
            yield Delete(place.restored(name))
        elif shelf.is_stale(mark):
            yield Delete(place.restored(name))
            yield Delete(place.live(name))


def plan_remove(place: Directory, shelf: Shelf) -> list[Step]:
    """Leave nothing."""
    return [
        *(Delete(place.live(name)) for name in shelf.live),
        *(Delete(place.parked(name)) for name in shelf.parked),
        *(Delete(place.restored(name)) for name in shelf.restored),
    ]
