"""Words that every part of CAFE shares; the standard library is all they need."""

from cafe.kernel.clock import Clock, SystemClock
from cafe.kernel.digest import Digest, digest_of
from cafe.kernel.entropy import Entropy, SystemEntropy
from cafe.kernel.errors import CafeError, Conflict, Refusal, Unavailable
from cafe.kernel.keys import ObjectKey
from cafe.kernel.notes import Note
from cafe.kernel.outcome import Outcome
from cafe.kernel.quantities import quantity

__all__ = [
    "CafeError",
    "Clock",
    "Conflict",
    "Digest",
    "Entropy",
    "Note",
    "ObjectKey",
    "Outcome",
    "Refusal",
    "SystemClock",
    "SystemEntropy",
    "Unavailable",
    "digest_of",
    "quantity",
]
