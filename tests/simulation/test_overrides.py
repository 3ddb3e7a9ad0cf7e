"""What single cells have otherwise: an edit there concerns their pods alone, and can be taken back."""

from collections import Counter
from datetime import timedelta

import msgspec
import pytest

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import UNIT_LABEL
from cafe.api.overrides import UnitOverride
from cafe.workloads.domain.revisions import hash_of
from cafe_sim.contract import ApiError, Json
from tests.simulation.test_podset_kinds import app_of, fewest_ready, live, per_cell, uids
from tests.simulation.world import APPS, REVISIONS, World, a_world, lowest, released, restarts
from tests.worlds.clock import in_virtual_time

KINDS = ("InPlaceSet", "ReplicaSet", "StatefulSet")
CONFIRMED = {"needWaitingForConfirm": True}

kinds = pytest.mark.parametrize("kind", KINDS)


def in_cell(cell: str, image: str = "web:9", **more: object) -> Json:
    return {"units": [cell], "containers": [{"name": "app", "image": image, **more}]}


def override(world: World, *entries: Json) -> None:
    world.edit(APPS, "web", topology={"overrides": [*entries]})


def uids_in(world: World, cell: str) -> set[str]:
    return {p["metadata"]["uid"] for p in live(world) if p["metadata"]["labels"][UNIT_LABEL] == cell}


def versions_in(world: World, cell: str) -> set[tuple[str, str]]:
    """Return each pod of a cell with its version: whoever touches one changes it."""
    pods = [p for p in live(world) if p["metadata"]["labels"][UNIT_LABEL] == cell]
    return {(p["metadata"]["uid"], p["metadata"]["resourceVersion"]) for p in pods}


async def complete(world: World) -> None:
    """Wait until the newest spec is released whole, and nothing moves any more."""
    generation = world.one(APPS, "web")["metadata"]["generation"]
    await world.run(
        lambda: world.status(APPS, "web")["observedGeneration"] == generation and world.is_complete("web")
    )
    await world.rest()


def groups(world: World) -> list[dict[str, int]]:
    return [group["units"] for group in world.status(APPS, "web")["plan"]["groups"]]


@kinds
@in_virtual_time
async def test_an_override_releases_its_cell_in_groups_and_touches_no_pod_of_the_others(kind: str) -> None:
    async with a_world() as world:
        await released(world, app_of(kind, 6, batchSize=2, **CONFIRMED))
        since, others, before = len(world.commits), versions_in(world, "cell-b"), uids_in(world, "cell-a")
        override(world, in_cell("cell-a"))
        await world.run(lambda: world.asks("web", 0))
        assert groups(world) == [{"cell-a": 1}, {"cell-a": 2}]
        assert per_cell(world, "web:9") == {"cell-a": 1}
        world.confirm("web")
        await complete(world)
        assert per_cell(world, "web:9") == {"cell-a": 3}
        assert per_cell(world, "web:1") == {"cell-b": 3}
        assert versions_in(world, "cell-b") == others
        if kind == "InPlaceSet":
            assert uids_in(world, "cell-a") == before
            assert lowest(world, since) >= 4
        else:
            assert fewest_ready(world, since) >= 4


@pytest.mark.slow
@kinds
@in_virtual_time
async def test_an_edit_of_one_cell_s_override_leaves_the_override_of_another_alone(kind: str) -> None:
    async with a_world() as world:
        body = app_of(kind, 4)
        body["spec"]["topology"]["overrides"] = [in_cell("cell-a", "web:8"), in_cell("cell-b", "web:7")]
        await released(world, body)
        others = versions_in(world, "cell-b")
        override(world, in_cell("cell-b", "web:7"), in_cell("cell-a", "web:9"))
        await complete(world)
        assert per_cell(world, "web:9") == {"cell-a": 2}
        assert versions_in(world, "cell-b") == others


@pytest.mark.slow
@kinds
@in_virtual_time
async def test_taking_an_override_away_is_the_way_back_and_makes_no_further_revision(kind: str) -> None:
    async with a_world() as world:
        await released(world, app_of(kind, 4))
        first, others = world.status(APPS, "web")["updateRevision"], versions_in(world, "cell-b")
        override(world, in_cell("cell-a"))
        await complete(world)
        assert world.status(APPS, "web")["updateRevision"] != first
        override(world)
        await complete(world)
        status = world.status(APPS, "web")
        assert status["updateRevision"] == first
        assert status["plan"]["rollback"]
        assert per_cell(world, "web:1") == {"cell-a": 2, "cell-b": 2}
        assert versions_in(world, "cell-b") == others


@pytest.mark.slow
@kinds
@in_virtual_time
async def test_a_bad_override_image_stops_and_the_way_back_touches_only_what_was_changed(kind: str) -> None:
    async with a_world() as world:
        await released(world, app_of(kind, 6))
        override(world, in_cell("cell-a", "web:bad"))
        await world.run(lambda: per_cell(world, "web:bad") == {"cell-a": 1})
        await world.stays(lambda: per_cell(world, "web:1").total() == 5, timedelta(minutes=10))
        untouched = uids(world, "web:1")
        override(world)
        await complete(world)
        assert untouched <= uids(world, "web:1")
        assert per_cell(world, "web:1") == {"cell-a": 3, "cell-b": 3}


@pytest.mark.slow
@kinds
@in_virtual_time
async def test_a_template_that_catches_up_with_an_override_leaves_its_cell_alone(kind: str) -> None:
    """The cell went ahead; when its image becomes everyone's, the others follow and it has no work."""
    async with a_world() as world:
        await released(world, app_of(kind, 4))
        override(world, in_cell("cell-a", "web:2"))
        await complete(world)
        ahead = versions_in(world, "cell-a")
        template = world.one(APPS, "web")["spec"]["template"]
        template["spec"]["containers"][0]["image"] = "web:2"
        world.edit(APPS, "web", template=template, topology={"overrides": []})
        await complete(world)
        assert per_cell(world, "web:2") == {"cell-a": 2, "cell-b": 2}
        assert versions_in(world, "cell-a") == ahead


@pytest.mark.slow
@kinds
@in_virtual_time
async def test_a_new_template_goes_to_all_cells_and_the_override_holds_on_top_of_it(kind: str) -> None:
    async with a_world() as world:
        body = app_of(kind, 4)
        body["spec"]["topology"]["overrides"] = [
            {"units": ["cell-a"], "labels": {"tier": "gold"}, "annotations": {"note": "x"}},
            {
                "units": ["cell-a"],
                "containers": [{"name": "app", "env": [{"name": "MODE", "value": "slow"}]}],
            },
        ]
        await released(world, body)
        world.set_image(APPS, "web", "web:2")
        await complete(world)
        assert per_cell(world, "web:2") == {"cell-a": 2, "cell-b": 2}
        told = Counter(
            (
                p["metadata"]["labels"][UNIT_LABEL],
                p["metadata"]["labels"].get("tier"),
                (p["metadata"].get("annotations") or {}).get("note"),
                str(p["spec"]["containers"][0].get("env")),
            )
            for p in live(world)
        )
        env = str([{"name": "MODE", "value": "slow"}])
        assert told == {("cell-a", "gold", "x", env): 2, ("cell-b", None, None, "None"): 2}


@pytest.mark.slow
@kinds
@in_virtual_time
async def test_a_lost_pod_comes_back_as_its_own_cell_has_it(kind: str) -> None:
    async with a_world() as world:
        body = app_of(kind, 4)
        body["spec"]["topology"]["overrides"] = [in_cell("cell-a")]
        await released(world, body)
        for pod in live(world):
            world.api.delete("pods", "default", pod["metadata"]["name"])
        await complete(world)
        assert per_cell(world, "web:9") == {"cell-a": 2}
        assert per_cell(world, "web:1") == {"cell-b": 2}


@in_virtual_time
async def test_a_pod_that_is_lost_midway_comes_back_as_its_cell_s_old_revision_had_it() -> None:
    async with a_world() as world:
        body = app_of("ReplicaSet", 6, batchSize=2, **CONFIRMED)
        body["spec"]["topology"]["overrides"] = [in_cell("cell-a", "web:8")]
        world.apply(body)
        for group in (0, 1):
            await world.run(lambda group=group: world.asks("web", group))  # type: ignore[misc]
            world.confirm("web")
        await complete(world)
        override(world, in_cell("cell-a", "web:9"))
        await world.run(lambda: world.asks("web", 0))
        await world.rest()
        old = next(p for p in live(world) if p["spec"]["containers"][0]["image"] == "web:8")
        world.api.delete("pods", "default", old["metadata"]["name"])
        await world.rest()
        assert per_cell(world, "web:8") == {"cell-a": 2}
        assert per_cell(world, "web:9") == {"cell-a": 1}


@pytest.mark.parametrize("kind", ["InPlaceSet", "ReplicaSet"])
@in_virtual_time
async def test_pods_that_are_added_midway_are_as_their_cell_was_when_all_was_whole(kind: str) -> None:
    async with a_world() as world:
        body = app_of(kind, 6, batchSize=2, **CONFIRMED)
        body["spec"]["topology"]["overrides"] = [in_cell("cell-a", "web:8")]
        await released(world, body)
        override(world, in_cell("cell-a", "web:9"))
        await world.run(lambda: world.asks("web", 0))
        world.edit(APPS, "web", replicas=8)
        await world.rest()
        assert per_cell(world, "web:9") == {"cell-a": 1}
        assert per_cell(world, "web:8") == {"cell-a": 3}
        assert per_cell(world, "web:1") == {"cell-b": 4}


@in_virtual_time
async def test_image_and_labels_of_an_override_change_in_place() -> None:
    async with a_world() as world:
        await released(world, app_of("InPlaceSet", 4))
        before = uids_in(world, "cell-a")
        override(world, {**in_cell("cell-a"), "labels": {"tier": "gold"}})
        await complete(world)
        assert uids_in(world, "cell-a") == before
        told = {
            (p["metadata"]["labels"][UNIT_LABEL], p["metadata"]["labels"].get("tier"), restarts(p))
            for p in live(world)
        }
        assert told == {("cell-a", "gold", 1), ("cell-b", None, 0)}


@in_virtual_time
async def test_a_revision_keeps_the_overrides_and_one_without_them_is_stored_as_ever() -> None:
    async with a_world() as world:
        await released(world, app_of("InPlaceSet", 2))
        override(world, in_cell("cell-a"))
        await complete(world)
        app = world.one(APPS, "web")["metadata"]["uid"]
        stored = {
            r["revision"]: r["data"]["spec"]
            for r in world.api.list(REVISIONS)
            if r["metadata"]["ownerReferences"][0]["uid"] == app
        }
        assert stored[1].keys() == {"template"}
        assert stored[2]["topology"] == {"overrides": [in_cell("cell-a")]}


@in_virtual_time
async def test_the_order_of_entries_means_nothing() -> None:
    async with a_world() as world:
        entries = in_cell("cell-a"), {"units": ["cell-b", "cell-a"], "labels": {"tier": "gold"}}
        body = app_of("StatefulSet", 4)
        body["spec"]["topology"]["overrides"] = [*entries]
        await released(world, body)
        revision, since = world.status(APPS, "web")["updateRevision"], len(world.commits)
        override(world, entries[1], entries[0])
        await complete(world)
        assert world.status(APPS, "web")["updateRevision"] == revision
        assert not [r for r, _ in world.commits[since:] if r == "pods"]


@pytest.mark.slow
@kinds
@in_virtual_time
async def test_a_cell_that_is_half_way_goes_on_where_it_was_when_another_gets_an_override(kind: str) -> None:
    async with a_world() as world:
        await released(world, app_of(kind, 6, batchSize=2, **CONFIRMED))
        world.set_image(APPS, "web", "web:2")
        await world.run(lambda: world.asks("web", 0))
        half = uids(world, "web:2") & uids_in(world, "cell-b")
        override(world, in_cell("cell-a"))
        await world.run(
            lambda: world.asks("web", 0) and world.status(APPS, "web")["plan"]["units"][1]["base"] == 1
        )
        assert groups(world)[0] == {"cell-a": 1, "cell-b": 1}
        world.edit(APPS, "web", strategy={"needWaitingForConfirm": False})
        await complete(world)
        assert per_cell(world, "web:9") == {"cell-a": 3}
        assert per_cell(world, "web:2") == {"cell-b": 3}
        assert half < uids_in(world, "cell-b")


@pytest.mark.slow
@kinds
@in_virtual_time
async def test_a_hash_collision_between_two_releases_restarts_no_other_cell(kind: str) -> None:
    """The name of the second revision is taken; what the first one gave to its pods must still be known."""
    async with a_world() as world:
        body = app_of(kind, 4)
        body["spec"]["historyLimit"] = 0
        await released(world, body)
        others = versions_in(world, "cell-b")
        app = msgspec.convert(world.one(APPS, "web"), CafeDeployment)
        entry = msgspec.convert(in_cell("cell-a"), UnitOverride)
        taken = hash_of(msgspec.to_builtins(app.spec.template), 0, [entry])
        strange = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 1, "data": {}}
        world.api.create(REVISIONS, "default", {**strange, "metadata": {"name": f"web-{taken}"}})
        override(world, in_cell("cell-a"))
        await complete(world)
        assert world.status(APPS, "web")["collisionCount"] == 1
        override(world, in_cell("cell-a", "web:8"))
        await complete(world)
        override(world, in_cell("cell-a", "web:7"))
        await complete(world)
        assert per_cell(world, "web:7") == {"cell-a": 2}
        assert versions_in(world, "cell-b") == others


BAD = [
    ([in_cell("cell-a", "web:1")], "BadOverride", "what the template says"),
    ([{"units": ["cell-a"], "containers": [{"name": "ghost", "image": "x"}]}], "BadOverride", "ghost"),
    ([in_cell("cell-a"), in_cell("cell-a", "web:8")], "BadOverride", "Two overrides of cell-a set app.image"),
    ([{"units": ["cell-a"], "labels": {"app": "other"}}], "SelectorMismatch", "cell-a"),
    ([{"units": ["cell-a"], "labels": {UNIT_LABEL: "cell-b"}}], "BadOverride", "CAFE writes itself"),
]


@pytest.mark.parametrize(("entries", "reason", "words"), BAD, ids=[words for _, _, words in BAD])
@in_virtual_time
async def test_an_override_that_can_t_be_meant_is_refused_and_a_correction_goes_on(
    entries: list[Json], reason: str, words: str
) -> None:
    async with a_world() as world:
        await released(world, app_of("InPlaceSet", 2))
        before = {cell: versions_in(world, cell) for cell in ("cell-a", "cell-b")}
        override(world, *entries)
        await world.run(lambda: world.condition(APPS, "web", "Accepted").get("reason") == reason)
        await world.rest()
        assert words in world.condition(APPS, "web", "Accepted")["message"]
        assert {cell: versions_in(world, cell) for cell in before} == before
        override(world, in_cell("cell-a"))
        await complete(world)
        assert per_cell(world, "web:9") == {"cell-a": 1}


ENV = {"name": "A", "value": "b", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (in_cell("cell-z"), "topology.overrides names a unit"),
        ({"units": ["cell-a"]}, "sets nothing"),
        ({"units": ["cell-a"], "containers": [{"name": "app"}]}, "sets nothing of it"),
        ({"units": ["cell-a"], "containers": [{"name": "app", "resources": {}}]}, "sets nothing of it"),
        ({"units": ["cell-a"], "containers": [{"name": "app", "env": [ENV]}]}, "both value and valueFrom"),
        ({"units": ["cell-a", "cell-a"], "labels": {"x": "y"}}, "units"),
        ({"units": ["cell-a"], "containers": [in_cell("")["containers"][0]] * 2}, "containers"),
        ({"units": [], "labels": {"x": "y"}}, "units"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
@in_virtual_time
async def test_admission_refuses_what_can_be_seen_to_hit_nothing(entry: Json, words: str) -> None:
    async with a_world(is_controlled=False) as world:
        body = app_of("InPlaceSet", 2)
        body["spec"]["topology"]["overrides"] = [entry]
        with pytest.raises(ApiError) as caught:
            world.apply(body)
        assert caught.value.status == 422
        assert words in caught.value.message
