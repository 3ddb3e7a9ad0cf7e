"""What befalls watches: lag, cuts, silence, expiry; and what no API server promises never to do."""

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from cafe_sim.harness.chance import Chance
from cafe_sim.harness.faults.kinds import Args, FaultKind, Undo, no_undo, nothing
from cafe_sim.harness.plan import Shape
from cafe_sim.harness.streams import USUAL_LAG, ApiReplica

if TYPE_CHECKING:
    from cafe_sim.harness.world import World

EXPIRED_LINE = msgspec.json.encode(
    {
        "type": "ERROR",
        "object": {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "too old resource version: 1 (2)",
            "reason": "Expired",
            "code": 410,
        },
    }
)


def _draw_replica(chance: Chance, shape: Shape) -> Args:
    return {"replica": chance.below(shape.servers)}


def _draw_lag(chance: Chance, shape: Shape) -> Args:
    return {"replica": chance.below(shape.servers), "seconds": chance.one_of((0.05, 0.5, 3.0, 10.0))}


def _draw_streams(chance: Chance, _: Shape) -> Args:
    return {"resource": chance.one_of(("pods", "inplacesets", "cafedeployments", ""))}


def _lag(world: "World", args: Args, _: Chance) -> Undo:
    replica = world.network.replicas[args["replica"]]
    replica.lag = timedelta(seconds=args["seconds"])
    world.met("watch lags")

    def undo() -> None:
        replica.lag = USUAL_LAG

    return undo


def _freeze(world: "World", args: Args, _: Chance) -> Undo:
    replica = world.network.replicas[args["replica"]]
    replica.freeze()
    world.met("watch cache is stale")
    return replica.thaw


def _cut(world: "World", args: Args, _: Chance) -> Undo:
    for stream in list(world.network.streams.values()):
        if not args["resource"] or stream.target == args["resource"]:
            stream.cut("watch is cut")
            world.met("watch is cut")
    return no_undo


def _expire(world: "World", args: Args, _: Chance) -> Undo:
    for stream in list(world.network.streams.values()):
        if not args["resource"] or stream.target == args["resource"]:
            stream.inject(EXPIRED_LINE)
            world.met("watch expires")
    return no_undo


def _compact(world: "World", _: Args, __: Chance) -> Undo:
    """The store forgets what was: watches can't be resumed from before."""
    store = world.server.store
    for key in store.keys():  # noqa: SIM118 -- a store is no mapping
        store.table(key).forget()
    for stream in list(world.network.streams.values()):
        stream.cut("history is compacted")
        world.met("history is compacted")
    return no_undo


def _silence(world: "World", args: Args, _: Chance) -> Undo:
    for stream in list(world.network.streams.values()):
        if not args["resource"] or stream.target == args["resource"]:
            stream.silence()
            world.met("watch falls silent")
    return no_undo


def _edited(name: str, edit: "type[_Editor]") -> FaultKind:
    def begin(world: "World", args: Args, chance: Chance) -> Undo:
        replica: ApiReplica = world.network.replicas[args["replica"]]
        replica.edit = edit(world, name, chance)

        def undo() -> None:
            replica.edit = None
            # Whoever trusted it must look again: its streams end as those of a restarted server.
            for stream in list(world.network.streams.values()):
                if stream.replica is replica:
                    stream.inject(EXPIRED_LINE)

        return undo

    return FaultKind(name, "watch", _draw_replica, begin, longest=20.0, is_contract=False)


class _Editor:
    """What a broken watch cache makes of lines."""

    def __init__(self, world: "World", name: str, chance: Chance) -> None:
        self._world = world
        self._name = name
        self._chance = chance
        self._all_kept: dict[int, list[bytes]] = {}
        self._stream = 0

    @property
    def _kept(self) -> list[bytes]:
        """What of the present stream's lines was kept."""
        return self._all_kept.setdefault(self._stream, [])

    @_kept.setter
    def _kept(self, lines: list[bytes]) -> None:
        self._all_kept[self._stream] = lines

    def __call__(self, stream: int, line: bytes) -> list[bytes]:
        self._stream = stream
        if b'"BOOKMARK"' in line[:24] or not self._chance.is_so(0.2):
            return self.usual(line)
        self._world.met(self._name)
        return self.broken(line)

    def usual(self, line: bytes) -> list[bytes]:
        return [line]

    def broken(self, line: bytes) -> list[bytes]:
        raise NotImplementedError


class _Dropper(_Editor):
    def broken(self, line: bytes) -> list[bytes]:
        del line
        return []


class _Doubler(_Editor):
    def broken(self, line: bytes) -> list[bytes]:
        return [line, line]


class _Swapper(_Editor):
    def usual(self, line: bytes) -> list[bytes]:
        kept, self._kept = self._kept, []
        return [line, *kept]

    def broken(self, line: bytes) -> list[bytes]:
        kept, self._kept = self._kept, [line]
        return kept


class _Repeater(_Editor):
    """Tells what it told before once more: back in time."""

    def usual(self, line: bytes) -> list[bytes]:
        self._kept = [*self._kept[-4:], line]
        return [line]

    def broken(self, line: bytes) -> list[bytes]:
        return [line, *self._kept[:1]]


def _hide(world: "World", args: Args, _: Chance) -> Undo:
    """One watch loses the event of a write that its own process makes, and nobody ever tells it."""
    state = {"left": args["most"]}

    def edit(number: int, line: bytes) -> list[bytes]:
        stream, author = world.network.streams.get(number), world.network.author
        if state["left"] <= 0 or stream is None or not author or author != stream.process.name:
            return [line]
        state["left"] -= 1
        world.met("own write never shows")
        return []

    for replica in world.network.replicas:
        replica.edit = edit

    def undo() -> None:
        for replica in world.network.replicas:
            replica.edit = None

    return undo


def _draw_most(chance: Chance, _: Shape) -> Args:
    return {"most": chance.one_of((1, 3, 10))}


WATCH_FAULTS: tuple[FaultKind, ...] = (
    FaultKind("watch lags", "watch", _draw_lag, _lag),
    FaultKind("watch cache is stale", "read", _draw_replica, _freeze),
    FaultKind("watch is cut", "watch", _draw_streams, _cut, longest=0.0),
    FaultKind("watch expires", "watch", _draw_streams, _expire, longest=0.0),
    FaultKind("history is compacted", "watch", nothing, _compact, longest=0.0),
    FaultKind("watch falls silent", "watch", _draw_streams, _silence, longest=0.0),
    FaultKind("own write never shows", "watch", _draw_most, _hide, longest=20.0, is_contract=False),
    _edited("watch drops events", _Dropper),
    _edited("watch doubles events", _Doubler),
    _edited("watch swaps events", _Swapper),
    _edited("watch goes back in time", _Repeater),
)
