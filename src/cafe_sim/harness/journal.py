"""What happened, in order: for the trace hash, and for people who read a failure."""

import hashlib
from dataclasses import dataclass

from cafe_sim.apiserver.store import Commit

MOST_ENTRIES = 20_000
"""Enough for every run that is looked at; the hash covers everything."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Attributes:
        at: Seconds since the world began.
        who: A process, a person, a node, a fault, or `world`.
        what: One line.
    """

    at: float
    who: str
    what: str


class Journal:
    """Keeps entries, and a hash over everything that was stored and when.

    Attributes:
        entries: The last ones.
        commits: How many there were.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.commits = 0
        self._hash = hashlib.blake2b(digest_size=16)

    def tell(self, at: float, who: str, what: str) -> None:
        """Add an entry."""
        if len(self.entries) >= MOST_ENTRIES:
            del self.entries[: MOST_ENTRIES // 2]
        self.entries.append(Entry(at, who, what))
        self._hash.update(f"{at:.6f} {who} {what}\n".encode())

    def commit(self, at: float, who: str, resource: str, commit: Commit) -> None:
        """Take a commit into the hash; what of it a person wants to read is told by `tell`."""
        self.commits += 1
        meta = commit.new["metadata"]
        line = f"{at:.6f} {who} {commit.type} {resource} {meta['name']} {commit.version} {meta['uid']}\n"
        self._hash.update(line.encode())

    @property
    def trace(self) -> str:
        """The hash over everything so far."""
        return self._hash.copy().hexdigest()
