from hypothesis import given
from hypothesis import strategies as st

from cafe_sim.apiserver.values import graft, merge

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text("abc", max_size=2), JSON, max_size=4)


def _same(a: object, b: object) -> bool:
    """Equality that tells true from 1, as JSON does and Python doesn't."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and a == b


@given(JSON, JSON)
def test_a_graft_is_equal_to_the_new_value(old: object, new: object) -> None:
    assert _same(graft(old, new), new)


@given(JSON, JSON)
def test_a_graft_is_the_old_value_exactly_if_nothing_changed(old: object, new: object) -> None:
    assert (graft(old, new) is old) == _same(old, new)


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_applied_twice_changes_nothing_more(
    target: dict[str, object], patch: dict[str, object]
) -> None:
    once = merge(target, patch)
    assert merge(once, patch) is once


@given(OBJECTS)
def test_an_empty_patch_is_no_change(target: dict[str, object]) -> None:
    assert merge(target, {}) is target
