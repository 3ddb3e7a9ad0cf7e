"""What can be changed in a living pod, and what needs a new one."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.workloads.domain.templates import InPlace, Recreate, change_between
from tests.unit.workloads.facts import template

SPECS = st.fixed_dictionaries(
    {
        "containers": st.lists(
            st.builds(lambda n, i: {"name": n, "image": i}, st.sampled_from("abc"), st.sampled_from("xyz")),
            min_size=1,
            max_size=3,
            unique_by=lambda c: c["name"],
        )
    },
    optional={"nodeSelector": st.dictionaries(st.sampled_from("kl"), st.sampled_from("uv"), min_size=1)},
)
WORDS = st.dictionaries(st.sampled_from("klm"), st.sampled_from("uvw"))
TEMPLATES = st.fixed_dictionaries(
    {"metadata": st.fixed_dictionaries({"labels": WORDS, "annotations": WORDS}), "spec": SPECS}
)


def applied(old: dict[str, Any], change: InPlace) -> dict[str, Any]:
    """Do to the template what an adapter does to the pod."""
    result = copy.deepcopy(old)
    for one in result["spec"]["containers"]:
        one["image"] = change.images.get(one["name"], one["image"])
    for field, wanted in (("labels", change.labels), ("annotations", change.annotations)):
        result["metadata"][field] |= wanted
        result["metadata"][field] = {k: v for k, v in result["metadata"][field].items() if v is not None}
    return result


@given(TEMPLATES, TEMPLATES)
def test_a_change_in_place_makes_the_old_template_the_new_one(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    change = change_between(old, new)
    if isinstance(change, InPlace):
        assert applied(old, change) == new
    else:
        assert change.paths == tuple(sorted(change.paths)) != ()


@given(TEMPLATES)
def test_a_template_reaches_itself_without_a_write(one: dict[str, Any]) -> None:
    assert change_between(one, copy.deepcopy(one)) == InPlace()


@pytest.mark.parametrize(
    ("new", "paths"),
    [
        (template(nodeSelector={"disk": "ssd"}), ("spec.nodeSelector",)),
        (template(initContainers=[{"name": "init", "image": "i"}]), ("spec.initContainers",)),
        (
            {"spec": {"containers": [{"name": "app", "image": "app:v1", "env": [{"name": "A"}]}]}},
            ("spec.containers[app].env",),
        ),
        ({"spec": {"containers": [{"name": "app"}]}}, ("spec.containers[app].image",)),
        ({"spec": {"containers": [{"name": "app", "image": ""}]}}, ("spec.containers[app].image",)),
        ({"spec": {"containers": [{"name": "other", "image": "app:v1"}]}}, ("spec.containers",)),
        ({"spec": {"containers": []}}, ("spec.containers",)),
        (
            {
                "spec": {
                    "containers": [{"name": "app", "image": "app:v2", "resources": {"limits": {"cpu": "1"}}}]
                }
            },
            ("spec.containers[app].resources",),
        ),
    ],
)
def test_what_a_living_pod_cannot_become_names_the_paths(new: dict[str, Any], paths: tuple[str, ...]) -> None:
    assert change_between(template(), new) == Recreate(paths)


def test_containers_in_another_order_need_a_new_pod() -> None:
    a, b = {"name": "a", "image": "x"}, {"name": "b", "image": "x"}
    old, new = {"spec": {"containers": [a, b]}}, {"spec": {"containers": [b, a]}}
    assert change_between(old, new) == Recreate(("spec.containers",))


def test_a_field_that_is_null_is_as_good_as_absent() -> None:
    assert change_between(template(), template(affinity=None)) == InPlace()


def test_labels_that_vanish_are_removed_from_the_pod() -> None:
    change = change_between(template(labels={"app": "web", "tier": "gold"}), template(labels={"app": "web"}))
    assert change == InPlace(labels={"tier": None})
