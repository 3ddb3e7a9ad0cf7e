"""What a fault is.

A fault is drawn (its arguments become part of the plan), begins, and is undone. Kinds of later capabilities
(load balancers, databases, hosts) join the catalogue with the same three things.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cafe_sim.harness.chance import Chance
from cafe_sim.harness.plan import Shape

if TYPE_CHECKING:
    from cafe_sim.harness.world import World

Args = dict[str, Any]
Undo = Callable[[], None]
Draw = Callable[[Chance, Shape], Args]
Begin = Callable[["World", Args, Chance], Undo]


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault.

    Attributes:
        name: For plans, tapes and `sometimes` labels.
        place: Row of the fault list: `API write`, `watch`, `process` …
        draw: Returns the arguments of one instance.
        begin: Brings it about; returns how to undo it.
        longest: Seconds that it lasts at most; 0 for what happens in an instant.
        is_contract: Kubernetes and machines do such things: safety and liveness must hold. Others lie beyond
            what anybody promises.
        is_usual: Seeds draw it by themselves; others come only where a tape, a sweep or a hand names them.
    """

    name: str
    place: str
    draw: Draw
    begin: Begin
    longest: float = 60.0
    is_contract: bool = True
    is_usual: bool = True


def nothing(_: Chance, __: Shape) -> Args:
    """Draw no arguments."""
    return {}


def no_undo() -> None:
    """Leave it as it is: nothing is to be undone."""
