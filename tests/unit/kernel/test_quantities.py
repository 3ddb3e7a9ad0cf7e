import pytest

from cafe.kernel import quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", 0.5), ("1Gi", 2**30), ("1G", 1e9), (2, 2), ("1e3", 1000), ("x", None), ("1Q", None)],
)
def test_quantities_are_read_as_kubernetes_writes_them(text: object, value: float | None) -> None:
    found = quantity(text)
    assert (None if found is None else float(found)) == value
