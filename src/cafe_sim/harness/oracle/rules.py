"""All rules that a run can break, by name."""

from cafe_sim.harness.oracle.carrying import CARRYING
from cafe_sim.harness.oracle.leading import LEADING
from cafe_sim.harness.oracle.liveness import ENDS, LIVENESS, NO_BUGS, QUIET
from cafe_sim.harness.oracle.natives import NATIVES
from cafe_sim.harness.oracle.releasing import RELEASING
from cafe_sim.harness.oracle.safety import SAFETY
from cafe_sim.harness.oracle.sizing import SIZING

RULES: dict[str, str] = {
    **{rule.name: rule.sentence for rule in (*SAFETY, *RELEASING, *LEADING, *NATIVES, *SIZING, *CARRYING)},
    **{promise.name: promise.sentence for promise in LIVENESS},
    QUIET: "Once all promises are kept, nothing but leases is written.",
    ENDS: "The run neither deadlocks nor turns in circles at one instant.",
    NO_BUGS: "Nothing in the product raises or logs what it does not mean to.",
}
"""Names and sentences: safety first, then what must come true."""
