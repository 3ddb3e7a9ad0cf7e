"""What a new pod of a set has beside its template."""

from typing import Any

import msgspec

from cafe.api.inplaceset import InPlaceSet, InPlaceSetSpec
from cafe.api.names import TRAFFIC_GATE, UPDATE_GATE
from cafe.api.shapes import LabelSelector, Metadata, PodTemplate
from cafe.workloads.domain.facts import RevisionFact
from cafe.workloads.domain.pods import render_pod
from cafe.workloads.domain.scaling import Creation
from tests.unit.workloads.facts import template

HOSTS = "kubernetes.io/hostname"


def rendered(**spec: Any) -> dict[str, Any]:  # noqa: ANN401 -- any field
    held = template(**spec)
    owner = InPlaceSet(
        metadata=Metadata(name="web", namespace="shop", uid="1"),
        spec=InPlaceSetSpec(
            selector=LabelSelector(match_labels={"app": "web"}), template=msgspec.convert(held, PodTemplate)
        ),
    )
    pod = render_pod(owner, Creation("web-1", "aaaa"), RevisionFact("web-aaaa", "aaaa", 1, held))
    found: dict[str, Any] = pod["spec"]
    return found


def test_a_pod_has_our_gate_once_beside_its_own() -> None:
    gates = rendered(readinessGates=[{"conditionType": UPDATE_GATE}, {"conditionType": "mine"}])
    assert [g["conditionType"] for g in gates["readinessGates"]] == ["mine", UPDATE_GATE, TRAFFIC_GATE]


def test_a_pod_wishes_to_be_spread_over_the_nodes_but_runs_where_it_can() -> None:
    (wish,) = rendered()["topologySpreadConstraints"]
    assert (wish["topologyKey"], wish["maxSkew"], wish["whenUnsatisfiable"]) == (HOSTS, 1, "ScheduleAnyway")
    assert wish["labelSelector"] == {"matchLabels": {"app": "web"}}


def test_what_a_template_says_of_hosts_stands_alone() -> None:
    own = {"topologyKey": HOSTS, "maxSkew": 3, "whenUnsatisfiable": "DoNotSchedule"}
    zone = {"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
    assert rendered(topologySpreadConstraints=[own])["topologySpreadConstraints"] == [own]
    both = rendered(topologySpreadConstraints=[zone])["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in both] == [zone["topologyKey"], HOSTS]
