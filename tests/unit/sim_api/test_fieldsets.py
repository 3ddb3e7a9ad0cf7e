from hypothesis import given
from hypothesis import strategies as st

from cafe_sim.apiserver.fieldsets import compare, difference, intersection, paths, union, whole
from cafe_sim.apiserver.merging import UNTYPED

VALUES = st.recursive(
    st.integers(0, 2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1, max_size=3)


def _paths(node: object) -> set[str]:
    return set() if node is None else set(paths(node))  # type: ignore[arg-type]


@given(OBJECTS, OBJECTS)
def test_sets_of_fields_obey_the_laws_of_sets(a: object, b: object) -> None:
    left, right = whole(UNTYPED, a), whole(UNTYPED, b)
    assert _paths(union(left, right)) == _paths(left) | _paths(right)
    assert _paths(difference(left, right)) == _paths(left) - _paths(right)
    assert _paths(intersection(left, right)) == _paths(left) & _paths(right)


@given(OBJECTS, OBJECTS)
def test_nothing_came_or_went_between_equal_objects_alone(a: object, b: object) -> None:
    assert (compare(UNTYPED, a, b) == (None, None)) == (a == b)


@given(OBJECTS, OBJECTS)
def test_what_went_is_in_the_old_object_and_what_came_in_the_new(a: object, b: object) -> None:
    came, went = compare(UNTYPED, a, b)
    assert _paths(came) <= _paths(whole(UNTYPED, b))
    assert _paths(went) <= _paths(whole(UNTYPED, a))
