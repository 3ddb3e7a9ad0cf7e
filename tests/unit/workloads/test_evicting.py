"""Whether a pod may be evicted now."""

import pytest

from cafe.workloads.domain.budget import Budget
from cafe.workloads.domain.evicting import EvictionFact, why_not


@pytest.mark.parametrize(
    ("serves", "budget", "refused"),
    [
        pytest.param(True, Budget(1, 0), "", id="there is room"),
        pytest.param(True, Budget(0, 3), "maxUnavailable 25% of 10 pods", id="there is none"),
        pytest.param(True, None, "being changed this very moment", id="nobody knows yet"),
        pytest.param(False, Budget(0, 0), "", id="it serves nobody"),
        pytest.param(False, None, "", id="it serves nobody, whatever happens elsewhere"),
    ],
)
def test_an_eviction_takes_what_the_budget_leaves(serves: bool, budget: Budget | None, refused: str) -> None:  # noqa: FBT001 -- a table
    why = why_not(EvictionFact("shop/web-1", "web", serves, budget, "25%", 10))
    if not refused:
        assert why is None
        return
    assert why is not None
    assert why.startswith("Pod shop/web-1 can't be evicted now.")
    assert refused in why
    assert why.endswith("kubectl drain does.")
