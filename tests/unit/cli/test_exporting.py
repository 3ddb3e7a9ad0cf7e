"""The way out: what CAFE runs, as plain Kubernetes objects that a server takes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cafe.cli.errors import Exit
from cafe.cli.ports import Document
from tests.unit.cli.conftest import Cafe
from tests.unit.cli.world import SmallCluster

SAMPLES = Path(__file__).parents[3] / "samples"
APP = """
apiVersion: apps.cafe.sofastack.io/v1alpha1
kind: CafeDeployment
metadata:
  name: web
  labels: {team: shop, cafe.sofastack.io/app-service: x}
  annotations: {cafe.sofastack.io/adopt: Deployment/web, note: mine}
  uid: "1"
  resourceVersion: "7"
spec:
  replicas: 10
  selector: {matchLabels: {app: web}}
  topology: {unitType: Cell, values: [cell-a, cell-b]}
  strategy: {maxUnavailable: 25%, progressDeadlineSeconds: 0}
  template:
    metadata: {labels: {app: web, cafe.sofastack.io/app: web}}
    spec:
      readinessGates: [{conditionType: cafe.sofastack.io/in-place-update-ready}, {conditionType: mine}]
      containers: [{name: app, image: "web:1"}]
status: {replicas: 10}
"""


def exported(cafe: Cafe, tmp_path: Path, text: str, cluster: SmallCluster | None = None) -> list[Document]:
    path = tmp_path / "in.yaml"
    path.write_text(text)
    result = cafe(cluster or SmallCluster(), "export", "-f", str(path))
    assert result.code == 0, result.err
    return [d for d in yaml.safe_load_all(result.out) if d]


def edited(text: str, **spec: Any) -> str:  # noqa: ANN401 -- any field
    body = yaml.safe_load(text)
    body["spec"] |= spec
    return yaml.safe_dump(body)


def test_an_application_becomes_a_deployment_and_says_what_it_loses(cafe: Cafe, tmp_path: Path) -> None:
    path = tmp_path / "in.yaml"
    path.write_text(APP)
    result = cafe(SmallCluster(), "export", "-f", str(path))
    (found,) = yaml.safe_load_all(result.out)
    assert (found["apiVersion"], found["kind"]) == ("apps/v1", "Deployment")
    assert found["metadata"] == {"name": "web", "labels": {"team": "shop"}, "annotations": {"note": "mine"}}
    spec = found["spec"]
    assert spec["progressDeadlineSeconds"] == 2**31 - 1
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 3}
    pod = spec["template"]
    assert pod["metadata"]["labels"] == {"app": "web"}
    assert pod["spec"]["readinessGates"] == [{"conditionType": "mine"}]
    (term,) = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert term["matchExpressions"][0]["values"] == ["cell-a", "cell-b"]
    assert [c["topologyKey"] for c in pod["spec"]["topologySpreadConstraints"]] == ["cafe.sofastack.io/cell"]
    assert "CafeDeployment web: not kept: Beta, groups" in result.err
    assert "updates in place" in result.err
    assert "cafe.sofastack.io/app" not in result.out


def test_a_label_of_ours_that_the_selector_names_is_kept(cafe: Cafe, tmp_path: Path) -> None:
    own = {"matchLabels": {"cafe.sofastack.io/app": "web"}}
    (found,) = exported(cafe, tmp_path, edited(APP, selector=own))
    assert found["spec"]["template"]["metadata"]["labels"]["cafe.sofastack.io/app"] == "web"


@pytest.mark.parametrize(
    ("replicas", "most", "away"), [(1, "25%", 1), (10, "25%", 3), (10, 2, 2), (0, "25%", 1), (3, "100%", 3)]
)
def test_a_budget_is_written_as_a_number_that_means_the_same(
    cafe: Cafe, tmp_path: Path, replicas: int, most: int | str, away: int
) -> None:
    (found,) = exported(cafe, tmp_path, edited(APP, replicas=replicas, strategy={"maxUnavailable": most}))
    assert found["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == away


def test_a_replica_set_keeps_its_surge(cafe: Cafe, tmp_path: Path) -> None:
    strategy = {"maxUnavailable": 0, "maxSurge": "50%"}
    (found,) = exported(cafe, tmp_path, edited(APP, podSetType="ReplicaSet", strategy=strategy))
    assert found["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": "50%", "maxUnavailable": 0}


def test_a_stateful_application_keeps_its_name_and_claims(cafe: Cafe, tmp_path: Path) -> None:
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    text = edited(APP, podSetType="StatefulSet", serviceName="web", volumeClaimTemplates=[claim])
    (found,) = exported(cafe, tmp_path, text)
    assert (found["kind"], found["spec"]["serviceName"]) == ("StatefulSet", "web")
    assert found["spec"]["volumeClaimTemplates"] == [claim]


def test_a_service_gives_back_all_that_belongs_to_it(cafe: Cafe, tmp_path: Path) -> None:
    body = yaml.safe_load((SAMPLES / "shop-service.yaml").read_text())
    body["spec"]["elasticity"] = {"replicas": 4, "autoscaling": {"maxReplicas": 9}}
    found = exported(cafe, tmp_path, yaml.safe_dump(body))
    by_kind = {d["kind"]: d for d in found}
    assert set(by_kind) >= {"Service", "PodDisruptionBudget", "HorizontalPodAutoscaler", "Deployment"}
    workload = by_kind["Deployment"]
    assert "replicas" not in workload["spec"], "the autoscaler decides"
    target = by_kind["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["apiVersion"], target["kind"]) == ("apps/v1", "Deployment")
    labels = workload["spec"]["template"]["metadata"]["labels"]
    chosen = by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
    assert chosen.items() <= labels.items()
    maps = {d["metadata"]["name"] for d in found if d["kind"] == "ConfigMap"}
    assert all(name in json.dumps(workload) for name in maps)
    assert "cafe.sofastack.io/app-service" not in json.dumps(found)


@pytest.mark.parametrize("sample", ["bookinfo.yaml", "online-boutique.yaml"])
def test_who_was_imported_leaves_as_who_came(cafe: Cafe, tmp_path: Path, sample: str) -> None:
    cluster = SmallCluster()
    assert cafe(cluster, "import", "-f", str(SAMPLES / sample)).code == 0
    found = exported(cafe, tmp_path, yaml.safe_dump_all(cluster.writes))
    came = [d for d in yaml.safe_load_all((SAMPLES / sample).read_text()) if d]
    assert [(d["kind"], d["metadata"]["name"]) for d in found] == [
        (d["kind"], d["metadata"]["name"]) for d in came
    ]
    for old, new in zip(came, found, strict=True):
        if old["kind"] == "Deployment":
            assert new["spec"]["template"] == old["spec"]["template"]
            assert new["spec"]["selector"] == old["spec"]["selector"]
            assert new["spec"]["replicas"] == old["spec"].get("replicas", 1)


def test_what_is_live_is_exported_a_service_by_its_live_revision(cafe: Cafe) -> None:
    service = yaml.safe_load((SAMPLES / "shop-service.yaml").read_text())
    name = service["metadata"]["name"]
    service["metadata"]["namespace"] = "default"
    content = {k: v for k, v in service["spec"].items() if k in {"selector", "template", "elasticity"}}
    content = json.loads(json.dumps(content))
    content["template"]["spec"]["containers"][0]["image"] = "what:runs"
    service["status"] = {"liveRevision": 2}
    revision = {
        "kind": "CafeAppRevision",
        "metadata": {"name": f"{name}-2", "namespace": "default"},
        "spec": {"service": name, "number": 2, "digest": "x", "content": content},
    }
    app = yaml.safe_load(APP)
    app["metadata"]["namespace"] = "default"
    cluster = SmallCluster(service, revision, app)
    result = cafe(cluster, "export")
    assert result.code == 0, result.err
    found = [d for d in yaml.safe_load_all(result.out) if d and d["kind"] == "Deployment"]
    images = {d["metadata"]["name"]: d["spec"]["template"]["spec"]["containers"][0]["image"] for d in found}
    assert images == {name: "what:runs", "web": "web:1"}
    assert not cluster.writes
    one = cafe(cluster, "export", "web", "-o", "json")
    assert [d["metadata"]["name"] for d in json.loads(one.out)["items"]] == ["web"]


@pytest.mark.parametrize(
    ("words", "text", "code", "told"),
    [
        (("nobody",), "", Exit.NOT_FOUND, "no application nobody"),
        ((), "", Exit.NOT_FOUND, "No application runs"),
        (("web", "-f", "FILE"), APP, Exit.USAGE, "Names are for what is live"),
        (("-f", "FILE"), "kind: InPlaceSet\nmetadata: {name: x}\n", Exit.USAGE, "made by CAFE itself"),
        (("-f", "FILE"), "", Exit.USAGE, "holds no document"),
        (("-f", "FILE"), edited(APP, replicas="many"), Exit.USAGE, "can't be read"),
        (("-f", "FILE"), edited(APP, strategy={"maxUnavailable": "lots"}), Exit.USAGE, "maxUnavailable"),
        (("-f", "FILE"), APP + "---\n: :\n", Exit.USAGE, "broken"),
    ],
    ids=["name", "nothing", "both", "ours", "empty", "spec", "budget", "yaml"],
)
def test_what_makes_no_sense_writes_nothing(
    cafe: Cafe, tmp_path: Path, words: tuple[str, ...], text: str, code: Exit, told: str
) -> None:
    path = tmp_path / "in.yaml"
    path.write_text(text)
    result = cafe(SmallCluster(), "export", *(str(path) if w == "FILE" else w for w in words))
    assert (result.code, result.out) == (code, "")
    assert told in result.err
