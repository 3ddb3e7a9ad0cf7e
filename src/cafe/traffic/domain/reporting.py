"""What a provider's status says: which of its processes answer."""

from collections.abc import Mapping, Sequence

from cafe.api.shapes import Condition
from cafe.api.trafficprovider import ReplicaStatus, TrafficProvider, TrafficProviderStatus
from cafe.traffic.domain.facts import ReplicaView

REACHABLE = "Reachable"
UNASKED = "not asked yet"


def problems_of(views: Mapping[str, Sequence[ReplicaView]]) -> dict[str, str]:
    """Return by process what is wrong with it; empty for one with which nothing is.

    A process may lack one pool only, and be well for all others: that counts, since no pod of that pool is
    touched as long as it is so.

    Args:
        views: By pool, each process as it was read back.
    """
    found: dict[str, dict[str, None]] = {}
    for _, pool in sorted(views.items()):
        for view in pool:
            told = found.setdefault(view.name, {})
            if view.problem:
                told[view.problem] = None
    return {name: "; ".join(told) for name, told in found.items()}


def provider_status(provider: TrafficProvider, problems: Mapping[str, str]) -> TrafficProviderStatus:
    """Return the status of a provider.

    What concerns no process in particular (a secret that is missing, an adapter that is not there) is told
    under the provider's own name, and none of its processes is reached then.
    """
    names = [replica.name for replica in provider.spec.replicas]
    whole = "" if provider.metadata.name in names else problems.get(provider.metadata.name, "")
    told = {name: whole or problems.get(name, UNASKED) for name in names}
    lacking = {name: problem for name, problem in told.items() if problem}
    message = whole or "; ".join(f"{name}: {problem}" for name, problem in lacking.items())
    reachable = Condition(
        type=REACHABLE,
        status="False" if lacking else "True",
        reason="Unreachable" if lacking else "Answering",
        message=message or "All processes answer",
        observed_generation=provider.metadata.generation,
    )
    return TrafficProviderStatus(
        observed_generation=provider.metadata.generation,
        reachable=len(names) - len(lacking),
        replicas=[ReplicaStatus(name=name, problem=problem) for name, problem in told.items()],
        conditions=[reachable],
    )
