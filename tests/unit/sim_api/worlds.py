"""A server in time that is moved by hand."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from cafe.kernel.entropy import NAME_ALPHABET, uuid4_from
from cafe.kube.transport import Request, Response
from cafe_sim.apiserver import ApiServer
from cafe_sim.apiserver.steps import WebhookCaller
from cafe_sim.apiserver.watching import Watch
from cafe_sim.timeline import ManualTimeline
from tests.ports.backend import Answer, Value


class CountingEntropy:
    """Chance that only counts: each value differs from all before, and each run is like the last."""

    def __init__(self) -> None:
        self._numbers: Iterator[int] = count(1)

    def fraction(self) -> float:
        return (next(self._numbers) % 100) / 100

    def suffix(self, length: int) -> str:
        number, text = next(self._numbers), ""
        while len(text) < length:
            number, digit = divmod(number, len(NAME_ALPHABET))
            text = NAME_ALPHABET[digit] + text
        return text

    def uid(self) -> str:
        return uuid4_from(next(self._numbers))


@dataclass
class Sim:
    """A server with its timeline."""

    timeline: ManualTimeline
    server: ApiServer

    def send(self, method: str, path: str, body: Value = None, media: str = "", **query: str) -> Answer:
        raw = None if body is None else json.dumps(body).encode()
        names = tuple((name.rstrip("_"), value) for name, value in query.items())
        reply = self.server.dispatch(Request(method, path, names, raw, media or "application/json"))
        assert isinstance(reply, Response)
        self.timeline.run_until_idle()
        return Answer(reply.status, json.loads(reply.body), reply.headers)

    def watch(self, path: str, **query: str) -> Watch:
        names = (("watch", "true"), *((name.rstrip("_"), value) for name, value in query.items()))
        answer = self.server.dispatch(Request("GET", path, names))
        assert isinstance(answer, Watch)
        return answer


def new_sim(*, history: int = 1000, ask: WebhookCaller | None = None) -> Sim:
    timeline = ManualTimeline()
    return Sim(timeline, ApiServer(timeline, CountingEntropy(), history=history, ask=ask))


def events(watch: Watch) -> list[tuple[str, Value]]:
    found = [json.loads(line) for line in watch.take()]
    return [(event["type"], event["object"]) for event in found]
