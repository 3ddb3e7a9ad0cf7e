"""`cafe` on a small cluster as a process of its own: for terminals, signals and detached children.

python -m tests.unit.cli.stage SCENE ARGUMENTS…
"""

import sys
from datetime import timedelta
from typing import Any

from cafe.api.names import CONFIRM_ANNOTATION
from cafe.cli.main import run
from cafe.cli.ports import Sighting
from cafe.kernel import SystemClock
from tests.unit.cli.world import SmallCluster, SmallPlatform, SmallWiring, an_event, releasing, revisions

MOMENT = timedelta(seconds=0.4)


def taking(document: dict[str, Any]) -> None:
    """Do the controller's part of a confirmation."""
    if document["metadata"].get("annotations", {}).pop(CONFIRM_ANNOTATION, None):
        document["status"] |= {"confirmedGroup": 0, "currentGroup": 1}


def scene(name: str) -> SmallCluster:
    cluster = SmallCluster(releasing(), *revisions())
    if name == "eventful":
        for minute in range(8):
            cluster.store(an_event("GroupOpened", f"the event of minute {minute}", minute))
    if name == "completing":
        cluster.script = [MOMENT, Sighting(releasing(group=2, done=5, phase="Complete"))]
    if name == "confirming":
        cluster.rules.append(taking)
    return cluster


def main() -> int:
    name, *arguments = sys.argv[1:]
    program = [sys.executable, "-m", "tests.unit.cli.stage", name]
    platform = SmallPlatform(program, "no room for etcd" if name == "failing" else "")
    return run(SmallWiring(scene(name), SystemClock(), platform), arguments)


if __name__ == "__main__":
    sys.exit(main())
