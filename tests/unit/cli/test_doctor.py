"""What the doctor finds, and what it says to do."""

import json
from datetime import timedelta
from typing import Any

import pytest

from cafe.api.crd import DECLARATIONS, crd_of
from cafe.api.names import CELL_LABEL
from cafe.cli.commands.doctor import LEASE, REVIEWS, holds
from tests.unit.cli.conftest import Cafe
from tests.unit.cli.world import NOW, SmallCluster


def crds() -> list[dict[str, Any]]:
    """Return the kinds as a server holds them: with defaults of its own."""
    found = [crd_of(declaration) for declaration in DECLARATIONS]
    for crd in found:
        crd["spec"]["conversion"] = {"strategy": "None"}
    return found


def lease(age: timedelta, holder: str = "controller-1") -> dict[str, Any]:
    return {
        "kind": "Lease",
        "metadata": {"name": LEASE.name, "namespace": LEASE.namespace},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": 15,
            "renewTime": (NOW - age).isoformat().replace("+00:00", "Z"),
        },
    }


def node(name: str, cell: str = "") -> dict[str, Any]:
    return {"kind": "Node", "metadata": {"name": name, "labels": {CELL_LABEL: cell} if cell else {}}}


def healthy() -> SmallCluster:
    return SmallCluster(*crds(), lease(timedelta(seconds=2)), node("n1", "cell-a"), node("n2", "cell-b"))


def findings(cafe: Cafe, cluster: SmallCluster) -> dict[str, dict[str, str]]:
    result = cafe(cluster, "doctor", "-o", "json")
    return {finding["check"]: finding for finding in json.loads(result.out)["items"]}


def test_a_healthy_cluster_is_all_ok(cafe: Cafe) -> None:
    found = findings(cafe, healthy())
    del found["kubectl"]
    assert {finding["verdict"] for finding in found.values()} == {"ok"}
    assert found["nodes"]["message"] == "2 nodes; cells cell-a: 1, cell-b: 1"
    assert cafe(healthy(), "doctor").code == 0


@pytest.mark.parametrize(
    ("change", "check", "said"),
    [
        (lambda c: c.objects.clear(), "kinds", "not installed"),
        (lambda c: c.store(lease(timedelta(minutes=5))), "controller", "silent for 5m"),
        (lambda c: c.store(lease(timedelta(0), "")), "controller", "Nobody holds"),
        (lambda c: c.answers.update({REVIEWS: {"status": {"allowed": False}}}), "rights", "May not get"),
        (lambda c: c.answers.clear(), "server", "no answer"),
    ],
    ids=["no kinds", "silent controller", "no holder", "no rights", "no server"],
)
def test_each_fault_fails_its_own_check_and_says_what_to_do(
    cafe: Cafe,
    change: Any,  # noqa: ANN401 -- some edit of the cluster
    check: str,
    said: str,
) -> None:
    cluster = healthy()
    change(cluster)
    found = findings(cafe, cluster)
    assert found[check]["verdict"] == "fail"
    assert said in found[check]["message"]
    assert found[check]["do"]
    assert cafe(cluster, "doctor").code == 1


def test_nodes_without_cells_are_a_warning_only(cafe: Cafe) -> None:
    cluster = SmallCluster(*crds(), lease(timedelta(0)), node("n1"))
    assert findings(cafe, cluster)["nodes"]["verdict"] == "warn"
    assert cafe(cluster, "doctor").code == 0


def test_kinds_of_another_version_are_found() -> None:
    (declaration,) = (d for d in DECLARATIONS if d.kind == "CafeDeployment")
    wanted = crd_of(declaration)["spec"]
    other = json.loads(json.dumps(wanted))
    assert holds(other, wanted)
    other["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"].pop("replicas")
    assert not holds(other, wanted)
