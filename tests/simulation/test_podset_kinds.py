"""Native ReplicaSets and StatefulSets behind the same release: Beta, groups, confirmations, the way back."""

from collections import Counter
from datetime import timedelta

import pytest

from cafe.api.names import POD_REVISION_LABEL, SPECIFIED_DELETE_LABEL, UNIT_GOAL_ANNOTATION, UNIT_LABEL
from cafe_sim.contract import Json
from tests.simulation.world import (
    APPS,
    PODS,
    PROBED,
    World,
    a_template,
    a_world,
    an_app,
    image,
    is_ready,
    lowest,
    released,
)
from tests.worlds.clock import in_virtual_time

KINDS = ("ReplicaSet", "StatefulSet")
REPLICA_SETS = "replicasets.apps"
STATEFUL_SETS = "statefulsets.apps"
CONFIRMED = {"needWaitingForConfirm": True}

kinds = pytest.mark.parametrize("kind", KINDS)


def app_of(kind: str, replicas: int = 10, **strategy: object) -> Json:
    body = an_app(replicas, **strategy)
    body["spec"]["podSetType"] = kind
    return body


def live(world: World) -> list[Json]:
    return [pod for pod in world.pods() if "deletionTimestamp" not in pod["metadata"]]


def per_cell(world: World, wanted: str | None = None) -> Counter[str]:
    pods = [pod for pod in live(world) if wanted is None or image(pod) == wanted]
    return Counter(pod["metadata"]["labels"][UNIT_LABEL] for pod in pods)


def names(world: World, wanted: str) -> set[str]:
    return {pod["metadata"]["name"] for pod in live(world) if image(pod) == wanted}


def uids(world: World, wanted: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in live(world) if image(pod) == wanted}


def serves(pod: Json) -> bool:
    """Whether traffic may reach a pod that has no gate of ours."""
    return is_ready(pod) and "deletionTimestamp" not in pod["metadata"]


def fewest_ready(world: World, since: int) -> int:
    """Return the smallest number of ready pods at any commit from index *since* on."""
    return lowest(world, since, serves)


@kinds
@in_virtual_time
async def test_the_first_deployment_goes_out_in_groups_across_the_cells(kind: str) -> None:
    async with a_world() as world:
        world.apply(app_of(kind, **CONFIRMED))
        seen = []
        for group in (0, 1):
            await world.run(lambda group=group: world.asks("web", group))  # type: ignore[misc]
            seen.append(dict(per_cell(world)))
            world.confirm("web")
        await world.run(lambda: world.is_complete("web"))
        assert seen == [{"cell-a": 1, "cell-b": 1}, {"cell-a": 3, "cell-b": 3}]
        assert per_cell(world) == {"cell-a": 5, "cell-b": 5}


@kinds
@in_virtual_time
async def test_an_update_goes_beta_then_group_by_group_within_the_budget(kind: str) -> None:
    async with a_world() as world:
        await released(world, app_of(kind, **CONFIRMED))
        since = len(world.commits)
        world.set_image(APPS, "web", "web:2")
        for group, updated in ((0, 1), (1, 3)):
            await world.run(lambda group=group: world.asks("web", group))  # type: ignore[misc]
            await world.stays(
                lambda updated=updated: per_cell(world, "web:2") == {"cell-a": updated, "cell-b": updated},  # type: ignore[misc]
                timedelta(minutes=10),
            )
            world.confirm("web")
        await world.run(lambda: world.is_complete("web"))
        assert per_cell(world, "web:2") == {"cell-a": 5, "cell-b": 5}
        assert fewest_ready(world, since) >= 8, "one of each cell at most"


@in_virtual_time
async def test_ordinals_are_updated_from_the_top_and_keep_their_names() -> None:
    async with a_world() as world:
        await released(world, app_of("StatefulSet", **CONFIRMED))
        everyone = {f"web-cell-{cell}-{n}" for cell in "ab" for n in range(5)}
        assert names(world, "web:1") == everyone
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.asks("web", 0))
        assert names(world, "web:2") == {"web-cell-a-4", "web-cell-b-4"}
        world.confirm("web")
        await world.run(lambda: world.asks("web", 1))
        assert names(world, "web:2") == {f"web-cell-{cell}-{n}" for cell in "ab" for n in (2, 3, 4)}
        world.confirm("web")
        await world.run(lambda: world.is_complete("web"))
        assert names(world, "web:2") == everyone


@kinds
@in_virtual_time
async def test_a_bad_image_stops_in_beta_and_the_way_back_touches_only_its_pods(kind: str) -> None:
    async with a_world() as world:
        await released(world, app_of(kind))
        healthy = uids(world, "web:1")
        world.set_image(APPS, "web", "web:bad")
        await world.run(lambda: per_cell(world, "web:bad").total() == 1)
        await world.stays(lambda: per_cell(world, "web:1").total() == 9, timedelta(minutes=10))
        assert "ImagePull" in world.status(APPS, "web")["waiting"]["message"]
        untouched = uids(world, "web:1")
        assert untouched < healthy
        world.set_image(APPS, "web", "web:1")
        await world.run(lambda: world.is_complete("web"))
        assert untouched < uids(world, "web:1")
        assert per_cell(world, "web:1") == {"cell-a": 5, "cell-b": 5}


@kinds
@in_virtual_time
async def test_going_back_in_mid_release_leaves_the_pods_alone_that_were_never_updated(kind: str) -> None:
    async with a_world() as world:
        await released(world, app_of(kind, **CONFIRMED))
        world.set_image(APPS, "web", "web:2")
        for group in (0, 1):
            await world.run(lambda group=group: world.asks("web", group))  # type: ignore[misc]
            if group == 0:
                world.confirm("web")
        untouched = uids(world, "web:1")
        assert len(untouched) == 4
        world.set_image(APPS, "web", "web:1")
        await world.run(lambda: world.is_complete("web"))
        assert world.status(APPS, "web")["plan"]["rollback"]
        assert untouched < uids(world, "web:1")
        assert per_cell(world, "web:1") == {"cell-a": 5, "cell-b": 5}


@in_virtual_time
async def test_a_sick_low_ordinal_does_not_hold_the_others_up() -> None:
    async with a_world() as world:
        body = app_of("StatefulSet")
        body["spec"]["template"] = a_template(**PROBED)
        await released(world, body)
        sick = world.pod("web-cell-a-0")
        world.cluster.kubelets[sick["spec"]["nodeName"]].hang(sick["metadata"]["uid"], "app")
        await world.run(lambda: not is_ready(world.pod("web-cell-a-0")))
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.is_complete("web"))
        assert len(names(world, "web:2")) == 10


@kinds
@in_virtual_time
async def test_scaling_out_and_in_again_keeps_the_cells_level(kind: str) -> None:
    async with a_world() as world:
        await released(world, app_of(kind, 4, scaleOut="Groups", **CONFIRMED))
        world.edit(APPS, "web", replicas=14)
        await world.run(lambda: world.asks("web", 0))
        assert per_cell(world) == {"cell-a": 3, "cell-b": 3}
        world.confirm("web")
        await world.run(lambda: world.asks("web", 1))
        world.confirm("web")
        await world.run(lambda: world.is_complete("web"))
        assert per_cell(world) == {"cell-a": 7, "cell-b": 7}
        world.edit(APPS, "web", replicas=16, strategy={"scaleOut": "AtOnce"})
        await world.run(lambda: world.is_complete("web") and per_cell(world) == {"cell-a": 8, "cell-b": 8})
        world.edit(APPS, "web", replicas=6)
        await world.run(lambda: world.is_complete("web") and per_cell(world) == {"cell-a": 3, "cell-b": 3})


@kinds
@in_virtual_time
async def test_pods_that_are_added_while_a_release_waits_are_none_of_the_new_revision(kind: str) -> None:
    """A ReplicaSet of the old revision grows; the ordinals of a StatefulSet wait for their group."""
    async with a_world() as world:
        await released(world, app_of(kind, 6, **CONFIRMED))
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.asks("web", 0))
        world.edit(APPS, "web", replicas=12)
        await world.rest()
        grown = {"StatefulSet": 6}.get(kind, 12)
        assert len(world.pods()) == grown
        assert len(names(world, "web:2")) == 2
        world.confirm("web")
        await world.run(lambda: world.asks("web", 1))
        world.edit(APPS, "web", strategy={"needWaitingForConfirm": False})
        await world.run(lambda: world.is_complete("web"))
        assert per_cell(world) == {"cell-a": 6, "cell-b": 6}
        assert len(names(world, "web:2")) == 12


@kinds
@in_virtual_time
async def test_a_unit_that_is_no_longer_wanted_is_emptied_once_the_others_serve(kind: str) -> None:
    async with a_world() as world:
        await released(world, app_of(kind, 6))
        since = len(world.commits)
        world.edit(APPS, "web", topology={"values": ["cell-a"]})
        await world.run(lambda: world.is_complete("web") and per_cell(world) == {"cell-a": 6})
        assert fewest_ready(world, since) >= 6
        resource = REPLICA_SETS if kind == "ReplicaSet" else STATEFUL_SETS
        await world.run(
            lambda: {s["metadata"]["labels"][UNIT_LABEL] for s in world.api.list(resource)} == {"cell-a"}
        )


@kinds
@in_virtual_time
async def test_a_pod_that_is_marked_is_replaced_within_the_budget(kind: str) -> None:
    async with a_world() as world:
        await released(world, app_of(kind, 6))
        since = len(world.commits)
        marked = uids(world, "web:1")
        for pod in live(world):
            world.patch(
                PODS, pod["metadata"]["name"], {"metadata": {"labels": {SPECIFIED_DELETE_LABEL: "x"}}}
            )
        await world.run(
            lambda: not uids(world, "web:1") & marked and per_cell(world) == {"cell-a": 3, "cell-b": 3}
        )
        assert fewest_ready(world, since) >= 4


@in_virtual_time
async def test_of_a_shrinking_replica_set_the_marked_pod_goes_and_no_other() -> None:
    async with a_world() as world:
        await released(world, app_of("ReplicaSet", 8))
        before = {p["metadata"]["uid"]: p["metadata"]["name"] for p in live(world)}
        doomed = world.pod(min(before.values()))
        cell = doomed["metadata"]["labels"][UNIT_LABEL]
        labels = {SPECIFIED_DELETE_LABEL: "x"}
        world.patch(PODS, doomed["metadata"]["name"], {"metadata": {"labels": labels}})
        world.edit(APPS, "web", replicas=7, topology={"unitReplicas": {cell: 3}})
        await world.run(lambda: world.is_complete("web") and len(live(world)) == 7)
        await world.rest()
        assert {p["metadata"]["uid"] for p in live(world)} == set(before) - {doomed["metadata"]["uid"]}


@in_virtual_time
async def test_with_surge_no_pod_is_missing_while_others_are_exchanged() -> None:
    async with a_world() as world:
        await released(world, app_of("ReplicaSet", maxUnavailable=0, maxSurge=1))
        since = len(world.commits)
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.is_complete("web"))
        assert fewest_ready(world, since) >= 10
        assert per_cell(world, "web:2") == {"cell-a": 5, "cell-b": 5}


@in_virtual_time
async def test_an_empty_replica_set_of_an_old_revision_is_not_left_behind() -> None:
    async with a_world() as world:
        await released(world, app_of("ReplicaSet", 4))
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.is_complete("web"))
        await world.rest()
        left = {
            s["spec"]["template"]["metadata"]["labels"][POD_REVISION_LABEL]
            for s in world.api.list(REPLICA_SETS)
        }
        assert left == {world.status(APPS, "web")["updateRevision"]}


@kinds
@in_virtual_time
async def test_why_a_pod_is_deleted_is_told(kind: str) -> None:
    async with a_world() as world:
        await released(world, app_of(kind, 4))
        marked = min(names(world, "web:1"))
        world.patch(PODS, marked, {"metadata": {"labels": {SPECIFIED_DELETE_LABEL: "x"}}})
        await world.run(lambda: bool(world.events("PodDeleted")))
        told = {event["note"] for event in world.events("PodDeleted")}
        assert told == {f"Pod {marked} is deleted: its replacement was asked for"}


@kinds
@in_virtual_time
async def test_a_record_that_somebody_broke_is_written_anew_and_opens_nothing(kind: str) -> None:
    async with a_world() as world:
        await released(world, app_of(kind, **CONFIRMED))
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.asks("web", 0))
        resource = REPLICA_SETS if kind == "ReplicaSet" else STATEFUL_SETS
        for found in world.api.list(resource):
            world.annotate(resource, found["metadata"]["name"], **{UNIT_GOAL_ANNOTATION: "broken"})
        await world.rest()
        assert world.asks("web", 0)
        assert per_cell(world, "web:2") == {"cell-a": 1, "cell-b": 1}
        world.confirm("web")
        await world.run(lambda: world.asks("web", 1))
        world.confirm("web")
        await world.run(lambda: world.is_complete("web"))
        assert per_cell(world, "web:2") == {"cell-a": 5, "cell-b": 5}


@in_virtual_time
async def test_a_stateful_set_of_somebody_else_keeps_its_name_and_is_left_alone() -> None:
    async with a_world() as world:
        spec = {
            "replicas": 1,
            "serviceName": "x",
            "selector": {"matchLabels": {"app": "other"}},
            "template": {**a_template(), "metadata": {"labels": {"app": "other"}}},
        }
        meta = {"name": "web-cell-a"}
        world.api.create(
            STATEFUL_SETS,
            "default",
            {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta, "spec": spec},
        )
        await world.rest()
        before = world.one(STATEFUL_SETS, "web-cell-a")["metadata"]["generation"]
        world.apply(app_of("StatefulSet", 4))
        await world.run(lambda: bool(world.events("NameTaken")))
        assert "belongs to nobody" in world.events("NameTaken")[0]["note"]
        assert world.one(STATEFUL_SETS, "web-cell-a")["metadata"]["generation"] == before
