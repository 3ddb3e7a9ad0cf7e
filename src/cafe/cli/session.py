"""One invocation of a command: its options, its terminal, and the way to the cluster."""

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cafe.cli.terminal import Terminal, environment, terminal_of

if TYPE_CHECKING:
    from cafe.cli.ports import Cluster, Whereabouts, Wiring
    from cafe.kernel import ObjectKey


class Session:
    """What commands find in `ctx.obj`.

    Args:
        wiring: Everything real.
        program: How the user called us: `cafe` or `kubectl cafe`.
        surroundings: Environment variables; the process's own if None.
    """

    def __init__(
        self, wiring: "Wiring", program: str = "cafe", surroundings: Mapping[str, str] | None = None
    ) -> None:
        self.wiring = wiring
        self.program = program
        self.environment = environment() if surroundings is None else surroundings

    @cached_property
    def terminal(self) -> Terminal:
        """The terminal."""
        return terminal_of(self.environment, self.option("color") or "auto")

    @property
    def home(self) -> Path:
        """Directory of state: `$CAFE_HOME` or `~/.cafe`."""
        named = self.environment.get("CAFE_HOME")
        return Path(named) if named else Path(self.environment.get("HOME") or "~").expanduser() / ".cafe"

    @property
    def namespace(self) -> str:
        """The namespace asked for; empty if none was."""
        return self.option("namespace")

    def option(self, name: str) -> str:
        """Return a global option; empty if it was not given."""
        return str(click.get_current_context().meta.get(f"cafe.cli.{name}") or "")

    def key(self, cluster: "Cluster", name: str) -> "ObjectKey":
        """Return the key of an object of ours; people may write `kind/name` as well as `name`."""
        from cafe.kernel import ObjectKey  # noqa: PLC0415 -- asyncio, which the kernel needs, costs 40 ms

        return ObjectKey(self.namespace or cluster.place.namespace, name.rsplit("/", 1)[-1])

    def whereabouts(self) -> "Whereabouts":
        """Return which kubeconfig is used: the option, KUBECONFIG, a running `cafe up`, `~/.kube/config`."""
        from cafe.cli.ports import Whereabouts  # noqa: PLC0415 -- on use
        from cafe.cli.upstate import running  # noqa: PLC0415 -- on use

        context = self.option("context")
        if named := self.option("kubeconfig"):
            return Whereabouts((Path(named).expanduser(),), "--kubeconfig", is_explicit=True, context=context)
        if listed := self.environment.get("KUBECONFIG"):
            paths = tuple(Path(part) for part in listed.split(os.pathsep) if part)
            return Whereabouts(paths, "$KUBECONFIG", context=context)
        state = running(self.home)
        if state is not None and state.ready:
            return Whereabouts(
                (Path(state.kubeconfig),), "cafe up", is_explicit=True, context=context or state.context
            )
        home = Path(self.environment.get("HOME") or "~").expanduser()
        return Whereabouts((home / ".kube" / "config",), "~/.kube/config", context=context)

    def run(self, work: "Callable[[Cluster], Awaitable[int]]") -> int:
        """Connect, do *work*, disconnect; return the exit code."""
        import asyncio  # noqa: PLC0415 -- 40 ms that `--help` and completion need not pay

        async def whole() -> int:
            async with self.wiring.connect(self.whereabouts()) as cluster:
                return await work(cluster)

        return asyncio.run(whole())

    def confirm(self, question: str) -> bool:
        """Ask on the terminal; Enter alone is a no."""
        self.terminal.err.write(f"{question} [y/N] ")
        self.terminal.err.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes", "是"}
