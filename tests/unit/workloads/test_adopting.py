"""What an adoption does next, from what is there alone."""

import msgspec
import pytest

from cafe.api.cafedeployment import CafeDeployment, PodSetType, Waiting
from cafe.api.strategy import CafeDeploymentStrategy
from cafe.kernel import Refusal
from cafe.workloads.domain.adopting import (
    ADOPTING,
    AdoptionView,
    GiveUp,
    OldDeployment,
    OldPod,
    OldSet,
    Thing,
    decide_adoption,
)
from cafe.workloads.domain.podsets.kinds import demand_limits
from tests.unit.workloads.releaseworld import application

TEMPLATE = msgspec.to_builtins(application().spec.template)
OLD = OldDeployment(Thing("old", "u", "1"), {"app": "shop"}, TEMPLATE)
SETS = (OldSet(Thing("old-1", "s", "1"), "1", TEMPLATE),)
PODS = (OldPod(Thing("p", "p", "1"), "1", "a", is_owned=True),)


def begun(app: CafeDeployment) -> CafeDeployment:
    waiting = Waiting(reason=ADOPTING)
    return msgspec.structs.replace(app, status=msgspec.structs.replace(app.status, waiting=waiting))


def test_nothing_is_given_up_before_the_status_says_so() -> None:
    app, view = application(1, units="a"), AdoptionView(OLD, SETS, PODS, TEMPLATE)
    first = decide_adoption(app, view, {"a": 1}, str)
    assert (first.actions, first.is_done) == ((), False)
    second = decide_adoption(begun(app), view, {"a": 1}, str)
    assert second.actions == (GiveUp("Deployment", OLD.thing),)


def test_what_is_already_going_is_waited_for() -> None:
    going = OldDeployment(Thing("old", "u", "2", is_leaving=True), OLD.labels, OLD.template)
    decided = decide_adoption(
        begun(application(1, units="a")), AdoptionView(going, SETS, PODS, {}), {"a": 1}, str
    )
    assert (decided.actions, decided.is_done) == ((), False)


@pytest.mark.parametrize(
    "strategy",
    [{"max_unavailable": 0}, {"max_unavailable": "0%"}, {"max_unavailable": "x"}, {"max_surge": -1}],
)
def test_limits_of_native_sets_that_let_nothing_happen_are_refused_by_the_code_too(
    strategy: dict[str, int | str],
) -> None:
    app = application(4, units="a")
    for kind in (PodSetType.REPLICA_SET, PodSetType.STATEFUL_SET):
        spec = msgspec.structs.replace(
            app.spec,
            pod_set_type=kind,
            strategy=CafeDeploymentStrategy(**strategy),  # type: ignore[arg-type]
        )
        with pytest.raises(Refusal):
            demand_limits(msgspec.structs.replace(app, spec=spec))
