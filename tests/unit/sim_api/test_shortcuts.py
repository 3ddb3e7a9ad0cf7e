"""What is not looked at twice: shortcuts of the simulated server that must not show."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe_sim.apiserver.crds.expressions import Judge
from cafe_sim.apiserver.crds.structural import CustomShape, has_defaults
from cafe_sim.apiserver.duplicates import duplicates
from cafe_sim.apiserver.schema.types import Notes

TREE = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=8,
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {"size": {"type": "integer", "default": 1}, "note": {"type": "string"}},
        },
        "status": {"type": "object", "properties": {"seen": {"type": "integer"}}},
    },
}


@given(TREE)
def test_a_body_without_doubles_has_none_however_it_is_written(value: object) -> None:
    for text in (msgspec.json.encode(value), msgspec.json.format(msgspec.json.encode(value), indent=1)):
        assert duplicates(text) == []


@pytest.mark.parametrize("text", [b'{"a":1,"a":1}', b'{"a":1, "a":2}', b'{"b":1,"a":1,"a":1}'])
def test_a_field_given_twice_is_found(text: bytes) -> None:
    assert duplicates(text) == ["a"]


def test_a_part_read_before_is_taken_as_it_is_and_a_new_one_is_not() -> None:
    shape = CustomShape(SCHEMA)
    first = shape.read({"spec": {"note": "x", "odd": 1}, "status": {"seen": 1}}, Notes())
    assert first["spec"] == {"note": "x", "size": 1}
    again = shape.read({**first, "status": {"seen": 2, "odd": 1}}, Notes(), first)
    assert again["spec"] is first["spec"]
    assert again["status"] == {"seen": 2}
    assert list(again) == ["spec", "status", "metadata"]
    other = CustomShape({**SCHEMA, "properties": {**SCHEMA["properties"], "spec": {"type": "object"}}})
    assert other.read(first, Notes())["spec"] == {}


def test_a_schema_has_defaults_at_any_depth() -> None:
    assert has_defaults(SCHEMA)
    assert not has_defaults(SCHEMA["properties"]["status"])
    assert has_defaults({"type": "array", "items": {"type": "integer", "default": 0}})


def test_a_rule_is_judged_anew_for_any_other_pair() -> None:
    judge = Judge({"x-kubernetes-validations": [{"rule": "self.n >= oldSelf.n"}], "type": "object"})
    small, large = {"n": 1}, {"n": 2}
    for _ in range(2):
        assert list(judge.check(large, small)) == []
        assert [error.kind for error in judge.check(small, large)] == ["Invalid"]
