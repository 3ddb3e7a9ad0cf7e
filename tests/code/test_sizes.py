"""The sizes of the house: a room that outgrows them is split, not excused."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE_LINES, TEST_LINES, FUNCTION_LINES, PARAMETERS = 400, 600, 40, 6
BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}

SOURCES = sorted(p for top in ("src", "tools", "bench", "testbed") for p in (ROOT / top).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: Function) -> int:
    """Count from the signature on, without the docstring, which may be as long as it needs."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def wanted_parameters(function: Function) -> int:
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in {"self", "cls"}])


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_fits_on_a_few_screens(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MODULE_LINES
    long = {f.name: body_lines(f) for f in functions(path) if body_lines(f) > FUNCTION_LINES}
    assert not long, f"functions over {FUNCTION_LINES} lines: {long}"
    wide = {f.name: wanted_parameters(f) for f in functions(path) if wanted_parameters(f) > PARAMETERS}
    assert not wide, f"functions with over {PARAMETERS} parameters: {wide}"


@pytest.mark.parametrize("path", TESTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_test_module_can_be_read(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= TEST_LINES


def test_no_room_is_named_after_nothing() -> None:
    named = [p for p in SOURCES if p.stem in BANNED_NAMES or p.parent.name in BANNED_NAMES]
    assert not named
