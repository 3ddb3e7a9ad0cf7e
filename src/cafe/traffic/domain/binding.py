"""What a binding's status says, and when a binding may go."""

from collections.abc import Mapping, Sequence

import msgspec

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

    A retired employer is told of until no pod is protected by it: the status is what remembers it.

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
            protected=protected.get(e.finalizer, 0),
            retired=e.is_retired,
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
    """Whether no pod is protected by any pool of a binding, so that it may go."""
    return not any(told.protected for told in status.employers)


def is_changed(old: TrafficBindingStatus, new: TrafficBindingStatus) -> bool:
    """Whether a status says anything new, but for the times of its conditions."""
    return _plain(old) != _plain(new)


def _plain(status: TrafficBindingStatus) -> TrafficBindingStatus:
    told = [msgspec.structs.replace(c, last_transition_time=msgspec.UNSET) for c in status.conditions]
    return msgspec.structs.replace(status, conditions=told)
