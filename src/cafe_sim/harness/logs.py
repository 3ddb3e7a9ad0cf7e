"""The product's logs, into the journal. A line of level error is a bug that somebody caught."""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from cafe_sim.harness.loop import OWNER
from cafe_sim.harness.processes import SimProcess

if TYPE_CHECKING:
    from cafe_sim.harness.world import World

INFO = 20


@contextmanager
def recorded_logs(world: "World") -> Iterator[None]:
    """Write what the product logs into the world's journal, under the process's name."""

    def record(_: object, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        owner = OWNER.get()
        who = owner.name if isinstance(owner, SimProcess) else "world"
        failure = event.pop("exc_info", None)
        told = " ".join(f"{name}={value}" for name, value in sorted(event.items()) if name != "event")
        text = f"{event['event']} {told}"
        if level == "error":
            text = f"BUG {text} {failure!r}" if failure else f"BUG {text}"
            world.bugs.append(f"{text}")
        world.tell(who, text)
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[record],
        wrapper_class=structlog.make_filtering_bound_logger(INFO),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
