"""Container logs: the server only passes on what a kubelet has."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from cafe_sim.apiserver import errors
from cafe_sim.apiserver.parameters import Query, is_true, number
from cafe_sim.contract import Json


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What of a log is wanted.

    Attributes:
        container: Whose log.
        is_previous: That of the container's last run.
        is_followed: Go on with what comes.
        tail: Only the last lines.
        since: Only what is younger.
        has_timestamps: Begin each line with its time.
    """

    container: str
    is_previous: bool = False
    is_followed: bool = False
    tail: int | None = None
    since: timedelta | None = None
    has_timestamps: bool = False


class LogSource(Protocol):
    """Where logs come from: the simulated kubelets."""

    def lines(self, pod: Json, options: LogOptions) -> list[str]:
        """Return the lines that are there, without line ends.

        Raises:
            ApiError: 400, the container hasn't started yet.
        """

    def follow(
        self, pod: Json, options: LogOptions, push: Callable[[str | None], None]
    ) -> Callable[[], None]:
        """Call *push* with each later line, and with None at the end; return how to stop."""


class LogStream:
    """An open log.

    Attributes:
        is_over: No line will come any more, once those queued are taken.
        wake: Called when there is something to take, or the end.
    """

    def __init__(self) -> None:
        self.is_over = False
        self.wake: Callable[[], None] | None = None
        self._lines: list[bytes] = []
        self._stop: Callable[[], None] | None = None

    def begin(self, source: LogSource, pod: Json, options: LogOptions) -> "LogStream":
        """Queue what there is, and what comes if it is followed."""
        self._lines = [line.encode() for line in source.lines(pod, options)]
        if options.is_followed:
            self._stop = source.follow(pod, options, self._push)
        else:
            self.is_over = True
        return self

    def take(self) -> list[bytes]:
        """Return the lines that are queued."""
        lines, self._lines = self._lines, []
        return lines

    def close(self) -> None:
        """Follow no longer."""
        self.is_over = True
        if self._stop is not None:
            self._stop()
            self._stop = None
        if self.wake is not None:
            self.wake()

    def _push(self, line: str | None) -> None:
        if line is None:
            self.close()
            return
        self._lines.append(line.encode())
        if self.wake is not None:
            self.wake()


def open_log(source: LogSource | None, pod: Json, query: Query) -> LogStream:
    """Open the log of one container of a pod that has a node.

    Raises:
        StatusError: 400, no such container, or it must be named. 501 without any kubelet.
    """
    name = pod["metadata"]["name"]
    containers = [container["name"] for container in pod["spec"]["containers"]]
    others = [container["name"] for container in pod["spec"].get("initContainers") or []]
    wanted = query.get("container", "")
    if not wanted and len(containers) > 1:
        raise errors.bad_request(
            f"a container name must be specified for pod {name}, choose one of: [{' '.join(containers)}]"
        )
    wanted = wanted or containers[0]
    if wanted not in containers + others:
        raise errors.bad_request(f"container {wanted} is not valid for pod {name}")
    if source is None:
        raise errors.StatusError(501, "NotImplemented", "no kubelet is attached to this API server")
    seconds = number(query, "sinceSeconds")
    options = LogOptions(
        container=wanted,
        is_previous=is_true(query, "previous"),
        is_followed=is_true(query, "follow"),
        tail=number(query, "tailLines"),
        since=None if seconds is None else timedelta(seconds=seconds),
        has_timestamps=is_true(query, "timestamps"),
    )
    return LogStream().begin(source, pod, options)
