"""Who owns what when an object is written through one of its doors; as Kubernetes 1.36 was seen to do it."""

import pytest

from tests.ports.objects import custom, definition, deployment
from tests.unit.sim_api.worlds import Sim, new_sim

PATH = "/apis/apps/v1/namespaces/default/deployments/d"
SCALE = f"{PATH}/scale"
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
THREE = {"spec": {"replicas": 3}}


@pytest.fixture
def sim() -> Sim:
    """A world in which "one" applied a deployment of two pods."""
    made = new_sim()
    assert made.send("PATCH", PATH, stated(2), APPLY, fieldManager="one").status == 201
    return made


def stated(replicas: int) -> dict[str, object]:
    body = deployment("d", replicas=replicas)
    return {**body, "apiVersion": "apps/v1", "kind": "Deployment"}


def scale(replicas: int) -> dict[str, object]:
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "d"},
        "spec": {"replicas": replicas},
    }


def owners(sim: Sim) -> list[tuple[str, str, str]]:
    """Return who owns the number of replicas."""
    entries = sim.send("GET", PATH).body["metadata"]["managedFields"]
    return sorted(
        (e["manager"], e["operation"], e.get("subresource", ""))
        for e in entries
        if "f:replicas" in e["fieldsV1"].get("f:spec", {})
    )


def test_who_scales_owns_the_number_through_the_scale(sim: Sim) -> None:
    sim.send("PATCH", SCALE, THREE, MERGE, fieldManager="two")
    assert owners(sim) == [("two", "Update", "scale")]
    refused = sim.send("PATCH", PATH, stated(5), APPLY, fieldManager="one")
    said = 'conflict with "two" with subresource "scale" using apps/v1: .spec.replicas'
    assert (refused.status, refused.message) == (409, f"Apply failed with 1 conflict: {said}")


def test_a_manager_owns_the_number_through_the_door_it_used_last(sim: Sim) -> None:
    sim.send("PATCH", SCALE, THREE, MERGE, fieldManager="two")
    sim.send("PATCH", SCALE, THREE, MERGE, fieldManager="three")
    assert owners(sim) == [("two", "Update", "scale")]
    sim.send("PATCH", PATH, {"spec": {"replicas": 4}}, MERGE, fieldManager="two")
    assert owners(sim) == [("two", "Update", "")]
    sim.send("PATCH", SCALE, THREE, MERGE, fieldManager="two")
    assert owners(sim) == [("two", "Update", "scale")]


def test_an_applied_scale_meets_the_owners_of_the_whole_object(sim: Sim) -> None:
    refused = sim.send("PATCH", SCALE, scale(7), APPLY, fieldManager="four")
    assert (refused.status, refused.message) == (
        409,
        'Apply failed with 1 conflict: conflict with "one": .spec.replicas',
    )
    taken = sim.send("PATCH", SCALE, scale(7), APPLY, fieldManager="four", force="true")
    assert (taken.status, taken.body["kind"], taken.body["spec"]) == (200, "Scale", {"replicas": 7})
    assert owners(sim) == [("four", "Apply", "scale")]


RULES = {
    "an object": ({"size": 7}, "spec: Invalid value: seven is not wanted"),
    "a text": ({"title": "no"}, 'spec.title: Invalid value: "no": no is no name'),
    "a number": ({"number": 3}, "spec.number: Invalid value: 3: not three"),
    "a list": ({"list": ["a"]}, "spec.list: Invalid value: not one"),
    "a double": ({"twice": {"a": 1}}, "spec.twice: Duplicate value"),
}
SCHEMAS = {
    "title": {
        "type": "string",
        "x-kubernetes-validations": [{"rule": "self != 'no'", "message": "no is no name"}],
    },
    "number": {
        "type": "integer",
        "x-kubernetes-validations": [{"rule": "self != 3", "message": "not three"}],
    },
    "list": {
        "type": "array",
        "items": {"type": "string"},
        "x-kubernetes-validations": [{"rule": "size(self) != 1", "message": "not one"}],
    },
    "twice": {
        "type": "object",
        "additionalProperties": {"type": "integer"},
        "x-kubernetes-validations": [
            {"rule": "size(self) != 1", "message": "untold", "reason": "FieldValueDuplicate"}
        ],
    },
}


@pytest.mark.parametrize("name", RULES)
def test_a_broken_rule_shows_a_plain_value_and_leaves_out_a_large_one(name: str) -> None:
    spec, said = RULES[name]
    sim, body = new_sim(), definition("Thing")
    version = body["spec"]["versions"][0]
    version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"] |= SCHEMAS
    sim.send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
    things = "/apis/ports.cafe.test/v1/namespaces/default/things"
    answer = sim.send("POST", things, custom("Thing", "a", **{"size": 1, **spec}))
    assert answer.message == f'Thing.ports.cafe.test "a" is invalid: {said}'
