"""A CafeDeployment's release in groups, end to end on the simulated cluster."""

from collections import Counter
from datetime import timedelta

import pytest

from cafe.api.names import UNIT_LABEL
from tests.simulation.world import (
    APPS,
    CELLS,
    PODS,
    REVISIONS,
    SETS,
    World,
    a_world,
    an_app,
    image,
    is_available,
    lowest,
    place,
    released,
    restarts,
)
from tests.worlds.clock import in_virtual_time

CONFIRMED = {"needWaitingForConfirm": True}


def per_cell(world: World, wanted: str | None = None) -> Counter[str]:
    """Count the pods of each cell, all or those that ask for an image."""
    pods = [pod for pod in world.pods() if wanted is None or image(pod) == wanted]
    return Counter(pod["metadata"]["labels"][UNIT_LABEL] for pod in pods)


def groups(world: World) -> list[tuple[int, tuple[int, ...]]]:
    plan = world.status(APPS, "web")["plan"]
    return [(g["index"], tuple(g["units"].values())) for g in plan["groups"]]


def plan_hash(world: World) -> str:
    return str(world.status(APPS, "web")["plan"]["hash"])


def uids(world: World) -> set[str]:
    return {pod["metadata"]["uid"] for pod in world.pods()}


@in_virtual_time
async def test_the_first_deployment_goes_out_in_groups_across_the_cells() -> None:
    async with a_world() as world:
        world.apply(an_app(**CONFIRMED))
        seen = []
        for group in (0, 1):
            await world.run(lambda group=group: world.asks("web", group))  # type: ignore[misc]
            seen.append(dict(per_cell(world)))
            world.confirm("web")
        await world.run(lambda: world.is_complete("web"))
        assert seen == [{"cell-a": 1, "cell-b": 1}, {"cell-a": 3, "cell-b": 3}]
        assert per_cell(world) == {"cell-a": 5, "cell-b": 5}
        assert groups(world) == [(0, (1, 1)), (1, (2, 2)), (2, (2, 2))]


@in_virtual_time
async def test_every_pod_runs_in_its_cell() -> None:
    async with a_world() as world:
        await released(world)
        for pod in world.pods():
            assert pod["spec"]["nodeName"].startswith(pod["metadata"]["labels"][UNIT_LABEL])


@pytest.mark.slow
@in_virtual_time
async def test_an_update_goes_beta_then_group_by_group_without_moving_a_pod() -> None:
    async with a_world() as world:
        await released(world, an_app(**CONFIRMED))
        before, since = sorted(place(p) for p in world.pods()), len(world.commits)
        world.set_image(APPS, "web", "web:2")
        for group, updated in ((0, 1), (1, 3)):
            await world.run(lambda group=group: world.asks("web", group))  # type: ignore[misc]
            await world.stays(
                lambda updated=updated: per_cell(world, "web:2") == {"cell-a": updated, "cell-b": updated},  # type: ignore[misc]
                timedelta(minutes=10),
            )
            world.confirm("web")
        await world.run(lambda: world.is_complete("web"))
        assert sorted(place(p) for p in world.pods()) == before
        assert {(image(p), restarts(p)) for p in world.pods()} == {("web:2", 1)}
        assert lowest(world, since) >= 8  # One of each cell at most.


@in_virtual_time
async def test_scaling_out_is_cut_into_groups_where_that_is_asked_for() -> None:
    async with a_world() as world:
        await released(world, an_app(4, scaleOut="Groups", **CONFIRMED))
        world.edit(APPS, "web", replicas=14)
        await world.run(lambda: world.asks("web", 0))
        assert groups(world) == [(0, (1, 1)), (1, (2, 2)), (2, (2, 2))]
        assert per_cell(world) == {"cell-a": 3, "cell-b": 3}
        world.confirm("web")
        await world.run(lambda: world.asks("web", 1))
        assert per_cell(world) == {"cell-a": 5, "cell-b": 5}
        world.confirm("web")
        await world.run(lambda: world.is_complete("web"))
        assert per_cell(world) == {"cell-a": 7, "cell-b": 7}


@in_virtual_time
async def test_without_beta_the_first_group_is_a_whole_one() -> None:
    async with a_world() as world:
        await released(world, an_app(upgradeType="Batch", **CONFIRMED))
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.asks("web", 1))
        assert per_cell(world, "web:2") == {"cell-a": 2, "cell-b": 2}


@in_virtual_time
async def test_without_confirmation_the_groups_follow_by_themselves() -> None:
    async with a_world() as world:
        await released(world)
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.is_complete("web"))
        assert per_cell(world, "web:2") == {"cell-a": 5, "cell-b": 5}
        assert len(world.events("GroupOpened")) >= 3


@pytest.mark.slow
@in_virtual_time
async def test_confirmations_that_do_not_fit_are_told_and_change_nothing() -> None:
    async with a_world() as world:
        await released(world, an_app(**CONFIRMED))
        old = plan_hash(world)
        world.confirm("web", "true")
        await world.run(lambda: bool(world.events("ConfirmEarly")))
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.asks("web", 0))
        now = plan_hash(world)
        for said, reason in (
            (f"0/{old}", "ConfirmStale"),
            (f"1/{now}", "ConfirmEarly"),
            ("yes, go on", "ConfirmMalformed"),
            ("0/0123456789ab", "ConfirmStale"),
        ):
            before = len(world.events(reason))
            world.confirm("web", said)
            await world.run(lambda: world.asks("web", 0))
            await world.stays(
                lambda: per_cell(world, "web:2") == {"cell-a": 1, "cell-b": 1}, timedelta(seconds=30)
            )
            assert world.asks("web", 0)
            assert len(world.events(reason)) >= max(1, before)
        world.confirm("web", f"0/{now}")
        await world.run(lambda: world.asks("web", 1))
        world.confirm("web", f"0/{now}")
        await world.run(lambda: bool(world.events("ConfirmRepeated")) and world.asks("web", 1))
        await world.stays(
            lambda: per_cell(world, "web:2") == {"cell-a": 3, "cell-b": 3}, timedelta(seconds=30)
        )


@pytest.mark.slow
@in_virtual_time
async def test_a_bare_true_confirms_only_the_group_that_is_shown() -> None:
    async with a_world() as world:
        await released(world, an_app(**CONFIRMED))
        world.set_image(APPS, "web", "web:2")
        world.confirm("web", "true")
        await world.run(lambda: world.asks("web", 0))
        await world.stays(lambda: world.asks("web", 0), timedelta(minutes=1))
        world.confirm("web", "true")
        await world.run(lambda: world.asks("web", 1))
        await world.stays(lambda: world.asks("web", 1), timedelta(minutes=1))


@in_virtual_time
async def test_a_paused_release_starts_no_further_pod_and_goes_on_when_resumed() -> None:
    async with a_world() as world:
        await released(world)
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: per_cell(world, "web:2").total() >= 2)
        world.edit(APPS, "web", strategy={"pause": True})
        await world.run(lambda: world.waits("web", "Paused"))
        await world.rest()
        there = per_cell(world, "web:2")
        assert there.total() < 10
        await world.stays(lambda: per_cell(world, "web:2") == there, timedelta(minutes=10))
        assert all(is_available(p) for p in world.pods())
        world.edit(APPS, "web", strategy={"pause": False})
        await world.run(lambda: world.is_complete("web"))
        assert {restarts(p) for p in world.pods()} == {1}


@pytest.mark.slow
@in_virtual_time
async def test_a_template_edited_in_mid_release_is_planned_anew() -> None:
    async with a_world() as world:
        await released(world, an_app(**CONFIRMED))
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.asks("web", 0))
        old = plan_hash(world)
        world.set_image(APPS, "web", "web:3")
        world.confirm("web", f"0/{old}")
        await world.run(lambda: world.asks("web", 0) and plan_hash(world) != old)
        assert per_cell(world, "web:3") == {"cell-a": 1, "cell-b": 1}
        world.edit(APPS, "web", strategy={"needWaitingForConfirm": False})
        await world.run(lambda: world.is_complete("web"))
        assert per_cell(world, "web:3") == {"cell-a": 5, "cell-b": 5}


@in_virtual_time
async def test_a_batch_size_edited_at_a_pause_recuts_what_is_left() -> None:
    async with a_world() as world:
        await released(world, an_app(**CONFIRMED))
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.asks("web", 0))
        old = plan_hash(world)
        world.edit(APPS, "web", strategy={"batchSize": 2})
        await world.run(lambda: world.asks("web", 0) and plan_hash(world) != old)
        assert groups(world) == [(n, (1, 1)) for n in range(5)]
        assert per_cell(world, "web:2") == {"cell-a": 1, "cell-b": 1}
        world.confirm("web")
        await world.run(lambda: world.asks("web", 1))
        assert per_cell(world, "web:2") == {"cell-a": 2, "cell-b": 2}


@in_virtual_time
async def test_a_group_whose_pods_sicken_while_it_waits_asks_no_longer() -> None:
    async with a_world() as world:
        await released(world, an_app(**CONFIRMED))
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.asks("web", 0))
        sick = next(pod for pod in world.pods() if image(pod) == "web:2")
        kubelet = world.cluster.kubelets[sick["spec"]["nodeName"]]
        kubelet.cut_off()
        await world.run(lambda: not world.waits("web", "WaitingForConfirm"), timedelta(minutes=3))
        states = {g["index"]: g["state"] for g in world.status(APPS, "web")["groups"]}
        assert states[0] == "Updating"
        kubelet.reconnect()
        await world.run(lambda: world.asks("web", 0))


@pytest.mark.slow
@in_virtual_time
async def test_a_bad_image_stops_in_beta_and_the_way_back_touches_only_the_touched() -> None:
    async with a_world() as world:
        await released(world)
        before = sorted(place(p) for p in world.pods())
        untouched = {p["metadata"]["name"]: restarts(p) for p in world.pods()}
        world.set_image(APPS, "web", "web:bad")
        # Beta is a pod of each cell, but no more than one of all may be away: the other cell is spared.
        await world.run(lambda: per_cell(world, "web:bad").total() == 1)
        await world.stays(lambda: per_cell(world, "web:bad").total() == 1, timedelta(minutes=30))
        assert "ImagePull" in str(world.status(APPS, "web")["waiting"]["message"])
        world.set_image(APPS, "web", "web:1")
        await world.run(lambda: world.is_complete("web") and all(is_available(p) for p in world.pods()))
        assert sorted(place(p) for p in world.pods()) == before
        now = {p["metadata"]["name"]: restarts(p) for p in world.pods()}
        assert sum(now[name] != count for name, count in untouched.items()) <= 1
        owned = [r for r in world.api.list(REVISIONS) if r["metadata"]["name"].count("-") == 1]
        assert len(owned) == 2


@in_virtual_time
async def test_scaling_in_takes_pods_away_at_once() -> None:
    async with a_world() as world:
        await released(world, an_app(**CONFIRMED))
        world.edit(APPS, "web", replicas=5)
        await world.run(lambda: world.is_complete("web") and len(world.pods()) == 5)
        assert sorted(per_cell(world).values()) == [2, 3]


@in_virtual_time
async def test_the_scale_subresource_scales_an_application() -> None:
    async with a_world() as world:
        await released(world)
        world.api.patch(APPS, "default", "web", {"spec": {"replicas": 12}}, "scale")
        await world.run(lambda: world.is_complete("web") and len(world.pods()) == 12)
        status = world.status(APPS, "web")
        assert status["replicas"] == 12
        assert status["labelSelector"] == "app=web"


@in_virtual_time
async def test_a_removed_cell_is_emptied_only_after_the_others_serve() -> None:
    async with a_world() as world:
        await released(world, an_app(6))
        since = len(world.commits)
        world.edit(APPS, "web", topology={"values": ["cell-a"]})
        await world.run(lambda: world.is_complete("web") and len(world.api.list(SETS)) == 1)
        await world.run(lambda: per_cell(world) == {"cell-a": 6})
        assert lowest(world, since) >= 6


@in_virtual_time
async def test_a_cell_that_joins_takes_its_share_without_losing_capacity() -> None:
    async with a_world() as world:
        await released(world, an_app(6, values=["cell-a"]))
        since = len(world.commits)
        world.edit(APPS, "web", topology={"values": list(CELLS)})
        await world.run(lambda: world.is_complete("web") and per_cell(world) == {"cell-a": 3, "cell-b": 3})
        assert lowest(world, since) >= 6


@in_virtual_time
async def test_an_application_without_units_has_one_set_of_its_own_name() -> None:
    async with a_world() as world:
        await released(world, an_app(3, values=[]))
        assert [s["metadata"]["name"] for s in world.api.list(SETS)] == ["web"]
        assert len(world.pods()) == 3


@in_virtual_time
async def test_pods_of_a_zone_are_bound_by_the_zone_label_in_every_term() -> None:
    body = an_app(2, values=["zone-1", "zone-2"])
    body["spec"]["topology"]["unitType"] = "Zone"
    terms = [
        {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}]},
        {"matchExpressions": [{"key": "disk", "operator": "Exists"}]},
    ]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    body["spec"]["template"]["spec"]["affinity"] = {"nodeAffinity": required}
    async with a_world() as world:
        await released(world, body)
        for child in world.api.list(SETS):
            affinity = child["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
            stored = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
            keys = [{rule["key"] for rule in term["matchExpressions"]} for term in stored]
            assert [sorted(k) for k in keys] == [
                ["kubernetes.io/os", "topology.kubernetes.io/zone"],
                ["disk", "topology.kubernetes.io/zone"],
            ]
        zones = Counter(p["metadata"]["labels"][UNIT_LABEL] for p in world.pods())
        assert zones == {"zone-1": 1, "zone-2": 1}


@in_virtual_time
async def test_a_deleted_application_takes_everything_with_it() -> None:
    async with a_world() as world:
        await released(world)
        world.api.delete(APPS, "default", "web")
        await world.run(lambda: not any(world.api.list(r) for r in (PODS, SETS, REVISIONS)))
        await world.rest()
        assert not any(world.api.list(r) for r in (PODS, SETS, REVISIONS))


@in_virtual_time
async def test_a_deleted_set_is_made_anew() -> None:
    async with a_world() as world:
        await released(world)
        world.api.delete(SETS, "default", "web-cell-a")
        await world.run(lambda: world.is_complete("web") and per_cell(world) == {"cell-a": 5, "cell-b": 5})
        await world.rest()
        assert per_cell(world) == {"cell-a": 5, "cell-b": 5}


@in_virtual_time
async def test_a_set_that_somebody_edited_is_brought_back() -> None:
    async with a_world() as world:
        await released(world)
        world.edit(SETS, "web-cell-a", replicas=1)
        await world.run(lambda: world.one(SETS, "web-cell-a")["spec"]["replicas"] == 5)
        await world.run(lambda: world.is_complete("web") and len(world.pods()) == 10)


@in_virtual_time
async def test_a_status_that_was_lost_is_rebuilt_without_touching_a_pod() -> None:
    async with a_world() as world:
        await released(world)
        before = uids(world)
        status = dict.fromkeys(world.status(APPS, "web"))
        world.patch(APPS, "web", {"status": status}, "status")
        await world.run(lambda: world.is_complete("web"))
        await world.rest()
        assert uids(world) == before
        assert {restarts(p) for p in world.pods()} == {0}


@in_virtual_time
async def test_a_lost_status_moves_no_pod_although_the_fuller_cell_is_sick() -> None:
    async with a_world() as world:
        await released(world, an_app(5))
        before = per_cell(world)
        fuller = max(before, key=lambda cell: before[cell])
        for kubelet in world.cluster.kubelets.values():
            if kubelet.spec.name.startswith(fuller):
                kubelet.cut_off()
        await world.clock.sleep(timedelta(minutes=2))
        status = dict.fromkeys(world.status(APPS, "web"))
        world.patch(APPS, "web", {"status": status}, "status")
        await world.clock.sleep(timedelta(minutes=1))
        desired = {u["name"]: u["desired"] for u in world.status(APPS, "web")["units"]}
        assert desired == before


@in_virtual_time
async def test_an_application_at_rest_writes_nothing_for_half_an_hour() -> None:
    async with a_world() as world:
        await released(world)
        await world.rest()
        commits, writes = len(world.commits), len(world.writes)
        await world.clock.sleep(timedelta(minutes=30))
        assert len(world.writes) == writes
        assert len(world.commits) == commits


@in_virtual_time
async def test_a_waiting_application_writes_nothing_for_half_an_hour() -> None:
    async with a_world() as world:
        await released(world, an_app(**CONFIRMED))
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.asks("web", 0))
        await world.rest()
        writes = len(world.writes)
        await world.clock.sleep(timedelta(minutes=30))
        assert len(world.writes) == writes


@in_virtual_time
async def test_groups_can_be_a_share_of_every_cell_with_a_stop_before_one_of_them() -> None:
    grouping = {"strategy": "CellPercentage", "percent": 40, "breakpoints": [2]}
    async with a_world() as world:
        await released(world)
        world.edit(APPS, "web", strategy={"grouping": grouping})
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.asks("web", 1))
        assert groups(world) == [(0, (1, 1)), (1, (2, 2)), (2, (2, 2))]
        assert per_cell(world, "web:2") == {"cell-a": 3, "cell-b": 3}
        await world.stays(lambda: len(world.pods()) == 10 and world.asks("web", 1), timedelta(minutes=5))
        world.confirm("web")
        await world.run(lambda: world.is_complete("web"))
        assert per_cell(world, "web:2") == {"cell-a": 5, "cell-b": 5}


@in_virtual_time
async def test_cells_can_follow_each_other() -> None:
    async with a_world() as world:
        await released(world, an_app(upgradeType="Batch"))
        world.edit(APPS, "web", strategy={"grouping": {"strategy": "Cell", "breakpoints": [2]}})
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.asks("web", 1))
        assert per_cell(world, "web:2") == {"cell-a": 5}
        world.confirm("web")
        await world.run(lambda: world.is_complete("web"))


@in_virtual_time
async def test_a_grouping_edited_in_mid_release_serves_no_group_twice_and_opens_none_unasked() -> None:
    async with a_world() as world:
        await released(world, an_app(**CONFIRMED))
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.asks("web", 0))
        world.edit(APPS, "web", strategy={"grouping": {"strategy": "Cell"}})
        await world.run(lambda: world.asks("web", 0))
        await world.rest()
        assert groups(world) == [(0, (1, 1)), (1, (4,)), (2, (4,))]
        assert per_cell(world, "web:2") == {"cell-a": 1, "cell-b": 1}


@in_virtual_time
async def test_batches_that_name_an_unknown_cell_are_refused_and_change_nothing() -> None:
    async with a_world() as world:
        await released(world)
        grouping = {"strategy": "Explicit", "batches": [{"cell-x": 1}]}
        world.edit(APPS, "web", strategy={"grouping": grouping})
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.waits("web", "BadBatches"))
        await world.rest()
        assert per_cell(world, "web:2") == {}


@in_virtual_time
async def test_a_release_that_does_not_get_on_is_called_stalled_and_goes_on_when_it_can() -> None:
    async with a_world() as world:
        await released(world, an_app(progressDeadlineSeconds=120))
        world.set_image(APPS, "web", "web:missing")
        await world.run(lambda: world.waits("web", "ProgressDeadlineExceeded"))
        told = world.condition(APPS, "web", "Progressing")
        assert (told["status"], told["reason"]) == ("False", "ProgressDeadlineExceeded")
        assert told["message"].startswith("No progress for 120 s: cell-a: ")
        assert world.condition(APPS, "web", "Stalled")["status"] == "True"
        assert not world.condition(APPS, "web", "Reconciling")
        assert world.condition(APPS, "web", "Available")["status"] == "True"
        await world.stays(lambda: world.waits("web", "ProgressDeadlineExceeded"), timedelta(minutes=20))
        assert len(world.events("ProgressDeadlineExceeded")) == 1
        world.set_image(APPS, "web", "web:1")
        await world.run(lambda: world.is_complete("web"))
        assert world.condition(APPS, "web", "Ready")["status"] == "True"
        assert not world.condition(APPS, "web", "Stalled")


@pytest.mark.parametrize("hold", ["confirm", "pause"])
@in_virtual_time
async def test_a_release_that_a_person_holds_up_is_not_stalled(hold: str) -> None:
    async with a_world() as world:
        await released(world, an_app(progressDeadlineSeconds=60, **(CONFIRMED if hold == "confirm" else {})))
        if hold == "pause":
            world.edit(APPS, "web", strategy={"pause": True})
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.status(APPS, "web")["phase"] in {"WaitingForConfirm", "Paused"})
        await world.rest(timedelta(minutes=6), timedelta(minutes=30))
        assert not world.condition(APPS, "web", "Stalled")
        assert world.condition(APPS, "web", "Reconciling")["status"] == "True"
