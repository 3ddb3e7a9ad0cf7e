"""An InPlaceSet's updates, end to end on the simulated cluster."""

from collections import Counter
from datetime import timedelta

from cafe_sim.contract import Json
from cafe_sim.kubelet.registry import Registry
from tests.simulation.world import (
    PODS,
    PROBED,
    REVISIONS,
    SETS,
    World,
    a_set,
    a_template,
    a_world,
    gate,
    image,
    is_available,
    lowest,
    place,
    restarts,
)
from tests.worlds.clock import in_virtual_time

SECOND = timedelta(seconds=1)


async def settled(world: World, **more: object) -> None:
    """Bring up the set `web` and wait until it has nothing left to do."""
    world.apply(a_set(**more))  # type: ignore[arg-type]
    await world.run(lambda: world.is_settled("web"))


def images(world: World) -> Counter[str]:
    return Counter(image(pod) for pod in world.pods())


def places(world: World) -> list[tuple[str, str, str]]:
    return sorted(place(pod) for pod in world.pods())


def uids(world: World) -> set[str]:
    return {pod["metadata"]["uid"] for pod in world.pods()}


def reason(world: World) -> str:
    return str(world.condition(SETS, "web", "Progressing").get("reason"))


def is_seen(world: World) -> bool:
    found = world.one(SETS, "web")
    return bool(found["status"]["observedGeneration"] == found["metadata"]["generation"])


def label_all(value: str) -> Json:
    template = a_template()
    template["metadata"]["labels"]["tier"] = value
    return template


@in_virtual_time
async def test_a_set_keeps_its_replicas_and_injects_the_readiness_gate_at_creation() -> None:
    async with a_world() as world:
        world.apply(a_set(3))
        await world.run(lambda: world.is_settled("web"))
        assert len(world.pods()) == 3
        assert all(is_available(pod) for pod in world.pods())
        for pod in world.pods():
            born = world.history(pod["metadata"]["uid"])[0]
            assert {"conditionType": "cafe.sofastack.io/in-place-update-ready"} in born["spec"][
                "readinessGates"
            ]


@in_virtual_time
async def test_a_new_image_keeps_uid_ip_and_node_and_the_gate_falls_before_it() -> None:
    async with a_world() as world:
        world.apply(a_set(3))
        await world.run(lambda: world.is_settled("web"))
        before = sorted(place(pod) for pod in world.pods())
        world.set_image(SETS, "web", "web:2")
        await world.run(lambda: world.is_settled("web"))
        assert sorted(place(pod) for pod in world.pods()) == before
        assert [restarts(pod) for pod in world.pods()] == [1, 1, 1]
        for pod in world.pods():
            states = [(image(state), gate(state)) for state in world.history(pod["metadata"]["uid"])]
            changed = next(n for n, (new, _) in enumerate(states) if new == "web:2")
            assert states[changed - 1] == ("web:1", "False")
            assert states[changed] == ("web:2", "False")
            assert states[-1] == ("web:2", "True")


@in_virtual_time
async def test_a_new_label_restarts_nothing_and_keeps_every_pod_available() -> None:
    async with a_world() as world:
        await settled(world)
        before, since = places(world), len(world.commits)
        world.edit(SETS, "web", template=label_all("front"))
        await world.run(lambda: world.is_settled("web"))
        assert places(world) == before
        assert [pod["metadata"]["labels"]["tier"] for pod in world.pods()] == ["front"] * 3
        assert sum(restarts(pod) for pod in world.pods()) == 0
        assert lowest(world, since) == 3


@in_virtual_time
async def test_a_label_taken_out_of_the_template_leaves_the_pods_too() -> None:
    async with a_world() as world:
        await settled(world, template=label_all("front"))
        world.edit(SETS, "web", template={"metadata": {"labels": {"tier": None}}})
        await world.run(lambda: world.is_settled("web"))
        assert not any("tier" in pod["metadata"]["labels"] for pod in world.pods())


@in_virtual_time
async def test_a_changed_environment_makes_new_pods_within_the_budget() -> None:
    async with a_world() as world:
        await settled(world, replicas=5, strategy={"maxUnavailable": 2})
        before, since = uids(world), len(world.commits)
        world.edit(SETS, "web", template=a_template(env=[{"name": "A", "value": "1"}]))
        await world.run(lambda: world.is_settled("web"))
        assert len(world.pods()) == 5
        assert not before & uids(world)
        assert lowest(world, since) == 3
        assert len(world.events("PodReplaced")) > 0


@in_virtual_time
async def test_in_place_only_refuses_what_needs_new_pods_and_touches_nothing() -> None:
    async with a_world() as world:
        await settled(world, strategy={"podUpgradePolicy": "InPlaceOnly"})
        versions = [pod["metadata"]["resourceVersion"] for pod in world.pods()]
        world.edit(SETS, "web", template=a_template(env=[{"name": "A", "value": "1"}]))
        await world.run(lambda: reason(world) == "InPlaceImpossible")
        await world.rest()
        told = world.condition(SETS, "web", "Progressing")
        assert told["status"] == "False"
        assert "spec.containers[app].env" in told["message"]
        assert [pod["metadata"]["resourceVersion"] for pod in world.pods()] == versions
        world.edit(SETS, "web", template={"spec": a_template()["spec"]})
        await world.run(lambda: world.is_settled("web"))
        assert [pod["metadata"]["resourceVersion"] for pod in world.pods()] == versions


@in_virtual_time
async def test_a_new_tag_with_the_same_digest_completes() -> None:
    async with a_world(registry=Registry(aliases={"web:2": "web:1"})) as world:
        await settled(world)
        before = places(world)
        world.set_image(SETS, "web", "web:2")
        await world.run(lambda: world.is_settled("web"))
        assert places(world) == before
        assert {restarts(pod) for pod in world.pods()} == {1}
        ids = {s["imageID"] for pod in world.pods() for s in pod["status"]["containerStatuses"]}
        assert len(ids) == 1


@in_virtual_time
async def test_only_as_many_pods_as_the_partition_says_are_updated() -> None:
    async with a_world() as world:
        await settled(world, replicas=4)
        world.edit(SETS, "web", strategy={"partition": 1}, template=a_template("web:2"))
        await world.run(lambda: world.is_settled("web"))
        await world.rest()
        assert images(world) == {"web:1": 3, "web:2": 1}
        world.edit(SETS, "web", strategy={"partition": 3})
        await world.run(lambda: world.is_settled("web"))
        await world.rest()
        assert images(world) == {"web:1": 1, "web:2": 3}


@in_virtual_time
async def test_a_pod_lost_outside_the_partition_comes_back_as_it_was() -> None:
    async with a_world() as world:
        await settled(world, replicas=4)
        world.edit(SETS, "web", strategy={"partition": 1}, template=a_template("web:2"))
        await world.run(lambda: world.is_settled("web"))
        for lost in ("web:1", "web:2"):
            gone = next(pod for pod in world.pods() if image(pod) == lost)["metadata"]
            world.api.delete(PODS, "default", gone["name"])
            await world.run(lambda gone=gone: gone["uid"] not in uids(world) and world.is_settled("web"))  # type: ignore[misc]
            assert images(world) == {"web:1": 3, "web:2": 1}


@in_virtual_time
async def test_the_budget_holds_at_every_commit_of_an_update_in_place() -> None:
    async with a_world() as world:
        await settled(world, replicas=10, strategy={"maxUnavailable": "30%"})
        since = len(world.commits)
        world.set_image(SETS, "web", "web:2")
        await world.run(lambda: world.is_settled("web"))
        assert lowest(world, since) == 7


@in_virtual_time
async def test_an_image_that_cannot_be_pulled_stops_at_the_budget() -> None:
    async with a_world() as world:
        await settled(world, replicas=10, strategy={"maxUnavailable": 2})
        world.set_image(SETS, "web", "web:bad")
        await world.run(lambda: images(world)["web:bad"] == 2)
        await world.stays(lambda: images(world)["web:bad"] == 2, timedelta(minutes=10))
        assert sum(is_available(pod) for pod in world.pods()) == 8
        assert "ImagePullBackOff" in world.condition(SETS, "web", "Progressing")["message"]


@in_virtual_time
async def test_a_crashing_image_stops_at_the_budget_too() -> None:
    async with a_world() as world:
        await settled(world, replicas=6, minReadySeconds=5)
        world.set_image(SETS, "web", "web:crash")
        await world.run(lambda: images(world)["web:crash"] == 2)
        await world.stays(lambda: images(world)["web:crash"] <= 2, timedelta(minutes=10))


@in_virtual_time
async def test_the_way_back_reuses_the_revision_and_touches_only_touched_pods() -> None:
    async with a_world() as world:
        await settled(world, replicas=6, strategy={"maxUnavailable": 2})
        old = world.one(SETS, "web")["status"]["updateRevision"]
        world.set_image(SETS, "web", "web:bad")
        await world.run(
            lambda: reason(world) in {"BudgetSpent", "WaitingForPods"} and images(world)["web:bad"] == 2
        )
        await world.clock.sleep(timedelta(minutes=1))
        good = {
            p["metadata"]["name"]: p["metadata"]["resourceVersion"]
            for p in world.pods()
            if image(p) == "web:1"
        }
        before = uids(world)
        world.set_image(SETS, "web", "web:1")
        await world.run(lambda: world.is_settled("web") and all(is_available(p) for p in world.pods()))
        assert uids(world) == before
        assert images(world) == {"web:1": 6}
        now = {p["metadata"]["name"]: p["metadata"]["resourceVersion"] for p in world.pods()}
        assert {name: now[name] for name in good} == good
        stored = {
            r["metadata"]["labels"]["controller-revision-hash"]: r["revision"]
            for r in world.api.list(REVISIONS)
        }
        assert len(stored) == 2
        assert stored[old] == 3
        assert world.one(SETS, "web")["status"]["updateRevision"] == old


@in_virtual_time
async def test_a_pod_must_dwell_before_the_next_one_is_changed() -> None:
    async with a_world() as world:
        await settled(world, replicas=2, minReadySeconds=30, strategy={"maxUnavailable": 1})
        world.set_image(SETS, "web", "web:2")
        start = world.clock.monotonic()
        await world.run(lambda: images(world)["web:2"] == 1)
        await world.stays(lambda: images(world)["web:2"] == 1, timedelta(seconds=29))
        await world.run(lambda: world.is_settled("web"))
        assert world.clock.monotonic() - start >= timedelta(seconds=60)


@in_virtual_time
async def test_a_grace_period_withholds_the_image_for_its_time() -> None:
    async with a_world() as world:
        await settled(world, replicas=1, strategy={"gracePeriodSeconds": 20})
        world.set_image(SETS, "web", "web:2")
        await world.run(lambda: gate(world.pods()[0]) == "False")
        start = world.clock.monotonic()
        await world.stays(lambda: images(world) == {"web:1": 1}, timedelta(seconds=19))
        await world.run(lambda: images(world) == {"web:2": 1})
        assert timedelta(seconds=19) <= world.clock.monotonic() - start <= timedelta(seconds=22)
        await world.run(lambda: world.is_settled("web"))


@in_virtual_time
async def test_a_target_that_moves_within_the_grace_period_restarts_a_pod_only_once() -> None:
    async with a_world() as world:
        await settled(world, replicas=1, strategy={"gracePeriodSeconds": 20})
        world.set_image(SETS, "web", "web:2")
        await world.run(lambda: gate(world.pods()[0]) == "False")
        world.set_image(SETS, "web", "web:3")
        await world.run(lambda: world.is_settled("web"))
        assert [(image(pod), restarts(pod)) for pod in world.pods()] == [("web:3", 1)]
        assert "web:2" not in {image(state) for state in world.history(world.pods()[0]["metadata"]["uid"])}


@in_virtual_time
async def test_a_change_taken_back_within_the_grace_period_restarts_nothing() -> None:
    async with a_world() as world:
        await settled(world, replicas=1, strategy={"gracePeriodSeconds": 20})
        world.set_image(SETS, "web", "web:2")
        await world.run(lambda: gate(world.pods()[0]) == "False")
        world.set_image(SETS, "web", "web:1")
        await world.run(
            lambda: world.is_settled("web") and is_available(world.pods()[0]), timedelta(seconds=15)
        )
        assert [(image(pod), restarts(pod)) for pod in world.pods()] == [("web:1", 0)]


@in_virtual_time
async def test_a_paused_set_starts_no_update_but_keeps_its_replicas() -> None:
    async with a_world() as world:
        await settled(world, strategy={"paused": True})
        world.set_image(SETS, "web", "web:2")
        await world.run(lambda: reason(world) == "Paused")
        world.api.delete(PODS, "default", world.pods()[0]["metadata"]["name"])
        await world.rest()
        assert len(world.pods()) == 3
        assert images(world)["web:1"] >= 2
        world.edit(SETS, "web", strategy={"paused": False})
        await world.run(lambda: world.is_settled("web"))
        assert images(world) == {"web:2": 3}


@in_virtual_time
async def test_sick_pods_are_updated_first_and_for_free() -> None:
    async with a_world() as world:
        await settled(world, replicas=4, template=a_template(**PROBED), strategy={"maxUnavailable": 1})
        sick = world.pods()[-1]
        world.cluster.kubelets[sick["spec"]["nodeName"]].hang(sick["metadata"]["uid"], "app")
        await world.run(lambda: not is_available(world.pods()[-1]))
        since = len(world.commits)
        template = a_template("web:2", **PROBED)
        world.edit(SETS, "web", template=template, strategy={"partition": 1})
        await world.run(lambda: world.is_settled("web"))
        updated = [pod["metadata"]["name"] for pod in world.pods() if image(pod) == "web:2"]
        assert updated == [sick["metadata"]["name"]]
        assert lowest(world, since) == 3


@in_virtual_time
async def test_a_set_of_two_containers_restarts_only_the_changed_one() -> None:
    template = a_template()
    template["spec"]["containers"].append({"name": "side", "image": "side:1"})
    async with a_world() as world:
        await settled(world, replicas=2, template=template)
        world.set_image(SETS, "web", "web:2")
        await world.run(lambda: world.is_settled("web"))
        for pod in world.pods():
            counts = {s["name"]: s["restartCount"] for s in pod["status"]["containerStatuses"]}
            assert counts == {"app": 1, "side": 0}


@in_virtual_time
async def test_an_image_and_a_label_travel_in_one_write() -> None:
    template = label_all("front")
    template["spec"]["containers"][0]["image"] = "web:2"
    async with a_world() as world:
        await settled(world, replicas=1)
        world.edit(SETS, "web", template=template)
        await world.run(lambda: world.is_settled("web"))
        pod = world.pods()[0]
        states = [
            (image(s), s["metadata"]["labels"].get("tier")) for s in world.history(pod["metadata"]["uid"])
        ]
        assert ("web:2", None) not in states
        assert ("web:1", "front") not in states
        assert restarts(pod) == 1


@in_virtual_time
async def test_an_update_takes_three_writes_to_a_pod() -> None:
    async with a_world() as world:
        await settled(world, replicas=4, strategy={"maxUnavailable": 4})
        before = len([w for w in world.writes if "/pods" in w])
        world.set_image(SETS, "web", "web:2")
        await world.run(lambda: world.is_settled("web"))
        assert len([w for w in world.writes if "/pods" in w]) - before == 12


@in_virtual_time
async def test_policy_recreate_makes_new_pods_for_a_new_image() -> None:
    async with a_world() as world:
        await settled(world, strategy={"podUpgradePolicy": "Recreate"})
        before = uids(world)
        world.set_image(SETS, "web", "web:2")
        await world.run(lambda: world.is_settled("web"))
        assert not before & uids(world)
        assert images(world) == {"web:2": 3}


@in_virtual_time
async def test_the_set_reports_what_it_has_seen() -> None:
    async with a_world() as world:
        await settled(world, replicas=4)
        status = world.status(SETS, "web")
        assert is_seen(world)
        assert [status[k] for k in ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas")] == [
            4
        ] * 4
        assert status["currentRevision"] == status["updateRevision"]
        assert status["labelSelector"] == "app=web"
        assert world.condition(SETS, "web", "Available")["status"] == "True"


@in_virtual_time
async def test_a_kubelet_finds_nothing_to_correct_in_a_pod_whose_gate_fell() -> None:
    """Else its write would come between ours of the gate and that of the image."""
    async with a_world() as world:
        await settled(world, strategy={"gracePeriodSeconds": 10})
        world.set_image(SETS, "web", "web:2")
        await world.run(lambda: world.is_settled("web"))
        for pod in world.pods():
            states = [s for s in world.history(pod["metadata"]["uid"]) if image(s) == "web:1"]
            assert sum(gate(state) == "False" for state in states) == 1
