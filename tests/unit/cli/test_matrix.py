"""The face of the product: fits, folds, and says everything in any terminal."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from cafe.cli.messages import Catalogue
from cafe.cli.views.drawing import Pen, draw_matrix, spell_matrix
from cafe.cli.views.matrix import Look, matrix_of, preview_matrix
from cafe.cli.views.picture import app_of
from cafe.cli.views.tables import narrowed, table
from cafe.workloads.domain.groups import UnitSize, make_plan
from tests.unit.cli.world import canonical_plan, releasing

GOLDEN = Path(__file__).parents[2] / "golden" / "cli"

ENGLISH = Catalogue("en")


def drawn(document: dict[str, object], pen: Pen, sick: dict[str, str] | None = None) -> str:
    matrix = matrix_of(app_of(document), sick)
    assert matrix is not None
    return "\n".join(line.plain.rstrip() for line in draw_matrix(matrix, pen, "Cell")) + "\n"


def test_a_table_is_narrowed_where_it_may_be_and_names_keep_both_ends() -> None:
    heads = ["NAME", "IMAGES", "WHY"]
    rows = [["app", "examples-bookinfo-productpage-v1:1.20.2", "because it was asked for by a person"]]
    (row,) = narrowed(heads, rows, (1, 2), Pen(ENGLISH, width=50))
    assert cell_len(table(heads, [row])[1]) == 50
    assert row[0] == "app"
    assert row[1].startswith("examples-")
    assert row[1].endswith("1.20.2")
    assert row[2].startswith("because it")
    assert narrowed(heads, rows, (1, 2), Pen(ENGLISH, width=20)) == rows
    assert narrowed(heads, [], (1,), Pen(ENGLISH)) == []


def long_release() -> dict[str, object]:
    plan = make_plan("b", [UnitSize("cell-a", 20, 0, 20), UnitSize("cell-b", 20, 0, 20)], "Beta", 4)
    return releasing(plan=plan, group=3, done=7, phase="Progressing")


CASES = {
    "waiting": (releasing(), Pen(ENGLISH)),
    "updating": (releasing(group=1, done=2, phase="Progressing"), Pen(ENGLISH)),
    "paused": (releasing(group=1, done=2, phase="Paused"), Pen(ENGLISH)),
    "complete": (releasing(group=2, done=5, phase="Complete"), Pen(ENGLISH)),
    "folded": (long_release(), Pen(ENGLISH)),
    "ascii": (releasing(), Pen(ENGLISH, is_unicode=False)),
    "chinese": (releasing(), Pen(Catalogue("zh_cn"))),
}


@pytest.mark.parametrize("name", CASES)
def test_the_matrix_looks_as_it_was_approved(name: str) -> None:
    assert drawn(*CASES[name]) == (GOLDEN / f"matrix-{name}.txt").read_text()


def test_pods_that_cannot_start_are_marked_stuck_in_their_cell_only() -> None:
    matrix = matrix_of(app_of(releasing(phase="Progressing", done=0)), {"cell-b": "ImagePullBackOff"})
    assert matrix is not None
    assert [square.look for square in matrix.columns[0].squares] == [Look.UPDATING, Look.STUCK]


def test_a_unit_without_pods_in_a_group_shows_an_empty_square() -> None:
    plan = make_plan("b", [UnitSize("a", 5), UnitSize("b", 1)], "Beta", 2)
    assert preview_matrix(plan).columns[1].squares[1].look is Look.EMPTY


def test_an_application_without_units_has_one_row_called_all() -> None:
    matrix = preview_matrix(make_plan("b", [UnitSize("", 3)], "Batch", 2))
    lines = [line.plain for line in draw_matrix(matrix, Pen(ENGLISH), "None")]
    assert lines[1].startswith("all")


def test_in_words_each_square_is_a_sentence() -> None:
    matrix = matrix_of(app_of(releasing()))
    assert matrix is not None
    lines = [line.plain for line in spell_matrix(matrix, Pen(ENGLISH))]
    assert lines[0] == "cell-a, Beta: 1 of 1, waits for confirmation"
    assert len(lines) == 6


@settings(deadline=None, max_examples=60)  # Some draw hundreds of groups.
@given(
    units=st.lists(st.integers(1, 400), min_size=1, max_size=6),
    batch=st.integers(1, 60),
    width=st.integers(60, 140),
    is_unicode=st.booleans(),
    language=st.sampled_from(["en", "zh_cn"]),
)
def test_no_matrix_is_wider_than_its_terminal_and_all_rows_line_up(
    *, units: list[int], batch: int, width: int, is_unicode: bool, language: str
) -> None:
    plan = make_plan("b", [UnitSize(f"cell-{i}", n) for i, n in enumerate(units)], "Beta", batch)
    pen = Pen(Catalogue(language), is_unicode, width)
    lines = [line.plain for line in draw_matrix(preview_matrix(plan), pen, "Cell")]
    rows = [line for line in lines if re.search(r"\d/\d+$", line)]
    assert len(rows) >= len(units)
    assert {cell_len(row) for row in rows} == {cell_len(lines[0])}
    assert all(cell_len(row) <= width for row in rows)


@given(st.data())
def test_done_pods_fill_the_groups_in_their_order_and_none_is_counted_twice(data: st.DataObject) -> None:
    plan = canonical_plan()
    done = data.draw(st.integers(0, 5))
    matrix = matrix_of(app_of(releasing(group=2, done=done, phase="Progressing")))
    assert matrix is not None
    for unit in range(2):
        assert sum(column.squares[unit].done for column in matrix.columns) == done
    filled = [column.total.done == column.total.total for column in matrix.columns]
    assert filled == sorted(filled, reverse=True)
    assert len(plan.groups) == len(matrix.columns)
