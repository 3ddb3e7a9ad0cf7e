"""Container logs for the API server's `log` subresource."""

from collections.abc import Callable, Mapping

from cafe_sim.apiserver.logs import LogOptions
from cafe_sim.contract import ApiError, Json, Timeline
from cafe_sim.kubelet.kubelet import Kubelet
from cafe_sim.kubelet.runtime import Container, LogLine
from cafe_sim.machinery.objects import micro_text_of, uid_of
from cafe_sim.machinery.pods import node_of


class ContainerLogs:
    """Reads from the kubelets' runtimes. Implements `cafe_sim.apiserver.logs.LogSource`."""

    def __init__(self, kubelets: Mapping[str, Kubelet], timeline: Timeline) -> None:
        self._kubelets = kubelets
        self._timeline = timeline

    def lines(self, pod: Json, options: LogOptions) -> list[str]:
        """Return the lines that are there, without line ends.

        Raises:
            ApiError: 400, the container hasn't started (or there was no previous one); 502, the node can't
                be reached.
        """
        found = list(self._container(pod, options).log)
        if options.since is not None:
            earliest = self._timeline.now() - options.since
            found = [line for line in found if line.time >= earliest]
        if options.tail is not None:
            found = found[len(found) - min(options.tail, len(found)) :]
        return [_render(line, options) for line in found]

    def follow(
        self, pod: Json, options: LogOptions, push: Callable[[str | None], None]
    ) -> Callable[[], None]:
        """Call *push* with each later line, and with None once the container has ended."""
        container = self._container(pod, options)
        if not container.is_running:
            self._timeline.soon(lambda: push(None))
            return lambda: None

        def on_line(line: LogLine | None) -> None:
            push(None if line is None else _render(line, options))

        container.readers.append(on_line)

        def stop() -> None:
            if on_line in container.readers:
                container.readers.remove(on_line)

        return stop

    def _container(self, pod: Json, options: LogOptions) -> Container:
        name, kubelet = options.container, self._kubelets.get(node_of(pod))
        if kubelet is None or not kubelet.is_beating:
            why = f'Get "https://{node_of(pod)}:10250/containerLogs": dial tcp: connect: connection refused'
            raise ApiError(502, "BadGateway", why)
        sandbox = kubelet.runtime.sandboxes.get(uid_of(pod))
        made = None
        if sandbox is not None:
            made = sandbox.previous(name) if options.is_previous else sandbox.current(name)
        meta = pod["metadata"]
        if made is None and options.is_previous:
            full = f"{meta['name']}_{meta['namespace']}"
            raise ApiError(
                400, "BadRequest", f'previous terminated container "{name}" in pod "{full}" not found'
            )
        if made is None:
            why = f'container "{name}" in pod "{meta["name"]}" is waiting to start: {_waiting(pod, name)}'
            raise ApiError(400, "BadRequest", why)
        return made


def _waiting(pod: Json, name: str) -> str:
    status = pod.get("status") or {}
    for found in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        if found["name"] == name and "waiting" in found["state"]:
            return str(found["state"]["waiting"].get("reason") or "ContainerCreating")
    return "ContainerCreating"


def _render(line: LogLine, options: LogOptions) -> str:
    return f"{micro_text_of(line.time)} {line.text}" if options.has_timestamps else line.text
