"""What differs between two revisions, and how risky it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.api.cafeapprevision import AppContent
from cafe.appservices.contract import Risk
from cafe.appservices.domain.comparing import compare, image_parts, major
from tests.unit.appservices.services import container, content

BOX = "template.spec.containers[shop]"


def only(old: AppContent, new: AppContent) -> tuple[str, Any, Any, Risk, str]:
    """Return the one change between two contents."""
    (change,) = compare(old, new).changes
    return change.path, change.old, change.new, change.risk, change.why


def test_equal_contents_have_no_difference() -> None:
    assert compare(content(), content()).changes == ()
    assert compare(content(), content()).risk is Risk.ORDINARY


@pytest.mark.parametrize(
    ("new", "path"),
    [
        (container(image="registry.bank/shop:1.3"), f"{BOX}.image"),
        (container(resources__requests__cpu="1"), f"{BOX}.resources.requests.cpu"),
        (container(env=[{"name": "A", "value": "2"}]), f"{BOX}.env[A].value"),
        (container(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]), f"{BOX}.env[B]"),
        (content(elasticity__replicas=6), "elasticity.replicas"),
        (content(deploy__strategy__batchSize=4), "deploy.strategy.batchSize"),
    ],
)
def test_an_ordinary_change_is_told_by_its_path(new: AppContent, path: str) -> None:
    told, *_, risk, why = only(content(), new)
    assert (told, risk, why) == (path, Risk.ORDINARY, "")


@pytest.mark.parametrize(
    ("old", "new", "path", "why"),
    [
        (
            content(),
            content(services__0__spec__selector={"app": "other"}),
            "services[shop].spec.selector",
            "it changes which pods are found, and so where requests go",
        ),
        (content(), content(services=[]), "services[shop]", "who calls this Service finds nobody any more"),
        (
            content(),
            content(services__0__spec__ports=[{"name": "http", "port": 81}]),
            "services[shop].spec.ports[http].port",
            "it changes how the application is reached",
        ),
        (
            content(),
            container(resources__requests__memory="512Mi"),
            f"{BOX}.resources.requests.memory",
            "each pod gets less memory than it has now",
        ),
        (
            content(),
            container(resources=None),
            f"{BOX}.resources",
            "nothing is reserved for the container any more: it is the first to suffer on a full node",
        ),
        (
            content(),
            container(readinessProbe=None),
            f"{BOX}.readinessProbe",
            "without its readiness probe nobody notices a sick container",
        ),
        (
            content(),
            container(image="docker.io/shop:1.2"),
            f"{BOX}.image",
            "the image comes from docker.io/shop, not from registry.bank/shop",
        ),
        (
            content(),
            container(image="registry.bank/shop:2.0"),
            f"{BOX}.image",
            "the major version changes from 1 to 2",
        ),
        (
            content(),
            container(image="registry.bank/shop:latest"),
            f"{BOX}.image",
            "a floating tag: nobody can say what will run",
        ),
        (content(), content(elasticity__replicas=5), "elasticity.replicas", "5 pods are left of 10"),
        (
            content(deploy__strategy__needWaitingForConfirm=True),
            content(),
            "deploy.strategy.needWaitingForConfirm",
            "nobody is asked between the groups any more",
        ),
        (
            content(),
            content(deploy__strategy__upgradeType="Batch"),
            "deploy.strategy.upgradeType",
            "no Beta goes ahead of the groups any more",
        ),
        (
            content(),
            content(template__spec__terminationGracePeriodSeconds=5),
            "template.spec.terminationGracePeriodSeconds",
            "pods get less time to end what they began",
        ),
        (
            content(),
            content(template__spec__hostNetwork=True),
            "template.spec.hostNetwork",
            "the pod may reach into its node",
        ),
    ],
)
def test_a_risky_change_says_why(old: AppContent, new: AppContent, path: str, why: str) -> None:
    told, _, _, risk, said = only(old, new)
    assert (told, risk, said) == (path, Risk.HIGH, why)
    assert compare(old, new).risk is Risk.HIGH


CELLS: dict[str, Any] = {"unitType": "Cell", "values": ["cell-a", "cell-b"]}
IN_A = "deploy.topology.overrides[cell-a]"


def cells(*overrides: dict[str, Any], **more: Any) -> AppContent:  # noqa: ANN401 -- any field
    return content(deploy__topology={**CELLS, "overrides": [*overrides]}, **more)


def in_a(**box: Any) -> dict[str, Any]:  # noqa: ANN401 -- any field
    return {"units": ["cell-a"], "containers": [{"name": "shop", **box}]}


@pytest.mark.parametrize(
    ("old", "new", "path", "why"),
    [
        (
            cells(),
            cells(in_a(image="registry.bank/shop:2.0")),
            f"{IN_A}.containers[shop].image",
            "the major version changes from 1 to 2",
        ),
        (
            cells(in_a(image="registry.bank/shop:2.0")),
            cells(),
            f"{IN_A}.containers[shop].image",
            "the major version changes from 2 to 1",
        ),
        (
            cells(in_a(image="registry.bank/shop:1.3")),
            cells(in_a(image="docker.io/shop:1.3")),
            f"{IN_A}.containers[shop].image",
            "the image comes from docker.io/shop, not from registry.bank/shop",
        ),
        (
            cells(),
            cells(in_a(resources={"requests": {"cpu": "100m"}})),
            f"{IN_A}.containers[shop].resources.requests.cpu",
            "each pod gets less cpu than it has now",
        ),
        (
            content(deploy__podSetType="StatefulSet"),
            content(
                deploy__podSetType="StatefulSet",
                persistentVolumeClaimRetentionPolicy={"whenScaled": "Delete"},
            ),
            "persistentVolumeClaimRetentionPolicy.whenScaled",
            "volumes are deleted with their pods, and what is on them",
        ),
    ],
)
def test_a_risk_in_one_cell_is_a_risk(old: AppContent, new: AppContent, path: str, why: str) -> None:
    told, _, _, risk, said = only(old, new)
    assert (told, risk, said) == (path, Risk.HIGH, why)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            cells(),
            cells(in_a(image="registry.bank/shop:1.3")),
            ("containers[shop].image", "registry.bank/shop:1.2", "registry.bank/shop:1.3"),
        ),
        (
            cells(),
            cells(in_a(env=[{"name": "B", "value": "2"}])),
            ("containers[shop].env[B]", None, {"value": "2"}),
        ),
        (cells(), cells({"units": ["cell-a"], "labels": {"x": "y"}}), ("labels[x]", None, "y")),
    ],
)
def test_what_a_cell_has_otherwise_is_told_as_its_pods_see_it(
    old: AppContent, new: AppContent, told: tuple[str, Any, Any]
) -> None:
    path, was, will, risk, _ = only(old, new)
    assert (path, was, will) == (f"{IN_A}.{told[0]}", *told[1:])
    assert risk is Risk.ORDINARY


def test_when_the_template_catches_up_the_cell_s_override_is_told_to_be_gone() -> None:
    ahead = "registry.bank/shop:1.3"
    new = cells(template__spec__containers__0__image=ahead)
    paths = {c.path: (c.old, c.new) for c in compare(cells(in_a(image=ahead)), new).changes}
    assert paths == {
        f"{BOX}.image": ("registry.bank/shop:1.2", ahead),
        f"{IN_A}.containers[shop].image": (ahead, None),
    }


def test_entries_in_another_order_are_no_difference() -> None:
    one, other = in_a(image="x:1"), {"units": ["cell-a"], "labels": {"x": "y"}}
    assert compare(cells(one, other), cells(other, one)).changes == ()


def test_a_container_that_goes_is_risky_and_one_that_comes_is_not() -> None:
    shop = content().template.spec["containers"]
    more = content(template__spec__containers=[*shop, {"name": "helper", "image": "x:1"}])
    assert only(content(), more)[3] is Risk.ORDINARY
    assert only(more, content())[4] == "container helper is gone"


def test_the_order_of_containers_is_a_difference() -> None:
    shop = content().template.spec["containers"][0]
    helper = {"name": "helper", "image": "x:1"}
    one = content(template__spec__containers=[shop, helper])
    other = content(template__spec__containers=[helper, shop])
    assert only(one, other)[0] == "template.spec.containers[order]"


@given(st.integers(1, 50), st.integers(1, 50))
def test_there_and_back_differ_in_the_same_fields(one: int, other: int) -> None:
    there = compare(content(elasticity__replicas=one), content(elasticity__replicas=other))
    back = compare(content(elasticity__replicas=other), content(elasticity__replicas=one))
    assert [(c.path, c.old, c.new) for c in there.changes] == [(c.path, c.new, c.old) for c in back.changes]


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("shop", ("shop", "")),
        ("host:5000/shop", ("host:5000/shop", "")),
        ("host:5000/shop:1.2", ("host:5000/shop", "1.2")),
        ("shop:1@sha256:abc", ("shop", "1")),
    ],
)
def test_an_image_is_taken_apart(image: str, parts: tuple[str, str]) -> None:
    assert image_parts(image) == parts


@pytest.mark.parametrize(
    ("tag", "version"), [("1.2", "1"), ("v12", "12"), ("2-rc1", "2"), ("main", None), ("", None)]
)
def test_a_major_version_is_what_a_tag_begins_with(tag: str, version: str | None) -> None:
    assert major(tag) == version
