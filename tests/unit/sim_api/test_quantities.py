import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe_sim.apiserver.schema.quantities import BadQuantityError, amount, canonical


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0.5", "500m"), ("1000m", "1"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("1500", "1500"),
        ("1e3", "1e3"),
        ("0", "0"), ("0Gi", "0"), ("2000k", "2M"), ("-1", "-1"),
        ("100Ki", "100Ki"), (".5", "500m"), ("1n", "1n"),
    ],
)  # fmt: skip
def test_a_quantity_is_written_one_way(text: str, written: str) -> None:
    assert canonical(text) == written


@pytest.mark.parametrize("text", ["", "x", "1 Gi", "1GB", "--1", "1.2.3"])
def test_other_texts_are_no_quantities(text: str) -> None:
    with pytest.raises(BadQuantityError):
        canonical(text)


@given(st.integers(-(10**12), 10**12), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi"]))
def test_writing_a_quantity_keeps_its_amount(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    assert amount(canonical(text)) == amount(text)
    assert canonical(canonical(text)) == canonical(text)
