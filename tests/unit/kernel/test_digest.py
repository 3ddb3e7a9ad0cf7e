"""Equal contents have equal digests, everywhere."""

from hypothesis import given
from hypothesis import strategies as st

from cafe.kernel import digest_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON, max_size=6))
def test_the_order_of_keys_does_not_matter(content: dict[str, object]) -> None:
    assert digest_of(content) == digest_of(dict(reversed(content.items())))


def test_a_known_content_has_the_digest_it_had_last_year() -> None:
    assert digest_of({"image": "v2", "组": [1, True, None]}) == "f3ecd97a51ba"
