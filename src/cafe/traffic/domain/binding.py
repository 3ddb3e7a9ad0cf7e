"""What a binding's status says, and when a binding may go."""

from collections.abc import Mapping, Sequence

from cafe.api.shapes import Condition
from cafe.api.trafficbinding import EmployerStatus, TrafficBinding, TrafficBindingStatus
from cafe.kernel import Refusal
from cafe.traffic.domain.facts import Employer


def binding_status(
    binding: TrafficBinding,
    employers: Sequence[Employer],
    protected: Mapping[str, int],
    refusal: Refusal | None,
) -> TrafficBindingStatus:
    """Return the status of a binding.

    A retired employer is told of until no pod is protected by it: the status is what remembers it. Of the
    others no pods are counted, or each pod that is released would cost a write here, too.

    Args:
        binding: The binding.
        employers: Its pools, retired ones included.
        protected: By finalizer, how many pods carry it.
        refusal: Why it can't be followed, or None.
    """
    is_news = refusal is None or bool(binding.status.employers)
    told = [
        EmployerStatus(
            name=e.name,
            finalizer=e.finalizer,
            provider=e.provider,
            pool=e.pool.name,
            port=e.pool.port,
            retired=e.is_retired,
            left=protected.get(e.finalizer, 0) if e.is_retired else 0,
        )
        for e in employers
        if is_news and (not e.is_retired or protected.get(e.finalizer))
    ]
    accepted = Condition(
        type="Accepted",
        status="True" if refusal is None else "False",
        reason=refusal.code if refusal is not None else "Valid",
        message=str(refusal) if refusal is not None else "No pod is touched before its traffic is gone",
        observed_generation=binding.metadata.generation,
    )
    return TrafficBindingStatus(
        observed_generation=binding.metadata.generation, employers=told, conditions=[accepted]
    )


def is_free(status: TrafficBindingStatus) -> bool:
    """Whether no pod is protected by any pool of a binding that is going, so that it may."""
    return not any(told.left for told in status.employers)
