"""HAProxy's runtime API: one line of commands, answered in text, on a connection that ends with the answer.

Written against 2.6 (management guide, chapter 9.3). Nothing here waits or decides.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cafe.traffic.domain.facts import MemberState, MemberView

LOOK = "show servers state; show stat -1 6 -1"
"""All servers with their addresses, and all backends and servers with their counters: types 2 and 4."""

STATES = "show servers state"
BACKEND = "BACKEND"

DRAINED = 0x3F
"""Any of the reasons for maintenance or drain in `srv_admin_state`."""
STOPPED, STOPPING = "0", "3"

NAME = re.compile(r"[^A-Za-z0-9_.:-]")
DENIED = ("Permission denied", "Unknown command")
"""What a session below the level `admin` is told."""


class Garbled(ValueError):
    """An answer that is none of a runtime API."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server of a backend.

    Attributes:
        is_taken_out: Whether it is in drain or maintenance, whoever asked for that.
        is_stopped: Whether it is found sick.
    """

    backend: str
    name: str
    address: str
    is_taken_out: bool = False
    is_stopped: bool = False

    @property
    def path(self) -> str:
        """Return how commands call it."""
        return f"{self.backend}/{self.name}"


@dataclass(frozen=True, slots=True)
class Look:
    """What one process says of itself.

    Attributes:
        backends: Names of all.
        servers: By backend and name.
        views: By backend, what its servers do, by address.
    """

    backends: frozenset[str]
    servers: Mapping[tuple[str, str], Server]
    views: Mapping[str, Mapping[str, MemberView]]


def read_states(text: str) -> dict[tuple[str, str], Server]:
    """Read the answer to `show servers state`.

    Raises:
        Garbled: It is none.
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    header = next((line[1:] for line in lines if line[0] == "#"), None)
    if header is None or "srv_admin_state" not in header:
        raise Garbled(_excerpt(text))
    found: dict[tuple[str, str], Server] = {}
    for line in lines:
        if line[0] == "#" or len(line) < len(header):
            continue
        told = dict(zip(header, line, strict=False))
        try:
            admin = int(told["srv_admin_state"])
        except ValueError as error:
            raise Garbled(_excerpt(text)) from error
        ip, port = told["srv_addr"], told["srv_port"]
        server = Server(
            told["be_name"],
            told["srv_name"],
            f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}",
            is_taken_out=bool(admin & DRAINED)
            or told["srv_op_state"] == STOPPING
            or told["srv_uweight"] == "0",
            is_stopped=told["srv_op_state"] == STOPPED,
        )
        found[server.backend, server.name] = server
    return found


def read_look(text: str) -> Look:
    """Read the answer to `LOOK`.

    Raises:
        Garbled: It is none.
    """
    states, mark, rows = text.partition("# pxname,")
    if not mark:
        raise Garbled(_excerpt(text))
    servers = read_states(states)
    views: dict[str, dict[str, MemberView]] = {}
    backends: set[str] = set()
    for row in csv.DictReader([f"pxname,{line}" if not n else line for n, line in enumerate(_lines(rows))]):
        if row["svname"] == BACKEND:
            backends.add(row["pxname"])
        elif (server := servers.get((row["pxname"], row["svname"]))) is not None:
            view = _view(server, row)
            views.setdefault(server.backend, {})[server.address] = view
    return Look(frozenset(backends), servers, views)


def _lines(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line)


def _view(server: Server, row: Mapping[str, str | None]) -> MemberView:
    state = MemberState.SERVING
    if server.is_taken_out:
        state = MemberState.DRAINING
    elif server.is_stopped:
        state = MemberState.DOWN
    return MemberView(
        server.address,
        state,
        active=_number(row, "scur"),
        queued=_number(row, "qcur"),
        arrivals=_number(row, "stot"),
    )


def _number(row: Mapping[str, str | None], column: str) -> int:
    text = row.get(column) or "0"
    if not text.isdigit():
        raise Garbled(f"{column} is {text!r}")
    return int(text)


def server_name(pod: str) -> str:
    """Return the name of a pod's server: as the pod's, with what HAProxy doesn't take replaced."""
    return NAME.sub("-", pod)


def address_words(ip: str, port: int) -> str:
    """Return an address as `add server` takes it."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def joined(commands: Iterable[str]) -> str:
    """Return commands as one line; a command in which something could end it is no command.

    Raises:
        ValueError: There is a separator in one.
    """
    said = list(commands)
    for command in said:
        if any(mark in command for mark in ";\n\r\\"):
            raise ValueError(f"{command!r} would be more than one command")
    return "; ".join(said)


def denials(answer: str) -> Sequence[str]:
    """Return the lines by which a process refuses to obey."""
    return [line for line in answer.splitlines() if line.startswith(DENIED)]


def _excerpt(text: str) -> str:
    told = " ".join(text.split())[:120]
    return f"no answer of a runtime API: {told or 'nothing'}"
