"""All kinds of faults, by name."""

from cafe_sim.harness.faults.balancers import BALANCER_FAULTS
from cafe_sim.harness.faults.humans import HUMAN_FAULTS
from cafe_sim.harness.faults.kinds import FaultKind
from cafe_sim.harness.faults.nodes import NODE_FAULTS
from cafe_sim.harness.faults.processes import PROCESS_FAULTS
from cafe_sim.harness.faults.requests import REQUEST_FAULTS
from cafe_sim.harness.faults.watches import WATCH_FAULTS

CATALOGUE: dict[str, FaultKind] = {
    kind.name: kind
    for kind in (
        *REQUEST_FAULTS,
        *WATCH_FAULTS,
        *PROCESS_FAULTS,
        *NODE_FAULTS,
        *HUMAN_FAULTS,
        *BALANCER_FAULTS,
    )
}
