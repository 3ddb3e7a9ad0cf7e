"""Short hashes of templates, in the alphabet of generated names."""

import hashlib
import json
from typing import Any

from cafe_sim.contract import Json

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Any, collision_count: int | None = None) -> str:  # noqa: ANN401 -- any JSON value
    """Return what `pod-template-hash` holds: equal templates have equal hashes.

    The real server hashes its Go structs, so the value itself differs from a real one; its form, and what
    *collision_count* does to it, do not.
    """
    text = json.dumps([template, collision_count], sort_keys=True, separators=(",", ":"))
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(number))


def hex_id(*parts: str) -> str:
    """Return 64 hexadecimal characters that name what *parts* name: container ids, image digests."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def without_label(template: Json, label: str) -> Json:
    """Return a pod template without one of its labels."""
    meta = template.get("metadata") or {}
    labels = {k: v for k, v in (meta.get("labels") or {}).items() if k != label}
    return {**template, "metadata": {**meta, "labels": labels}}
