"""Pods of native sets carry the hash of their unit's own template; who counts pods goes by that."""

from datetime import UTC, datetime, timedelta

import msgspec

from cafe.api.cafedeployment import CafeDeployment, CafeDeploymentStatus, PodSetType
from cafe.api.names import POD_REVISION_LABEL
from cafe.api.overrides import UnitOverride
from cafe.placement.domain.spread import spread
from cafe.workloads.domain.crowd import Crowd
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import PodFact
from cafe.workloads.domain.groups import UnitGoal
from cafe.workloads.domain.podsets import replicasets, statefulsets
from cafe.workloads.domain.podsets.facts import Release, ReplicaSetFact, StatefulSetFact, UnitFact
from cafe.workloads.domain.podsets.kinds import follow_all, left_of
from cafe.workloads.domain.podsets.natives import (
    ChangeNative,
    MakeNative,
    digest_of_template,
    template_of,
)
from cafe.workloads.domain.preview import UnitNow, look_ahead
from cafe.workloads.domain.revisions import hash_of
from cafe.workloads.domain.scaling import Deletion
from tests.unit.workloads.releaseworld import application
from tests.unit.workloads.test_replicasets import PLENTY

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
DWELL = Dwell(NOW, timedelta())
RELEASE = Release("app2", 2, pods={"a": "pods2", "b": "pods1"})
GOAL = UnitGoal(3, 3)


def of_kind(kind: PodSetType, *overrides: UnitOverride, current: str = "app1") -> CafeDeployment:
    app = application(6, units="ab", max_unavailable=3)
    topology = msgspec.structs.replace(app.spec.topology, overrides=[*overrides])
    spec = msgspec.structs.replace(app.spec, pod_set_type=kind, topology=topology)
    return msgspec.structs.replace(app, spec=spec, status=CafeDeploymentStatus(current_revision=current))


def crowd(unit: str, revision: str, count: int = 3) -> Crowd:
    since = NOW - timedelta(hours=1)
    pods = [
        PodFact(f"shop-{unit}-{n}", f"{unit}{n}", "1", revision, node="n", ready_since=since)
        for n in range(count)
    ]
    return Crowd.of(pods, DWELL)


def stateful(app: CafeDeployment, unit: str, revision: str, app_revision: str) -> UnitFact:
    rendered = digest_of_template(template_of(app, unit, revision))
    held = StatefulSetFact(f"shop-{unit}", 3, 0, crowd(unit, revision), rendered)
    return UnitFact(unit, app_revision, GOAL, held, pod_revision=revision)


def replicated(app: CafeDeployment, unit: str, revision: str, app_revision: str) -> UnitFact:
    rendered = digest_of_template(template_of(app, unit, revision))
    held = (ReplicaSetFact(f"shop-{unit}-{revision}", revision, 3, crowd(unit, revision), rendered),)
    return UnitFact(unit, app_revision, GOAL, held, pod_revision=revision)


def test_a_stateful_set_whose_own_template_stays_is_told_of_the_release_and_no_more() -> None:
    app = of_kind(PodSetType.STATEFUL_SET)
    (told,) = statefulsets.follow(app, stateful(app, "b", "pods1", "app1"), GOAL, RELEASE, PLENTY)
    assert isinstance(told, ChangeNative)
    assert (told.spec, told.release) == ({}, RELEASE)


def test_a_replica_set_whose_own_template_stays_is_told_of_the_release_and_no_other_is_made() -> None:
    app = of_kind(PodSetType.REPLICA_SET)
    (told,) = replicasets.follow(app, replicated(app, "b", "pods1", "app1"), GOAL, RELEASE, PLENTY)
    assert isinstance(told, ChangeNative)
    assert (told.name, told.spec, told.release) == ("shop-b-pods1", {}, RELEASE)


def test_a_unit_whose_own_template_changes_gets_a_set_of_that_name_and_label() -> None:
    app = of_kind(PodSetType.REPLICA_SET)
    (made,) = replicasets.follow(app, replicated(app, "a", "pods1", "app1"), GOAL, RELEASE, PLENTY)
    assert isinstance(made, MakeNative)
    assert made.name == "shop-a-pods2"
    assert made.spec["template"]["metadata"]["labels"][POD_REVISION_LABEL] == "pods2"
    assert made.spec["selector"]["matchLabels"][POD_REVISION_LABEL] == "pods2"


def test_a_lost_pod_comes_back_as_what_its_unit_had_when_the_release_was_whole() -> None:
    """Two old sets are left; the one whose revision was released whole gets the pod, whatever its name."""
    app = of_kind(PodSetType.REPLICA_SET)
    for whole, other in (("pods1", "pods0"), ("pods0", "pods1")):
        held = tuple(
            ReplicaSetFact(f"shop-a-{name}", name, 1, crowd("a", name, 1)) for name in ("pods2", whole, other)
        )
        newest = msgspec.to_builtins(held[0].name)
        release = Release("app2", 2, pods={"a": "pods2"})
        fact = UnitFact("a", "app2", UnitGoal(4, 1), held, pod_revision="pods2", whole=whole)
        actions = replicasets.follow(app, fact, UnitGoal(4, 1), release, PLENTY)
        grown = {a.name: a.spec.get("replicas") for a in actions if isinstance(a, ChangeNative)}
        assert grown.pop(newest, None) is None
        assert grown == {f"shop-a-{whole}": 2}


def test_evictions_are_judged_by_what_the_pods_carry() -> None:
    app = of_kind(PodSetType.STATEFUL_SET)
    facts = [stateful(app, "a", "pods2", "app2"), stateful(app, "b", "pods1", "app2")]
    assert left_of(app, facts, "b").healthy == 3


def test_units_that_are_done_take_nothing_of_the_budget() -> None:
    app = of_kind(PodSetType.STATEFUL_SET)
    facts = [stateful(app, "a", "pods2", "app2"), stateful(app, "b", "pods1", "app2")]
    assert follow_all(app, facts, dict.fromkeys("ab", GOAL), RELEASE) == []


def test_a_unit_that_is_done_leaves_the_budget_to_the_one_that_has_work() -> None:
    app = of_kind(PodSetType.STATEFUL_SET)
    rendered = digest_of_template(template_of(app, "a", "pods2"))
    held = StatefulSetFact("shop-a", 3, 3, crowd("a", "pods1"), rendered)
    goal = UnitGoal(3, 1)
    facts = [
        UnitFact("a", "app2", goal, held, pod_revision="pods2"),
        stateful(app, "b", "pods1", "app2"),
    ]
    lowered, replaced = follow_all(app, facts, {"a": goal, "b": GOAL}, RELEASE)
    assert isinstance(lowered, ChangeNative)
    assert lowered.spec == {"updateStrategy": {"rollingUpdate": {"partition": 2}}}
    assert isinstance(replaced, Deletion)


def test_a_plan_is_previewed_for_the_unit_alone_whose_pods_would_change() -> None:
    kind = PodSetType.REPLICA_SET
    ahead = UnitOverride(units=["a"], labels={"tier": "gold"})
    now, wanted = of_kind(kind), of_kind(kind, ahead)
    before = hash_of(msgspec.to_builtins(now.spec.template), 0)
    units = {unit: UnitNow(3, 3, {before: 3}) for unit in "ab"}
    outlook = look_ahead(now, wanted, units, spread)
    assert {name for g in outlook.plan.groups for name in g.units} == {"a"}
    assert outlook.recreated_because == ("spec.podSetType",)
    assert [c.units for c in outlook.unit_changes] == [("a",)]
