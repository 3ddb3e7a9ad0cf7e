"""CPU and memory: which changes a living pod can take, and when one is proven."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.workloads.domain.facts import ContainerFact, PodFact, Resizing, UpdateState
from cafe.workloads.domain.proving import is_complete, is_misfit, outstanding, unasked
from cafe.workloads.domain.sizes import Size, amounts_of, as_resources, has, quality_of, size_between
from cafe.workloads.domain.templates import InPlace, Recreate, change_between
from tests.unit.workloads.facts import LONG_AGO, NEW, pod, template

SMALL = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}
AMOUNTS = st.builds(lambda n, unit: f"{n}{unit}", st.integers(1, 900), st.sampled_from(["m", "", "Mi", "Gi"]))
RESOURCES = st.fixed_dictionaries(
    {},
    optional={
        group: st.dictionaries(st.sampled_from(["cpu", "memory"]), AMOUNTS)
        for group in ("limits", "requests")
    },
)


def container(resources: object, **more: object) -> dict[str, Any]:
    return {"name": "app", "image": "app:v1", "resources": resources, **more}


@given(RESOURCES)
def test_amounts_survive_the_way_to_a_patch_and_back(resources: dict[str, Any]) -> None:
    amounts = amounts_of(resources)
    assert amounts_of(as_resources(amounts)) == amounts


@given(RESOURCES, RESOURCES)
def test_a_size_names_the_amounts_that_were_there_before(old: dict[str, Any], new: dict[str, Any]) -> None:
    found = size_between(container(old), container(new))
    if found is None:
        assert amounts_of(old).keys() != amounts_of(new).keys()
    else:
        assert found.amounts == amounts_of(new)
        assert found.is_same == has(amounts_of(old), amounts_of(new))


@pytest.mark.parametrize(
    ("resources", "is_taken"),
    [
        ({**SMALL, "limits": {"memory": "2Gi"}}, True),
        ({**SMALL, "requests": {"cpu": "1", "memory": "64Mi"}}, True),
        ({"requests": SMALL["requests"]}, False),
        ({**SMALL, "limits": {"memory": "1Gi", "cpu": "1"}}, False),
        ({**SMALL, "requests": {**SMALL["requests"], "nvidia.com/gpu": "1"}}, False),
        ({**SMALL, "claims": [{"name": "disk"}]}, False),
        (None, False),
    ],
    ids=["limit", "request", "limit-gone", "limit-new", "device", "claim", "none"],
)
def test_a_living_pod_takes_other_amounts_of_what_it_has(resources: object, is_taken: bool) -> None:  # noqa: FBT001
    assert (size_between(container(SMALL), container(resources)) is not None) == is_taken


@pytest.mark.parametrize(
    ("policy", "restarts"),
    [({}, False), ({"cpu": "RestartContainer"}, True), ({"memory": "RestartContainer"}, False)],
    ids=["none", "of-what-changes", "of-what-stays"],
)
def test_a_container_restarts_by_the_policy_of_what_changes(policy: dict[str, str], restarts: bool) -> None:  # noqa: FBT001
    listed = [{"resourceName": name, "restartPolicy": said} for name, said in policy.items()]
    more = {**SMALL, "requests": {"cpu": "250m", "memory": "0.0625Gi"}}
    found = size_between(container(SMALL), container(more, resizePolicy=listed))
    assert found is not None
    assert found.restarts == restarts


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "0"}}, "BestEffort"),
        (SMALL, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m"}}, "Guaranteed"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
    ],
)
def test_the_quality_of_service_is_told_as_the_api_server_tells_it(
    resources: dict[str, Any], quality: str
) -> None:
    assert quality_of({"containers": [container(resources)]}) == quality


def test_a_change_of_the_quality_of_service_needs_a_new_pod() -> None:
    equal = {"cpu": "100m", "memory": "64Mi"}
    limited = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": equal}
    old = template(containers=[container(limited)])
    new = template(containers=[container({"requests": equal, "limits": equal})])
    assert change_between(old, new) == Recreate(("spec.containers[app].resources",))
    back = {"requests": {"cpu": "70m", "memory": "64Mi"}, "limits": equal}
    change = change_between(old, template(containers=[container(back)]))
    assert isinstance(change, InPlace)
    assert change.sizes == {"app": Size(amounts_of(back))}


def resized(**changes: Any) -> PodFact:  # noqa: ANN401 -- any field
    """Return a pod whose node has given what was asked for."""
    size = {"requests.cpu": "250m"}
    facts = {"asked": size, "given": size, "is_running": True, **changes.pop("container", {})}
    state = UpdateState(NEW, LONG_AGO, {}, sizes={"app": {"requests.cpu": "0.25"}})
    return pod(revision=NEW, state=state, containers={"app": ContainerFact("app:v1", **facts)}, **changes)


def test_a_resize_is_proven_by_what_the_node_reports() -> None:
    assert is_complete(resized())
    assert not outstanding(resized())


@pytest.mark.parametrize(
    "changes",
    [
        {"container": {"given": {"requests.cpu": "100m"}}},
        {"container": {"given": None}},
        {"container": {"is_running": False}},
        {"is_observed": False},
        {"resizing": Resizing("InProgress")},
        {"resizing": Resizing("Deferred", "no room")},
    ],
    ids=["less", "unsaid", "not-running", "unobserved", "in-progress", "deferred"],
)
def test_a_resize_is_not_proven_by_less(changes: dict[str, Any]) -> None:
    found = resized(**changes)
    assert not is_complete(found)
    assert outstanding(found) == {"app": {"requests.cpu": "0.25"}}
    assert not unasked(found)


def test_what_the_spec_does_not_say_is_still_to_be_asked_for() -> None:
    assert unasked(resized(container={"asked": {"requests.cpu": "100m"}})) == {
        "app": {"requests.cpu": "0.25"}
    }
    gone = replace(resized(), containers={})
    assert unasked(gone)


def test_only_a_node_that_says_never_is_a_misfit() -> None:
    assert is_misfit(resized(resizing=Resizing("Infeasible", "swap")))
    assert not is_misfit(resized(resizing=Resizing("Deferred")))
    assert not is_misfit(resized())
