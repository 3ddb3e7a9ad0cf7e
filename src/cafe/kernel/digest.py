"""Short names for contents: equal contents have equal digests, in every process and Python."""

import hashlib
import json
from typing import Any, NewType

Digest = NewType("Digest", str)
"""Lower-case hexadecimal, 12 characters: what a person can read out over the telephone."""

DIGEST_LENGTH = 12


def digest_of(content: Any) -> Digest:  # noqa: ANN401 -- any JSON value has a digest
    """Return the digest of a JSON value.

    The value is written canonically (keys sorted, no spaces, UTF-8) and hashed with SHA-256, so the result
    depends neither on key order nor on the process's hash seed.

    Raises:
        TypeError: *content* holds something that JSON can't.
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Digest(hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH])
