"""What chance gives is well formed."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from cafe.kernel.entropy import uuid4_from


@given(st.integers(min_value=0, max_value=2**128 - 1))
def test_any_bits_make_a_version_4_uuid(bits: int) -> None:
    parsed = uuid.UUID(uuid4_from(bits))
    assert parsed.version == 4
    assert parsed.variant == uuid.RFC_4122
