"""The generated CRDs: structural, with our rules, and in step with the code that reads the objects."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.api.cafedeployment import CafeDeployment
from cafe.api.crd import DECLARATIONS, crd_of
from cafe.api.declaration import KindDeclaration
from cafe.api.inplaceset import BUDGET_RULE, InPlaceSet
from cafe.kernel import Refusal
from cafe.workloads.domain.budget import count_of

KINDS = pytest.mark.parametrize("declaration", DECLARATIONS, ids=lambda d: d.kind)


def schema_of(declaration: KindDeclaration) -> dict[str, Any]:
    found: dict[str, Any] = crd_of(declaration)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from nodes(part, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from nodes(schema[word], f"{path}[]")


@KINDS
def test_the_schema_is_structural(declaration: KindDeclaration) -> None:
    for path, node in nodes(schema_of(declaration)):
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path
        assert not node.keys() & {"$ref", "anyOf", "oneOf", "allOf", "title", "propertyNames"}, path


@KINDS
def test_kubectl_explain_finds_a_sentence_for_every_field_of_the_spec(declaration: KindDeclaration) -> None:
    spec = schema_of(declaration)["properties"]["spec"]
    undescribed = [p for p, node in nodes(spec) if not p.endswith("[]") and "description" not in node]
    assert undescribed == []


@KINDS
def test_nothing_of_a_status_is_required_or_defaulted(declaration: KindDeclaration) -> None:
    for path, node in nodes(schema_of(declaration)["properties"].get("status", {})):
        assert "default" not in node, path
        assert node.get("required", ["type"]) == ["type"], path


@KINDS
def test_every_rule_is_in_the_crd_with_a_message_and_a_path_that_exists(declaration: KindDeclaration) -> None:
    spec = schema_of(declaration)["properties"]["spec"]
    rules = spec["x-kubernetes-validations"]
    assert len(rules) == len(declaration.rules) > 0
    paths = {path for path, _ in nodes(spec)}
    assert all(rule["fieldPath"] in paths and rule["message"] for rule in rules)


@KINDS
def test_columns_and_scale_point_at_fields_that_exist(declaration: KindDeclaration) -> None:
    paths = {path for path, _ in nodes(schema_of(declaration))}
    plain = [
        c.json_path for c in declaration.columns if "[?" not in c.json_path and "metadata" not in c.json_path
    ]
    scale = declaration.scale
    assert {*plain, *((scale.spec_path, scale.status_path) if scale else ())} <= paths


@KINDS
def test_a_kind_has_a_status_if_it_tells_how_it_is_and_is_scaled_if_it_has_pods(
    declaration: KindDeclaration,
) -> None:
    subresources = crd_of(declaration)["spec"]["versions"][0].get("subresources", {})
    tells = "status" in declaration.type.__struct_fields__
    assert set(subresources) == {*(["status"] if tells else []), *(["scale"] if declaration.scale else [])}


@given(
    st.integers(-5, 200)
    | st.from_regex(r"\A[0-9]{1,3}%?\Z")
    | st.sampled_from(["", "%", "ten", "1.5%", "-1%"])
)
def test_what_admission_lets_through_the_code_can_count(value: int | str) -> None:
    """What the rule refuses, the code may still read: it must survive a server without the rule."""
    pattern = re.search(r"matches\('(.+)'\)", BUDGET_RULE.rule)
    assert pattern is not None
    admitted = value > 0 if isinstance(value, int) else re.search(pattern[1], value) is not None
    if admitted:
        assert count_of(value, 10) >= 1
    elif not isinstance(value, str) or not value.startswith("0"):
        with pytest.raises(Refusal):
            count_of(value, 10)


def defaulted(schema: dict[str, Any], otherwise: Any) -> Any:  # noqa: ANN401 -- any JSON value
    """Return the default of a field, with those of its own fields filled in, as the API server does."""
    found = schema.get("default", otherwise)
    if not isinstance(found, dict) or not schema.get("properties"):
        return found
    filled = {k: defaulted(s, None) for k, s in schema["properties"].items() if "default" in s}
    return filled | found


@pytest.mark.parametrize("kind", [CafeDeployment, InPlaceSet])
def test_the_least_object_is_read_with_the_defaults_of_the_crd(
    kind: type[CafeDeployment | InPlaceSet],
) -> None:
    least = {"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {}}}
    read = msgspec.convert(least, kind)
    (declaration,) = (d for d in DECLARATIONS if d.type is kind)
    strategy = schema_of(declaration)["properties"]["spec"]["properties"]["strategy"]["properties"]
    filled = {name: defaulted(field, None) for name, field in strategy.items() if "default" in field}
    assert msgspec.convert(filled, type(read.spec.strategy)) == read.spec.strategy
    assert msgspec.convert(msgspec.to_builtins(read), kind) == read


def test_a_budget_of_nothing_is_refused_by_the_code_too() -> None:
    for value in (0, "0%", "101%"):
        with pytest.raises(Refusal):
            count_of(value, 10)
