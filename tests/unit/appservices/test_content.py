"""Contents, their digests, and what is refused of them."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.api.cafeapprevision import AppContent
from cafe.appservices.domain.content import (
    config_names,
    content_of,
    demand_sound,
    digest_of_content,
    plain,
    renamed_configs,
)
from cafe.appservices.domain.drifting import drift
from cafe.appservices.domain.numbering import MakeRevision, find_revision, outdated
from cafe.appservices.domain.rendering import config_name, render, service_label
from cafe.kernel import Refusal
from tests.unit.appservices.services import container, content, revision, service

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


CELLS: dict[str, Any] = {"unitType": "Cell", "values": ["cell-a", "cell-b"]}


def in_cell_a(**box: Any) -> dict[str, Any]:  # noqa: ANN401 -- any field
    return {"units": ["cell-a"], "containers": [{"name": "shop", **box}]}


def test_contents_of_earlier_versions_keep_the_digest_that_they_had() -> None:
    assert digest_of_content(content()) == "709bb9848da4"
    stateful = content(deploy__podSetType="StatefulSet", deploy__topology=CELLS)
    assert digest_of_content(stateful) == "55884ec416bf"
    spelled = content(
        deploy__podSetType="StatefulSet",
        deploy__topology={**CELLS, "overrides": []},
        serviceName="",
        volumeClaimTemplates=[],
        persistentVolumeClaimRetentionPolicy={"whenDeleted": "Retain", "whenScaled": "Retain"},
    )
    assert digest_of_content(spelled) == "55884ec416bf"


@pytest.mark.parametrize(
    "more",
    [
        {"serviceName": "shop"},
        {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]},
        {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}},
        {"deploy__topology": {**CELLS, "overrides": [in_cell_a(image="x:1")]}},
    ],
)
def test_names_volumes_and_overrides_enter_the_digest_and_the_application(more: dict[str, Any]) -> None:
    held = content(deploy__podSetType="StatefulSet", **{"deploy__topology": CELLS, **more})
    assert digest_of_content(held) != "55884ec416bf"
    (key, said), *_ = more.items()
    body = render(service(), revision(1, content=held), None)[-1].body["spec"]
    if key == "deploy__topology":
        assert body["topology"]["overrides"] == said["overrides"]
    elif key == "persistentVolumeClaimRetentionPolicy":
        assert body[key] == {"whenDeleted": "Retain", "whenScaled": "Delete"}
    else:
        assert body[key] == said


def test_a_config_that_one_cell_alone_refers_to_is_used_and_renamed() -> None:
    ref = {"configMapKeyRef": {"name": "settings", "key": "mode"}}
    override = in_cell_a(env=[{"name": "MODE", "valueFrom": ref}])
    held = content(
        configs=[{"name": "settings", "data": {"mode": "slow"}}],
        deploy__topology={**CELLS, "overrides": [override]},
    )
    demand_sound(held)
    config, *_, app = render(service(), revision(1, content=held), None)
    (entry,) = app.body["spec"]["topology"]["overrides"]
    assert entry["containers"][0]["env"][0]["valueFrom"]["configMapKeyRef"]["name"] == config.name
    assert config.name != "settings"


def test_a_default_that_is_written_out_changes_no_digest() -> None:
    spelled = content(deploy__strategy__upgradeType="Beta", deploy__podSetType="InPlaceSet", configs=[])
    assert digest_of_content(spelled) == digest_of_content(content())


def test_what_a_content_says_comes_back_whole() -> None:
    held = content(deploy__strategy__batchSize=3, deploy__topology={"unitType": "Cell", "values": ["a"]})
    assert msgspec.convert(plain(held), AppContent) == held


def test_a_service_keeps_what_is_not_its_runtime() -> None:
    assert content_of(service(publish={"revision": 3}, historyLimit=2).spec) == content()


@given(JSON)
def test_any_value_of_a_template_enters_the_digest(value: object) -> None:
    with_it = content(template__spec__anything={"x": value})
    assert (digest_of_content(with_it) == digest_of_content(content())) is False


def test_every_reference_to_a_config_is_found_and_renamed() -> None:
    spec = {
        "volumes": [
            {"name": "v", "configMap": {"name": "a"}},
            {"name": "p", "projected": {"sources": [{"configMap": {"name": "b", "items": []}}]}},
        ],
        "containers": [
            {
                "envFrom": [{"configMapRef": {"name": "c"}}],
                "env": [{"name": "E", "valueFrom": {"configMapKeyRef": {"name": "d", "key": "k"}}}],
            }
        ],
    }
    assert list(config_names(spec)) == ["a", "b", "c", "d"]
    renamed = renamed_configs(spec, {"a": "A", "b": "B", "c": "C", "d": "D"})
    assert list(config_names(renamed)) == ["A", "B", "C", "D"]
    assert renamed_configs(spec, {}) == spec


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (content(template__spec={}), "NoContainers"),
        (content(configs=[{"name": "idle", "data": {}}]), "ConfigUnused"),
        (
            content(deploy__topology={**CELLS, "overrides": [in_cell_a(image="registry.bank/shop:1.2")]}),
            "BadOverride",
        ),
        (
            content(selector={"matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}]}),
            "SelectorMismatch",
        ),
    ],
)
def test_a_content_that_could_never_run_is_refused(bad: AppContent, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        demand_sound(bad)
    assert refused.value.code == code
    assert refused.value.remedy


def test_a_shared_config_needs_nobody_to_refer_to_it() -> None:
    demand_sound(content(configs=[{"name": "idle", "policy": "Shared"}]))


def test_numbers_only_grow() -> None:
    known = [revision(1), revision(2)]
    made = find_revision("shop", content(elasticity__replicas=3), known, 7)
    assert isinstance(made, MakeRevision)
    assert (made.number, made.name) == (8, "shop-8")


def test_a_cause_that_was_told_before_is_not_the_reason_of_another_edit() -> None:
    known = [revision(1, cause="ticket 7")]
    for cause, kept in (("ticket 7", ""), ("ticket 8", "ticket 8")):
        made = find_revision("shop", content(elasticity__replicas=3), known, 1, cause)
        assert isinstance(made, MakeRevision)
        assert made.cause == kept


def test_an_equal_content_is_the_revision_that_it_was() -> None:
    known = [revision(1), revision(2)]
    assert find_revision("shop", container(image="registry.bank/shop:1.1"), known, 2) is known[0]


def test_a_revision_that_was_tampered_with_is_not_used_again() -> None:
    known = [revision(1, is_intact=False)]
    made = find_revision("shop", container(image="registry.bank/shop:1.1"), known, 1)
    assert isinstance(made, MakeRevision)
    assert made.number == 2


@given(st.integers(0, 8), st.sets(st.integers(1, 8)), st.sets(st.integers(1, 8)), st.integers(0, 8))
def test_what_is_in_use_or_held_is_never_forgotten(
    count: int, used: set[int], held: set[int], limit: int
) -> None:
    known = [revision(n, hold="bad" if n in held else "") for n in range(1, count + 1)]
    gone = {r.number for r in outdated(known, used, limit)}
    assert not gone & (used | held)
    idle = {r.number for r in known} - used - held
    assert len(idle - gone) == min(limit, len(idle))
    assert all(lost < kept for lost in gone for kept in idle - gone)


def test_a_versioned_config_has_a_name_for_each_content() -> None:
    config = {"name": "settings", "data": {"A": "1"}}
    uses = {"template__spec__volumes": [{"name": "v", "configMap": {"name": "settings"}}]}
    one, two = content(configs=[config], **uses), content(configs=[{**config, "data": {"A": "2"}}], **uses)
    names = {config_name("shop", c.configs[0]) for c in (one, two)}
    assert len(names) == 2
    assert all(name.startswith("shop-settings-") for name in names)
    first = render(service(one), revision(1, content=one), None)
    kinds = ["ConfigMap", "Service", "PodDisruptionBudget", "CafeDeployment"]
    assert [w.kind.value for w in first] == kinds
    volume = first[-1].body["spec"]["template"]["spec"]["volumes"][0]
    assert volume["configMap"]["name"] == first[0].name


def test_a_shared_config_keeps_its_name() -> None:
    (config,) = content(configs=[{"name": "settings", "policy": "Shared"}]).configs
    assert config_name("shop", config) == "settings"


@given(st.text("abc-", min_size=1, max_size=253).filter(lambda t: t[0] != "-" and t[-1] != "-"))
def test_any_name_makes_a_label(name: str) -> None:
    label = service_label(name)
    assert len(label) <= 63
    assert label[-1].isalnum()
    assert (label == name) == (len(name) <= 63)


def test_what_the_server_adds_is_no_drift() -> None:
    wanted = {"spec": {"ports": [{"name": "http", "port": 80}], "selector": {"a": "b"}}, "data": {}}
    stored = {
        "spec": {
            "clusterIP": "10.0.0.1",
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30000}],
            "selector": {"a": "b"},
        },
    }
    assert drift(wanted, stored) == []


def test_drift_names_the_fields() -> None:
    wanted = {"spec": {"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}], "type": "ClusterIP"}}
    stored = {"spec": {"ports": [{"name": "b", "port": 3}, {"name": "a", "port": 1}]}}
    assert drift(wanted, stored) == ["spec.ports[b].port", "spec.type"]
    assert drift(wanted, {"spec": {"ports": [], "type": "ClusterIP"}}) == ["spec.ports"]


@given(JSON)
def test_nothing_drifts_from_itself(value: object) -> None:
    assert drift({"spec": value}, {"spec": value}) == []
