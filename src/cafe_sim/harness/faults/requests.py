"""What befalls requests: refusals, losses before and after the effect, delays."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from cafe_sim.harness.chance import Chance
from cafe_sim.harness.faults.kinds import Args, Begin, FaultKind, Undo, nothing
from cafe_sim.harness.names import IN_PLACE, SETS_OF
from cafe_sim.harness.network import Mishap, Sent, refusal
from cafe_sim.harness.plan import Shape

if TYPE_CHECKING:
    from cafe_sim.harness.world import World

TARGETS = (
    "pods", "pods/status", "inplacesets", "inplacesets/status", "cafedeployments", "cafedeployments/status",
    "controllerrevisions", "leases", "",
)  # fmt: skip
"""What writes go for; empty for all of them."""

CONFLICT = refusal(409, "Conflict", "the object has been modified; please apply your changes to the latest")
TOO_MANY = refusal(429, "TooManyRequests", "too many requests, please try again later", 2)
INTERNAL = refusal(500, "InternalError", "etcdserver: request timed out")
UNAVAILABLE = refusal(503, "ServiceUnavailable", "apiserver is shutting down")
GATEWAY = refusal(504, "Timeout", "Timeout: request did not complete within requested timeout")


@dataclass
class Some:
    """Befalls a share of the matching requests while it lasts, some number of times at most."""

    world: "World"
    mishap: Mishap
    chance: Chance
    target: str
    share: float
    left: int
    is_write: bool

    def befalls(self, sent: Sent) -> Mishap | None:
        """Return what happens to a request, or None."""
        if sent.is_write != self.is_write or (self.target and sent.target != self.target):
            return None
        if self.left <= 0 or not self.chance.is_so(self.share):
            return None
        self.left -= 1
        self.world.met(self.mishap.name)
        self.world.tell("fault", f"{self.mishap.name}: {sent.request.method} {sent.target}")
        return self.mishap


def draw_target(chance: Chance, shape: Shape) -> str:
    """Draw what writes go for; those for sets are for sets of the kind that there is."""
    target = chance.one_of(TARGETS)
    resource, _, _ = SETS_OF[shape.kind].partition(".")
    return resource if shape.kind != IN_PLACE and target.startswith("inplacesets") else target


def draw_writes(chance: Chance, shape: Shape) -> Args:
    """Draw which writes are hit, and how many."""
    return {
        "target": draw_target(chance, shape),
        "share": chance.one_of((0.1, 0.5, 1.0)),
        "most": chance.one_of((1, 2, 5, 1000)),
    }


def draw_reads(chance: Chance, _: Shape) -> Args:
    """Draw how many reads are hit."""
    return {"target": "", "share": chance.one_of((0.3, 1.0)), "most": chance.one_of((1, 5, 1000))}


def befalling(mishap: Mishap, *, is_write: bool = True) -> Begin:
    """Return how a fault begins that does *mishap* to requests."""

    def begin(world: "World", args: Args, chance: Chance) -> Undo:
        some = Some(world, mishap, chance, args["target"], args["share"], args["most"], is_write)
        world.network.nuisances.append(some)
        return lambda: world.network.nuisances.remove(some)

    return begin


WRITES = (
    Mishap("write conflicts", answer=CONFLICT),
    Mishap("write throttled", answer=TOO_MANY),
    Mishap("write fails inside", answer=INTERNAL),
    Mishap("write fails inside, applied", answer=INTERNAL, is_applied=True),
    Mishap("write meets shutdown", answer=UNAVAILABLE),
    Mishap("write times out", answer=GATEWAY),
    Mishap("write times out, applied", answer=GATEWAY, is_applied=True),
    Mishap("write is refused a connection", is_known=True),
    Mishap("write is reset"),
    Mishap("write is reset, applied", is_applied=True),
    Mishap("write is never answered", is_lost=True),
    Mishap("write is never answered, applied", is_lost=True, is_applied=True),
    Mishap("write is slow", is_applied=True, delay=timedelta(seconds=25)),
)
LATE = (
    Mishap("write is delayed", is_applied=True, delay=timedelta(seconds=3)),
    Mishap("write is answered late", is_applied=True, late=timedelta(seconds=4)),
)
"""Just within the deadlines of an election: what a leader's margin is for."""
READS = (
    Mishap("read throttled", answer=TOO_MANY),
    Mishap("read times out", answer=GATEWAY),
    Mishap("read is reset"),
    Mishap("list expires", answer=refusal(410, "Expired", "The provided continue parameter is too old")),
)


def _webhook_down(world: "World", _: Args, __: Chance) -> Undo:
    """A webhook that guards our kinds can't be reached: what goes by it is refused."""
    kind = "validatingwebhookconfigurations.admissionregistration.k8s.io"
    rule = {
        "apiGroups": ["apps.cafe.sofastack.io"],
        "apiVersions": ["*"],
        "resources": ["inplacesets"],
        "operations": ["CREATE", "UPDATE"],
    }
    hook = {
        "name": "guard.cafe.test",
        "clientConfig": {"url": "https://guard.test/"},
        "rules": [rule],
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
    }
    world.webhooks_answer = False
    if world.server.get(kind, "", "guard") is None:
        world.server.create(kind, "", {"metadata": {"name": "guard"}, "webhooks": [hook]})
    world.met("webhook is down")

    def undo() -> None:
        world.webhooks_answer = True

    return undo


REQUEST_FAULTS: tuple[FaultKind, ...] = (
    *(FaultKind(m.name, "API write", draw_writes, befalling(m)) for m in WRITES),
    *(FaultKind(m.name, "API write", draw_writes, befalling(m), is_usual=False) for m in LATE),
    *(FaultKind(m.name, "read", draw_reads, befalling(m, is_write=False)) for m in READS),
    FaultKind("webhook is down", "API write", nothing, _webhook_down),
)
