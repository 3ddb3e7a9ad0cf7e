"""Whoever leaves takes along what both sides can say, and is told of the rest."""

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.names import APP_LABEL, CELL_LABEL, UNIT_LABEL, UPDATE_GATE
from cafe.kernel import Refusal
from cafe.workloads.domain.importing import convert
from cafe.workloads.domain.takeover.manifests import Source, Wish
from tests.unit.workloads.applications import (
    CLAIM,
    COUNTS,
    PERCENTS,
    TEMPLATE,
    WORDS,
    Json,
    app,
    apps_both_can_say,
    apps_of_all_sorts,
    exported,
    losses,
    templates,
)

CELLS: Json = {"unitType": "Cell", "values": ["cell-a", "cell-b"]}
NO_DEADLINE = 2147483647


def imported(body: Json, pod_set: str) -> Json:
    (outcome,) = convert([Source("file", 1, 1, body)], Wish("default", pod_set=pod_set))
    assert outcome.document is not None
    return dict(outcome.document)


# Laws


@pytest.mark.slow
@given(apps_both_can_say())
def test_an_application_that_leaves_and_comes_back_is_the_same(before: Json) -> None:
    (plain,) = exported(before)
    after = imported(plain, before["spec"]["podSetType"])
    assert after["metadata"] == before["metadata"]
    assert msgspec.convert(after, CafeDeployment).spec == msgspec.convert(before, CafeDeployment).spec


@st.composite
def deployments(draw: st.DrawFn) -> Json:
    surge = draw(st.just(0) | COUNTS | PERCENTS)
    rolling = {"maxSurge": surge, "maxUnavailable": draw(COUNTS if surge == 0 else COUNTS | st.just(0))}
    optional = st.fixed_dictionaries(
        {},
        optional={
            "minReadySeconds": st.integers(1, 30),
            "revisionHistoryLimit": st.integers(0, 20),
            "progressDeadlineSeconds": st.integers(31, 9000).filter(lambda s: s != 600)
            | st.just(NO_DEADLINE),
            "paused": st.sampled_from([True]),
        },
    )
    spec = {
        "replicas": draw(COUNTS),
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        **draw(optional),
        "template": draw(templates()),
    }
    meta = {name: words for name in ("labels", "annotations") if (words := draw(WORDS))}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", **meta},
        "spec": spec,
    }


@pytest.mark.slow
@given(deployments())
def test_a_deployment_that_was_taken_over_is_given_back_as_it_was(before: Json) -> None:
    surge = before["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    (after,) = exported(imported(before, "ReplicaSet" if surge else "InPlaceSet"))
    assert after == before


@pytest.mark.slow
@given(apps_of_all_sorts())
def test_a_selector_finds_its_own_pods(made: Json) -> None:
    for plain in exported(made):
        labels = plain["spec"]["template"]["metadata"]["labels"]
        assert plain["spec"]["selector"]["matchLabels"].items() <= labels.items()


# Deployments


def spec_of(**spec: Any) -> Json:  # noqa: ANN401 -- any field
    (plain,) = exported(app(**spec))
    found: Json = plain["spec"]
    return found


def test_a_deadline_of_nought_waits_for_ever_in_a_deployment_too() -> None:
    assert spec_of(strategy={"progressDeadlineSeconds": 0})["progressDeadlineSeconds"] == NO_DEADLINE


def test_a_deadline_that_a_deployment_would_refuse_is_lengthened_and_that_is_said() -> None:
    strategy = {"progressDeadlineSeconds": 60, "minReadySeconds": 60}
    assert spec_of(strategy=strategy)["progressDeadlineSeconds"] == 120
    assert losses(app(strategy=strategy))["deadline"] == "spec.strategy.progressDeadlineSeconds"
    assert spec_of(strategy={"minReadySeconds": 600})["progressDeadlineSeconds"] == 1200


@pytest.mark.parametrize(
    ("replicas", "share", "away"), [(10, "25%", 3), (1, "1%", 1), (0, "25%", 1), (3, 2, 2), (8, "50%", 4)]
)
def test_a_share_is_written_as_the_number_that_cafe_rounds_it_to(
    replicas: int, share: int | str, away: int
) -> None:
    rolling = spec_of(replicas=replicas, strategy={"maxUnavailable": share})["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": 0, "maxUnavailable": away}


def test_pods_that_come_first_may_be_a_share_for_both_sides_round_it_up() -> None:
    strategy = {"maxSurge": "30%", "maxUnavailable": 0}
    rolling = spec_of(podSetType="ReplicaSet", strategy=strategy)["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": "30%", "maxUnavailable": 0}


def test_units_become_node_affinity_and_one_spread_constraint() -> None:
    spec = spec_of(topology=CELLS)["template"]["spec"]
    (term,) = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert term["matchExpressions"] == [{"key": CELL_LABEL, "operator": "In", "values": CELLS["values"]}]
    (constraint,) = spec["topologySpreadConstraints"]
    assert constraint["topologyKey"] == CELL_LABEL
    assert constraint["labelSelector"] == {"matchLabels": {"app": "web"}}


def test_what_is_spread_and_bound_already_is_not_spread_and_bound_twice() -> None:
    once = spec_of(topology=CELLS)["template"]
    assert spec_of(topology=CELLS, template=once)["template"] == once


def test_one_unit_needs_no_spread() -> None:
    spec = spec_of(topology={"unitType": "Zone", "values": ["z"]})["template"]["spec"]
    assert "topologySpreadConstraints" not in spec
    assert "spread" not in losses(app(topology={"unitType": "Zone", "values": ["z"]}))


LOST: dict[str, tuple[Json, str]] = {
    "groups": ({}, "spec.strategy"),
    "beta": ({}, "spec.strategy.upgradeType"),
    "in_place": ({}, "spec.podSetType"),
    "confirm": ({"strategy": {"needWaitingForConfirm": True}}, "spec.strategy.needWaitingForConfirm"),
    "drain": ({"strategy": {"gracePeriodSeconds": 5}}, "spec.strategy.gracePeriodSeconds"),
    "rollback": (
        {"strategy": {"rollback": {"needWaitingForConfirm": True}}},
        "spec.strategy.rollback",
    ),
    "paused": ({"strategy": {"pause": True}}, "spec.strategy.pause"),
    "spread": ({"topology": CELLS}, "spec.topology"),
    "budget_over_units": ({"topology": CELLS}, "spec.strategy.maxUnavailable"),
    "pins": ({"topology": {**CELLS, "unitReplicas": {"cell-a": 7}}}, "spec.topology.unitReplicas"),
    "unknown_field": ({"strategy": {"batchsize": 3}}, "spec.strategy.batchsize"),
}


@pytest.mark.parametrize("code", LOST)
def test_what_plain_kubernetes_cannot_say_is_told_with_its_field(code: str) -> None:
    spec, field = LOST[code]
    assert losses(app(**spec))[code] == field


def test_what_is_no_loss_is_not_told() -> None:
    told = losses(app(podSetType="ReplicaSet", strategy={"upgradeType": "Batch"}))
    assert told == {"groups": "spec.strategy"}


def test_a_paused_application_stays_paused() -> None:
    assert spec_of(strategy={"pause": True})["paused"] is True
    rolling = spec_of(podSetType="StatefulSet", strategy={"pause": True})["updateStrategy"]["rollingUpdate"]
    assert rolling["partition"] == NO_DEADLINE


def test_what_cafe_wrote_on_an_object_stays_behind() -> None:
    made = app()
    made["metadata"] |= {
        "uid": "u",
        "ownerReferences": [],
        "finalizers": ["cafe.sofastack.io/drain", "foregroundDeletion", "example.com/keep"],
        "labels": {"cafe.sofastack.io/app-service": "web", "team": "a"},
        "annotations": {"cafe.sofastack.io/upgrade-confirmed": "false", "team": "a"},
    }
    made["status"] = {"phase": "Complete"}
    made["spec"]["template"] = {
        "metadata": {
            "labels": {"app": "web", APP_LABEL: "web"},
            "annotations": {"cafe.sofastack.io/inplace-update-state": "{}", "note": "x"},
        },
        "spec": {
            **TEMPLATE["spec"],
            "readinessGates": [{"conditionType": UPDATE_GATE}, {"conditionType": "example.com/warm"}],
        },
    }
    (plain,) = exported(made)
    assert plain["metadata"] == {
        "name": "web",
        "namespace": "default",
        "labels": {"team": "a"},
        "annotations": {"team": "a"},
        "finalizers": ["example.com/keep"],
    }
    assert "status" not in plain
    template = plain["spec"]["template"]
    assert template["metadata"] == {"labels": {"app": "web"}, "annotations": {"note": "x"}}
    assert template["spec"]["readinessGates"] == [{"conditionType": "example.com/warm"}]


def test_a_label_of_cafe_that_the_selector_names_stays() -> None:
    labels = {"app": "web", APP_LABEL: "web"}
    template = {**TEMPLATE, "metadata": {"labels": labels}}
    spec = spec_of(selector={"matchLabels": labels}, template=template)
    assert spec["template"]["metadata"]["labels"] == labels


# StatefulSets


def test_a_stateful_set_keeps_its_volumes_and_its_service() -> None:
    spec = spec_of(
        podSetType="StatefulSet",
        serviceName="db",
        volumeClaimTemplates=[CLAIM],
        persistentVolumeClaimRetentionPolicy={"whenScaled": "Delete"},
        strategy={"maxUnavailable": 1},
    )
    assert spec["serviceName"] == "db"
    assert spec["volumeClaimTemplates"] == [CLAIM]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Delete"}
    assert spec["podManagementPolicy"] == "Parallel"
    assert spec["updateStrategy"] == {"type": "RollingUpdate"}


def test_more_than_one_pod_at_a_time_is_written_and_its_feature_named() -> None:
    spec = spec_of(podSetType="StatefulSet", strategy={"maxUnavailable": 3})
    assert spec["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 3}
    assert "set_budget" in losses(app(podSetType="StatefulSet"))
    assert "set_budget" not in losses(app(podSetType="StatefulSet", strategy={"maxUnavailable": 1}))


def test_each_unit_keeps_its_stateful_set_because_names_and_claims_hang_on_it() -> None:
    sets = exported(app("db", podSetType="StatefulSet", topology=CELLS, replicas=5, serviceName="db"))
    assert [s["metadata"]["name"] for s in sets] == ["db-cell-a", "db-cell-b"]
    assert sum(s["spec"]["replicas"] for s in sets) == 5
    for unit, found in zip(CELLS["values"], sets, strict=True):
        assert found["spec"]["selector"]["matchLabels"] == {"app": "web", UNIT_LABEL: unit}
        assert f"'values': ['{unit}']" in str(found["spec"]["template"]["spec"]["affinity"])


def test_the_sizes_of_units_are_those_that_the_controller_has_decided() -> None:
    made = app("db", podSetType="StatefulSet", topology=CELLS, replicas=5)
    made["metadata"]["generation"] = 4
    made["status"] = {
        "observedGeneration": 4,
        "units": [{"name": "cell-a", "desired": 1}, {"name": "cell-b", "desired": 4}],
    }
    assert [s["spec"]["replicas"] for s in exported(made)] == [1, 4]


AHEAD = {"units": ["cell-b"], "containers": [{"name": "app", "image": "web:9"}], "labels": {"tier": "gold"}}


def test_what_a_unit_has_otherwise_stays_in_its_stateful_set() -> None:
    topology = {**CELLS, "overrides": [AHEAD]}
    one, other = exported(app("db", podSetType="StatefulSet", topology=topology, replicas=4))
    assert other["spec"]["template"]["spec"]["containers"][0]["image"] == "web:9"
    assert other["spec"]["template"]["metadata"]["labels"] == {
        **one["spec"]["template"]["metadata"]["labels"],
        UNIT_LABEL: "cell-b",
        "tier": "gold",
    }
    assert one["spec"]["template"]["spec"]["containers"] == TEMPLATE["spec"]["containers"]
    assert "overrides" not in losses(app("db", podSetType="StatefulSet", topology=topology))


@pytest.mark.parametrize("kind", ["InPlaceSet", "ReplicaSet"])
def test_what_a_unit_has_otherwise_is_lost_in_a_deployment_and_that_is_said(kind: str) -> None:
    made = app(podSetType=kind, topology={**CELLS, "overrides": [AHEAD]})
    assert losses(made)["overrides"] == "spec.topology.overrides"
    (plain,) = exported(made)
    assert plain["spec"]["template"]["spec"]["containers"] == TEMPLATE["spec"]["containers"]


# Refusals

REFUSED: dict[str, Callable[[], Json]] = {
    "selector.matchLabels": lambda: app(selector={}),
    "no containers": lambda: app(template={"metadata": {"labels": {"app": "web"}}, "spec": {}}),
    "does not match": lambda: app(selector={"matchLabels": {"app": "other"}}),
    "names the units": lambda: app(topology={"unitType": "Cell"}),
    "needs podSetType ReplicaSet": lambda: app(strategy={"maxSurge": 1}),
    "need podSetType StatefulSet": lambda: app(serviceName="web"),
    "strategy.maxUnavailable is 0": lambda: app(strategy={"maxUnavailable": 0}),
    "strategy.maxUnavailable is '0%'": lambda: app(
        podSetType="StatefulSet", strategy={"maxUnavailable": "0%"}
    ),
    "strategy.maxSurge is '101%'": lambda: app(podSetType="ReplicaSet", strategy={"maxSurge": "101%"}),
    "overrides names a unit": lambda: app(topology={**CELLS, "overrides": [{**AHEAD, "units": ["x"]}]}),
    "which the template lacks": lambda: app(
        topology={**CELLS, "overrides": [{"units": ["cell-a"], "containers": [{"name": "x", "image": "y"}]}]}
    ),
    "pins a unit": lambda: app(topology={**CELLS, "unitReplicas": {"cell-c": 1}}),
    "Expected `int`": lambda: app(replicas="many"),
    "can't export a CafeNothing": lambda: {**app(), "kind": "CafeNothing"},
    "can't export a InPlaceSet": lambda: {**app(), "kind": "InPlaceSet"},
    "v9": lambda: {**app(), "apiVersion": "apps.cafe.sofastack.io/v9"},
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_exported_is_refused_by_number_line_and_reason(said: str) -> None:
    other = app("other")
    with pytest.raises(Refusal) as caught:
        exported(other, REFUSED[said]())
    refusal = caught.value
    assert refusal.what.startswith("Document 2 of file, line 1 (")
    assert refusal.what.endswith("can't be exported; nothing was written.")
    assert said in refusal.why
    assert ".." not in refusal.why
    assert refusal.remedy


# Bad input

NONSENSE = (None, 0, "x", [], ["x"], {}, {"x": "y"}, [{"x": None}], True)


def paths(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [at, *(path for key, held in value.items() for path in paths(held, (*at, key)))]
    if isinstance(value, list):
        return [at, *(path for index, held in enumerate(value) for path in paths(held, (*at, index)))]
    return [at]


CONTENT: Json = {
    "selector": {"matchLabels": {"app": "web"}},
    "template": TEMPLATE,
    "services": [{"name": "shop", "spec": {"ports": [{"port": 80}]}}],
    "configs": [{"name": "settings", "policy": "Shared", "data": {"a": "b"}}],
}
WHOLE: list[Json] = [
    app(
        template={
            "metadata": {"labels": {"app": "web"}, "annotations": {"a": "b"}},
            "spec": {
                **TEMPLATE["spec"],
                "readinessGates": [{"conditionType": "example.com/warm"}],
                "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "k"}],
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": CELL_LABEL, "operator": "In", "values": ["x"]}]}
                            ]
                        }
                    }
                },
            },
        },
        topology={**CELLS, "unitReplicas": {"cell-a": 1}},
    ),
    app("db", podSetType="StatefulSet", topology=CELLS, volumeClaimTemplates=[CLAIM]),
    {
        "apiVersion": "apps.cafe.sofastack.io/v1alpha1",
        "kind": "CafeAppService",
        "metadata": {"name": "shop", "labels": {"a": "b"}, "finalizers": ["f"]},
        "spec": CONTENT,
        "status": {"liveRevision": 1},
    },
    {
        "apiVersion": "apps.cafe.sofastack.io/v1alpha1",
        "kind": "CafeAppRevision",
        "metadata": {"name": "shop-1"},
        "spec": {"service": "shop", "number": 1, "digest": "d", "content": CONTENT},
    },
    {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": "s",
            "namespace": "default",
            "ownerReferences": [{"apiVersion": "v1", "kind": "X"}],
        },
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps.cafe.sofastack.io/v1alpha1",
                "kind": "CafeDeployment",
                "name": "web",
            }
        },
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "uid": "u", "annotations": {"a": "b"}},
        "spec": {"selector": {"app": "web"}, "clusterIP": "10.0.0.1"},
    },
]
"""One document of each sort, with all that is looked at."""


@pytest.mark.slow
@pytest.mark.parametrize("nonsense", NONSENSE, ids=str)
def test_nonsense_anywhere_is_exported_or_refused_and_never_a_bug(nonsense: object) -> None:
    for at in paths(WHOLE):
        if not at:
            continue
        documents = deepcopy(WHOLE)
        holder: Any = documents
        for step in at[:-1]:
            holder = holder[step]
        holder[at[-1]] = nonsense
        with suppress(Refusal):
            exported(*(d for d in documents if isinstance(d, dict)))


def test_two_documents_that_become_one_object_are_refused_before_one_replaces_the_other() -> None:
    native = {**app(), "apiVersion": "apps/v1", "kind": "Deployment"}
    with pytest.raises(
        Refusal, match=r"becomes Deployment web, as does document 1 of file \(CafeDeployment\)"
    ):
        exported(app(), native)
    elsewhere = {**app(), "metadata": {"name": "web", "namespace": "other"}}
    assert len(exported(app(), elsewhere)) == 2
