"""What goes with the rows of a table; as Kubernetes 1.36 was seen to do it."""

import json

import pytest

from cafe.kube.transport import Request, Response
from tests.ports.backend import Value
from tests.ports.objects import config_map
from tests.unit.sim_api.worlds import Sim, new_sim

PATH = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def asked(sim: Sim, include: str) -> Value:
    query = (("includeObject", include),) if include else ()
    answer = sim.server.dispatch(Request("GET", PATH, query, accept=TABLE))
    assert isinstance(answer, Response)
    return json.loads(answer.body)


@pytest.mark.parametrize(
    ("include", "kind", "data"),
    [
        ("", "PartialObjectMetadata", None),
        ("Metadata", "PartialObjectMetadata", None),
        ("Object", "ConfigMap", {"x": "y"}),
    ],
)
def test_a_row_shows_as_much_of_its_object_as_was_asked_for(
    include: str, kind: str, data: dict[str, str] | None
) -> None:
    sim = new_sim()
    sim.server.create("configmaps", "default", config_map("a", x="y"))
    (row,) = asked(sim, include)["rows"]
    assert (row["object"]["kind"], row["object"].get("data")) == (kind, data)


def test_a_row_may_go_without_its_object() -> None:
    sim = new_sim()
    sim.server.create("configmaps", "default", config_map("a", x="y"))
    (row,) = asked(sim, "None")["rows"]
    assert row["object"] is None


def test_a_row_cannot_show_what_nobody_knows() -> None:
    status = asked(new_sim(), "x")
    said = "must be 'Metadata', 'Object', 'None', or empty"
    assert status["code"] == 400
    assert status["message"] == (
        f'Unable to convert to Table as requested: includeObject: Invalid value: "x": {said}'
    )
