"""How often a roster is written."""

from typing import Any

import msgspec

from cafe.api.inplaceset import InPlaceSet, InPlaceSetSpec
from cafe.api.podroster import PodRoster
from cafe.api.shapes import LabelSelector, Metadata, PodTemplate
from cafe.kernel import ObjectKey
from cafe.kube.caches import Caches
from cafe.kube.client import Client
from cafe.workloads.adapters.rosters import PERIOD, Rosters
from cafe.workloads.adapters.watched import Watched
from cafe.workloads.domain.crowd import Crowd
from tests.unit.workloads.facts import DWELL, pod
from tests.worlds.clock import HandClock, SeededEntropy, in_virtual_time
from tests.worlds.scripted_api import ScriptedApi

KEY = ObjectKey("shop", "web")
OWNER = InPlaceSet(
    metadata=Metadata(name="web", namespace="shop", uid="set"),
    spec=InPlaceSetSpec(selector=LabelSelector(match_labels={"app": "web"}), template=PodTemplate()),
)


class Shelf:
    """A client that takes every roster, and caches that show it at once."""

    def __init__(self) -> None:
        self.clock = HandClock()
        entropy = SeededEntropy()
        self.watched = Watched(Caches(Client(ScriptedApi(), self.clock, entropy)), self.clock)
        self.rosters = Rosters(self, self.watched, self.clock)  # type: ignore[arg-type]
        self.written: list[list[int]] = []

    async def create(self, _: Any, __: str, body: dict[str, Any]) -> PodRoster:  # noqa: ANN401 -- a Kind
        return self._show(body | {"metadata": {**body["metadata"], "namespace": "shop", "uid": "r"}})

    async def patch(self, _: Any, __: ObjectKey, patch: Any) -> PodRoster:  # noqa: ANN401 -- a Kind, a patch
        found = msgspec.to_builtins(self.watched.rosters.get(KEY))
        return self._show({**found, "spec": patch.body["spec"]})

    def _show(self, body: dict[str, Any]) -> PodRoster:
        self.written.append([one["id"] for one in body["spec"]["instances"]])
        body["metadata"]["resourceVersion"] = str(len(self.written))
        shown = msgspec.convert(body, PodRoster)
        self.watched.rosters.apply(KEY, shown)
        return shown


def crowd(count: int) -> Crowd:
    return Crowd.of([pod(f"web-{n}", uid=f"u-{n}", instance=n) for n in range(count)], DWELL)


@in_virtual_time
async def test_a_wave_of_pods_costs_one_write() -> None:
    shelf = Shelf()
    assert await shelf.rosters.write(OWNER, crowd(1), 9, "scope") is None
    for count in range(2, 9):
        assert await shelf.rosters.write(OWNER, crowd(count), 9, "scope") == PERIOD
    shelf.clock.passed += PERIOD
    assert await shelf.rosters.write(OWNER, crowd(8), 9, "scope") is None
    assert shelf.written == [[0], [0, 1, 2, 3, 4, 5, 6, 7]]


@in_virtual_time
async def test_what_stays_as_it_is_is_neither_looked_at_nor_written_again() -> None:
    shelf = Shelf()
    same = crowd(3)
    await shelf.rosters.write(OWNER, same, 3, "scope")
    shelf.clock.passed += PERIOD
    for _ in range(3):
        assert await shelf.rosters.write(OWNER, same, 3, "scope") is None
    assert shelf.written == [[0, 1, 2]]
    assert [one.number for one in shelf.rosters.of(OWNER.metadata)] == [0, 1, 2]
