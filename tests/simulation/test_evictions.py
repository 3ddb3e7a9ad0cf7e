"""Evictions and releases go through one door: whoever asks, no more pods are away than the budget allows.

The API server of this world asks the controller about each eviction, as a real one does by a webhook. There
is no PodDisruptionBudget here: the guard must hold by itself.
"""

import json
import random  # noqa: TID251 -- seeded, for tests
from collections import Counter

import pytest

from cafe.api.names import UNIT_LABEL
from cafe.kernel import ObjectKey
from cafe.kube.admission import Identity, answer_to, read_review
from cafe.processes.guard import configuration_of
from cafe_sim.apiserver.errors import StatusError
from cafe_sim.apiserver.steps import WebhookCall, WebhookReply
from cafe_sim.contract import ApiError, StoreEvent
from tests.simulation.test_podset_kinds import app_of
from tests.simulation.world import APPS, World, a_world, gate, image, is_ready, released
from tests.worlds.clock import in_virtual_time

KINDS = pytest.mark.parametrize("kind", ["InPlaceSet", "ReplicaSet", "StatefulSet"])
HOOKS = "validatingwebhookconfigurations.admissionregistration.k8s.io"


def guarded(world: World) -> None:
    """Have the API server ask the controller about evictions."""

    def ask(call: WebhookCall) -> WebhookReply:
        review = read_review(json.dumps(call.review).encode())
        return answer_to(review, world.lives[-1].controllers.evictions.judge(review))

    world.hooks.append(ask)
    world.api.create(HOOKS, "", configuration_of("https://guard", Identity(b"", b"")))


def evict(world: World, name: str, *, is_rehearsed: bool = False) -> str:
    """Ask for a pod's eviction; return why it is refused, or nothing."""
    body = {"metadata": {"name": name}}
    if is_rehearsed:
        body["deleteOptions"] = {"dryRun": ["All"]}
    try:
        world.api.create_subresource("pods", "default", name, "eviction", body)
    except (ApiError, StatusError) as error:
        return str(error)
    return ""


def serving(world: World) -> list[str]:
    """Return the names of the pods that serve."""
    return sorted(
        p["metadata"]["name"]
        for p in world.pods()
        if is_ready(p) and gate(p) in {"True", None} and "deletionTimestamp" not in p["metadata"]
    )


class Crowding:
    """A person who tries to evict a pod whenever something happens, and how few ever served meanwhile."""

    def __init__(self, world: World, most: int, seed: int = 7) -> None:
        self.world = world
        self.left = most
        self.fewest = len(serving(world))
        self.refused = 0
        self._chance = random.Random(seed)  # noqa: S311 -- a test
        # A pass writes the application's status before it touches its sets, by what it saw before both.
        for resource in ("pods", APPS):
            world.api.subscribe(resource, self._saw)

    def _saw(self, _: StoreEvent) -> None:
        found = serving(self.world)
        self.fewest = min(self.fewest, len(found))
        if not self.left or not found:
            return
        if evict(self.world, self._chance.choice(found)):
            self.refused += 1
        else:
            self.left -= 1


@KINDS
@pytest.mark.parametrize("seed", [5, 7, 8])
@pytest.mark.slow
@in_virtual_time
async def test_no_more_pods_are_away_than_may_be_whoever_takes_them(kind: str, seed: int) -> None:
    async with a_world() as world:
        guarded(world)
        await released(world, app_of(kind, maxUnavailable=2))
        crowding = Crowding(world, 8, seed)
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.is_complete("web") and len(serving(world)) == 10)
        assert {image(p) for p in world.pods()} == {"web:2"}
        assert crowding.left == 0, "the release went on, and so did the evictions"
        assert crowding.refused > 0
        assert crowding.fewest == 8


@KINDS
@pytest.mark.slow
@in_virtual_time
async def test_without_the_guard_more_pods_are_away_than_may_be(kind: str) -> None:
    async with a_world() as world:
        await released(world, app_of(kind, maxUnavailable=2))
        crowding = Crowding(world, 8)
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.is_complete("web") and len(serving(world)) == 10)
        assert crowding.fewest < 8


@KINDS
@in_virtual_time
async def test_an_eviction_beyond_the_budget_is_told_why_and_works_later(kind: str) -> None:
    async with a_world() as world:
        guarded(world)
        await released(world, app_of(kind, maxUnavailable=1))
        first, second, *_ = serving(world)
        assert evict(world, first, is_rehearsed=True) == ""
        assert evict(world, first) == ""
        why = evict(world, second)
        assert "Pod default/" in why
        assert "no further pod of web may become unavailable (maxUnavailable 1 of 10 pods)" in why
        assert "Try again" in why
        await world.run(lambda: len(serving(world)) == 10)
        assert evict(world, second) == ""


@KINDS
@in_virtual_time
async def test_a_pod_that_serves_nobody_is_evicted_whatever_the_budget_says(kind: str) -> None:
    async with a_world() as world:
        guarded(world)
        await released(world, app_of(kind, maxUnavailable=1))
        world.set_image(APPS, "web", "web:bad")
        await world.run(lambda: "ImagePull" in str(world.status(APPS, "web").get("waiting", {})))
        (sick,) = {p["metadata"]["name"] for p in world.pods()} - set(serving(world))
        assert evict(world, serving(world)[0])
        assert evict(world, sick) == ""


@pytest.mark.parametrize("kind", ["ReplicaSet", "StatefulSet"])
@in_virtual_time
async def test_evictions_of_native_pods_wait_for_the_pass_that_is_under_way(kind: str) -> None:
    async with a_world() as world:
        guarded(world)
        await released(world, app_of(kind, maxUnavailable=2))
        (name, *_) = serving(world)
        with world.lives[-1].controllers.evictions.door.busy(ObjectKey("default", "web")):
            assert "being changed this very moment" in evict(world, name)
        assert evict(world, name) == ""


@in_virtual_time
async def test_who_does_not_lead_lets_no_pod_of_ours_be_evicted() -> None:
    async with a_world() as world:
        guarded(world)
        await released(world, app_of("InPlaceSet", maxUnavailable=2))
        (name, *_) = serving(world)
        world.leads = False
        assert "changing its leader; try again" in evict(world, name)
        world.leads = True
        assert evict(world, name) == ""


@in_virtual_time
async def test_pods_that_are_nobodys_of_ours_are_none_of_our_business() -> None:
    async with a_world() as world:
        guarded(world)
        pod = {"metadata": {"name": "lone", "namespace": "default", "labels": {UNIT_LABEL: "cell-a"}}}
        world.api.create("pods", "default", pod | {"spec": {"containers": [{"name": "a", "image": "web:1"}]}})
        await world.run(lambda: serving(world) == ["lone"])
        assert evict(world, "lone") == ""


@in_virtual_time
async def test_evictions_of_one_application_cost_another_nothing() -> None:
    async with a_world() as world:
        guarded(world)
        await released(world, app_of("InPlaceSet", maxUnavailable=1))
        other = app_of("InPlaceSet", maxUnavailable=1)
        other["metadata"]["name"] = "shop"
        other["spec"]["selector"] = {"matchLabels": {"app": "shop"}}
        other["spec"]["template"]["metadata"]["labels"] = {"app": "shop"}
        world.apply(other)
        await world.run(lambda: world.is_complete("shop") and len(serving(world)) == 20)
        by_app = Counter[str]()
        for name in serving(world):
            app = name.partition("-")[0]
            by_app[app] += not evict(world, name)
        assert by_app == {"web": 1, "shop": 1}
