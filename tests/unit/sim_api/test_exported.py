"""What leaves CAFE is taken by a server that doesn't know it."""

import pytest
from hypothesis import given

from cafe.api.names import UPDATE_GATE
from tests.unit.sim_api.worlds import new_sim
from tests.unit.workloads.applications import Json, apps_of_all_sorts, exported


@pytest.mark.slow
@given(apps_of_all_sorts())
def test_a_server_without_cafe_takes_whatever_is_exported(made: Json) -> None:
    sim = new_sim()
    sim.send("POST", "/api/v1/namespaces", {"metadata": {"name": "default"}})
    for plain in exported(made):
        path = f"/apis/apps/v1/namespaces/default/{plain['kind'].lower()}s"
        answer = sim.send("POST", path, plain, fieldValidation="Strict")
        assert answer.status == 201, answer.body
        assert UPDATE_GATE not in str(plain)
        assert "managedFields" not in plain["metadata"]
