"""What a provider's status says of its processes."""

from cafe.api.shapes import Metadata
from cafe.api.trafficprovider import (
    ProviderReplica,
    ProviderType,
    TrafficProvider,
    TrafficProviderSpec,
    TrafficProviderStatus,
)
from cafe.traffic.domain.facts import ReplicaView
from cafe.traffic.domain.reporting import problems_of, provider_status


def a_provider(name: str = "edge") -> TrafficProvider:
    replicas = [ProviderReplica(name=n, address=f"{n}:9999") for n in ("left", "right")]
    spec = TrafficProviderSpec(type=ProviderType.HAPROXY, replicas=replicas)
    return TrafficProvider(spec=spec, metadata=Metadata(name=name, generation=3))


def told(status: TrafficProviderStatus) -> tuple[int, str, str]:
    return status.reachable, status.conditions[0].status, status.conditions[0].message


def test_all_processes_answer_once_each_has_been_met_without_a_problem() -> None:
    status = provider_status(a_provider(), {"left": "", "right": ""})
    assert told(status) == (2, "True", "All processes answer")
    assert status.observed_generation == 3


def test_a_process_that_was_not_met_yet_is_not_taken_for_well() -> None:
    assert told(provider_status(a_provider(), {"left": ""})) == (1, "False", "right: not asked yet")


def test_what_ails_the_provider_as_a_whole_is_said_once_and_of_every_process() -> None:
    status = provider_status(a_provider(), {"edge": "its secret is missing", "left": ""})
    assert told(status) == (0, "False", "its secret is missing")
    assert [replica.problem for replica in status.replicas] == ["its secret is missing"] * 2


def test_a_process_that_is_called_as_its_provider_speaks_for_itself_alone() -> None:
    status = provider_status(a_provider("left"), {"left": "no answer", "right": ""})
    assert told(status) == (1, "False", "left: no answer")


def test_a_process_that_lacks_one_pool_has_a_problem_whatever_it_says_of_others() -> None:
    lacking = ReplicaView("left", problem="no backend web")
    views = {"shop": [ReplicaView("left"), ReplicaView("right")], "web": [lacking, ReplicaView("right")]}
    assert problems_of(views) == {"left": "no backend web", "right": ""}


def test_one_problem_in_many_pools_is_said_once() -> None:
    gone = ReplicaView("left", problem="no answer")
    assert problems_of({"a": [gone], "b": [gone]}) == {"left": "no answer"}
