"""Manifests go in whole or not at all, and each field is accounted for."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from cafe.api.names import API_VERSION
from cafe.cli.errors import Exit, Problem
from cafe.cli.ports import Document, Resource
from cafe.kernel import Conflict, Refusal, Unavailable
from tests.unit.cli.conftest import Cafe
from tests.unit.cli.world import SmallCluster

BOOKINFO = Path(__file__).parents[3] / "samples" / "bookinfo.yaml"

GOOD = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  progressDeadlineSeconds: 60
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1"}]}
"""


def manifest(path: Path, text: str) -> str:
    file = path / "m.yaml"
    file.write_text(text)
    return str(file)


def test_bookinfo_becomes_six_cafedeployments_and_the_rest_stays(cafe: Cafe) -> None:
    cluster = SmallCluster()
    result = cafe(
        cluster,
        "import",
        "-f",
        str(BOOKINFO),
        "--cells",
        "cell-a,cell-b",
        "--replicas",
        "productpage-v1=10",
        "--batch-size",
        "4",
        "--need-confirm",
    )
    assert result.code == 0, result.err
    kinds = [w["kind"] for w in cluster.writes]
    assert kinds.count("CafeDeployment") == 6
    assert len(kinds) == 14
    spec = cluster.at("CafeDeployment", "productpage-v1")["spec"]
    assert spec["replicas"] == 10
    assert spec["topology"] == {"unitType": "Cell", "values": ["cell-a", "cell-b"]}
    assert spec["strategy"] == {"batchSize": 4, "needWaitingForConfirm": True}
    assert spec["template"]["metadata"]["annotations"]["prometheus.io/scrape"] == "true"


def test_what_does_not_map_is_said_with_the_reason(cafe: Cafe, tmp_path: Path) -> None:
    result = cafe(SmallCluster(), "import", "-f", manifest(tmp_path, GOOD), "--dry-run")
    lines = {line.split()[0]: line for line in result.out.splitlines() if line.startswith("  spec")}
    assert "updated in place" in lines["spec.strategy.rollingUpdate.maxSurge"]
    assert "changed" in lines["spec.strategy.rollingUpdate.maxUnavailable"]


def test_a_dry_run_applies_nothing(cafe: Cafe, tmp_path: Path) -> None:
    cluster = SmallCluster()
    assert cafe(cluster, "import", "-f", manifest(tmp_path, GOOD), "--dry-run").code == 0
    assert cluster.writes == []


START = len(GOOD.splitlines()) + 2
"""The line on which a document behind GOOD begins."""

DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: "
PODS = "{metadata: {labels: {a: c}}, spec: {containers: [{name: x, image: y}]}}"

BROKEN = {
    "no YAML": ("a: [1", START + 1, "BrokenDocument"),
    "a list": ("- a", START, "It is no mapping"),
    "twice": ("kind: A\nkind: B", START + 1, "appears twice"),
    "no kind": ("apiVersion: v1\nmetadata: {name: x}", START, "It has no kind"),
    "no name": ("apiVersion: v1\nkind: Service\nmetadata: {}", START, "It has no metadata.name"),
    "the same": ("apiVersion: v1\nkind: Service\nmetadata: {name: web}", START, "the same object"),
    "no containers": (
        DEPLOYMENT + "{selector: {matchLabels: {a: b}}, template: {spec: {}}}",
        START,
        "has no containers",
    ),
    "another selector": (
        DEPLOYMENT + f"{{selector: {{matchLabels: {{a: b}}}}, template: {PODS}}}",
        START,
        "which spec.template.metadata.labels lacks",
    ),
    "replicas": (
        DEPLOYMENT + f"{{replicas: -1, selector: {{matchLabels: {{a: c}}}}, template: {PODS}}}",
        START,
        "is no count",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_broken_document_refuses_all_by_number_and_line(cafe: Cafe, tmp_path: Path, name: str) -> None:
    text, line, said = BROKEN[name]
    cluster = SmallCluster()
    result = cafe(cluster, "import", "-f", manifest(tmp_path, f"{GOOD}---\n{text}\n"))
    assert result.code in {1, 2}
    error = result.err.splitlines()[0]
    assert "Document 3 of" in error
    assert f"line {line}" in error
    assert "nothing was applied" in error
    assert said in result.err
    assert cluster.writes == []


def test_an_object_that_the_server_refuses_stops_all_before_the_first_write(
    cafe: Cafe, tmp_path: Path
) -> None:
    cluster = SmallCluster()
    cluster.refused["web"] = Refusal("Invalid", "spec.ports[0].port: Invalid value")
    result = cafe(cluster, "import", "-f", manifest(tmp_path, GOOD))
    assert result.code == 1
    assert "(Service/web)" in result.err
    assert "Invalid value" in result.err
    assert cluster.writes == []


class MovingCluster(SmallCluster):
    """Takes a dry run, and has another opinion of one object when it comes to it."""

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__()
        self.late = (name, error)

    async def apply(self, document: Document, *, dry_run: bool = False, force: bool = False) -> Document:
        name, error = self.late
        if not dry_run and document["metadata"]["name"] == name:
            raise error
        return await super().apply(document, dry_run=dry_run, force=force)


THREE = f"{GOOD}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: late}}\n"


def test_when_the_server_changes_its_mind_halfway_what_stands_is_named(cafe: Cafe, tmp_path: Path) -> None:
    cluster = MovingCluster("late", Refusal("Forbidden", "exceeded quota"))
    file = manifest(tmp_path, THREE)
    result = cafe(cluster, "import", "-f", file)
    assert result.code == 5
    what, why, do = result.err.splitlines()
    assert f"Document 3 of {file}, line {START} (ConfigMap/late) is refused" in what
    assert what.endswith("these before it were applied and stay: Service/web, CafeDeployment/web.")
    assert "nothing was applied" not in what
    assert "exceeded quota" in why
    assert "repeating applies the same objects again" in do


def test_an_answer_that_never_came_is_not_called_a_refusal(cafe: Cafe, tmp_path: Path) -> None:
    cluster = MovingCluster("web", Unavailable("connection reset", is_outcome_known=False))
    result = cafe(cluster, "import", "-f", manifest(tmp_path, GOOD))
    assert result.code == 1
    assert "may have been applied or not; nothing before it was applied." in result.err
    assert "UnknownOutcome" in result.err


def test_progress_is_for_those_who_watch(cafe: Cafe, tmp_path: Path) -> None:
    result = cafe(SmallCluster(), "import", "-f", manifest(tmp_path, GOOD))
    assert result.code == 0
    assert "[1/2]" not in result.err


def test_a_document_that_is_a_cafedeployment_already_is_applied_and_so_judged_by_the_server(
    cafe: Cafe, tmp_path: Path
) -> None:
    text = (
        f"apiVersion: {API_VERSION}\nkind: CafeDeployment\nmetadata: {{name: own}}\nspec: {{replicas: 1}}\n"
    )
    cluster = SmallCluster()
    assert cafe(cluster, "import", "-f", manifest(tmp_path, f"{GOOD}---\n{text}")).code == 0
    assert cluster.at("CafeDeployment", "own")["spec"] == {"replicas": 1}
    refusing = SmallCluster()
    refusing.refused["own"] = Refusal("Invalid", "batchSize must be at least 1")
    assert cafe(refusing, "import", "-f", manifest(tmp_path, f"{GOOD}---\n{text}")).code == 1
    assert refusing.writes == []


def test_fields_of_another_manager_are_a_conflict_with_the_way_out(cafe: Cafe, tmp_path: Path) -> None:
    cluster = SmallCluster()
    cluster.refused["web"] = Conflict("conflict with kubectl: .spec.ports")
    result = cafe(cluster, "import", "-f", manifest(tmp_path, GOOD))
    assert result.code == 6
    assert "--force-conflicts" in result.err


def test_what_cafe_does_not_take_over_is_left_out_with_code_9(cafe: Cafe, tmp_path: Path) -> None:
    text = f"{GOOD}---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {{name: agent}}\n"
    cluster = SmallCluster()
    result = cafe(cluster, "import", "-f", manifest(tmp_path, text))
    assert result.code == 9
    assert "left out" in result.out
    assert {w["kind"] for w in cluster.writes} == {"Service", "CafeDeployment"}


def test_an_autoscaler_follows_its_deployment(cafe: Cafe, tmp_path: Path) -> None:
    text = (
        f"{GOOD}---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: web}}\n"
        "spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}\n"
    )
    cluster = SmallCluster()
    assert cafe(cluster, "import", "-f", manifest(tmp_path, text)).code == 0
    target = cluster.at("HorizontalPodAutoscaler", "web")["spec"]["scaleTargetRef"]
    assert target["kind"] == "CafeDeployment"


def test_a_deployment_that_still_runs_is_pointed_out(cafe: Cafe, tmp_path: Path) -> None:
    running = {"kind": "Deployment", "metadata": {"name": "web", "namespace": "default"}}
    result = cafe(SmallCluster(running), "import", "-f", manifest(tmp_path, GOOD))
    assert "kubectl delete deployment web -n default" in result.err


def test_what_the_server_had_written_is_not_applied_again(cafe: Cafe, tmp_path: Path) -> None:
    documents = list(yaml.safe_load_all(GOOD))
    documents[1]["metadata"] |= {"uid": "u", "resourceVersion": "7", "managedFields": []}
    documents[1]["status"] = {"replicas": 3}
    cluster = SmallCluster()
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": documents})
    assert cafe(cluster, "import", "-f", manifest(tmp_path, text)).code == 0
    written = cluster.writes[1]
    assert written["metadata"] == {"name": "web", "namespace": "default"}
    assert "status" not in written


@pytest.mark.parametrize(
    "arguments",
    [["--replicas", "nobody=3"], ["--replicas", "web"], ["--cells", "a", "--zones", "b"], ["--cells", "a,a"]],
)
def test_options_that_do_not_fit_are_refused(cafe: Cafe, tmp_path: Path, arguments: list[str]) -> None:
    cluster = SmallCluster()
    result = cafe(cluster, "import", "-f", manifest(tmp_path, GOOD), *arguments)
    assert result.code in {1, 2}
    assert cluster.writes == []


def running(name: str = "web", *cells: str) -> list[Document]:
    """Return a Deployment as the server holds it, with one pod in each of *cells*."""
    (deployment,) = (d for d in yaml.safe_load_all(GOOD) if d["kind"] == "Deployment")
    deployment["metadata"] |= {"name": name, "namespace": "default"}
    nodes = [
        {"kind": "Node", "metadata": {"name": f"node-{c}", "labels": {"cafe.sofastack.io/cell": c}}}
        for c in sorted(set(cells))
    ]
    pods = [
        {
            "kind": "Pod",
            "metadata": {"name": f"{name}-{n}", "namespace": "default", "labels": {"app": "web"}},
            "spec": {"nodeName": f"node-{cell}"},
        }
        for n, cell in enumerate(cells)
    ]
    return [deployment, *nodes, *pods]


def test_running_pods_are_adopted_where_they_are(cafe: Cafe) -> None:
    cluster = SmallCluster(*running("web", "a", "a", "a", "b"))
    result = cafe(cluster, "import", "--live", "--adopt", "--cells", "a,b")
    assert result.code == 0, result.err
    made = cluster.at("CafeDeployment", "web")
    assert made["metadata"]["annotations"] == {"cafe.sofastack.io/adopt": "Deployment/web"}
    assert made["spec"]["replicas"] == 4
    assert made["spec"]["topology"]["unitReplicas"] == {"a": 3, "b": 1}
    assert "taken over without a restart" in result.out
    assert "kubectl delete deployment" not in result.err


def test_pods_outside_the_units_are_not_adopted(cafe: Cafe) -> None:
    cluster = SmallCluster(*running("web", "a", "c"))
    result = cafe(cluster, "import", "--live", "--adopt", "--cells", "a,b")
    assert result.code == 6
    assert "run outside the units" in result.err
    assert not cluster.writes


def test_live_objects_are_chosen_by_name_with_their_autoscalers(cafe: Cafe) -> None:
    scaler = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "s", "namespace": "default"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
    }
    cluster = SmallCluster(*running("web"), *running("shop"), scaler)
    assert cafe(cluster, "import", "--live", "web").code == 0
    assert [w["kind"] for w in cluster.writes] == ["CafeDeployment", "HorizontalPodAutoscaler"]
    assert cluster.at("HorizontalPodAutoscaler", "s")["spec"]["scaleTargetRef"]["kind"] == "CafeDeployment"


@pytest.mark.parametrize("arguments", [[], ["--live", "-f", "-"], ["web", "-f", "-"], ["--live", "nobody"]])
def test_what_is_to_be_taken_over_must_be_said(cafe: Cafe, arguments: list[str]) -> None:
    cluster = SmallCluster()
    assert cafe(cluster, "import", *arguments).code in {2, 3}
    assert not cluster.writes


DATABASE = """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 3
  serviceName: db
  podManagementPolicy: OrderedReady
  minReadySeconds: 5
  revisionHistoryLimit: 4
  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Delete}
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "db:1"}]}
  volumeClaimTemplates:
  - metadata: {name: data, creationTimestamp: null}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
    status: {phase: Pending}
"""


def test_a_stateful_set_keeps_its_volumes_and_is_released_in_groups(cafe: Cafe, tmp_path: Path) -> None:
    cluster = SmallCluster()
    result = cafe(cluster, "import", "-f", manifest(tmp_path, DATABASE))
    assert result.code == 0, result.err
    spec = cluster.at("CafeDeployment", "db")["spec"]
    assert (spec["podSetType"], spec["replicas"], spec["serviceName"], spec["historyLimit"]) == (
        "StatefulSet", 3, "db", 4,
    )  # fmt: skip
    assert spec["strategy"] == {"minReadySeconds": 5, "maxUnavailable": 1}
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Delete"}
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["metadata"] == {"name": "data"}
    assert "status" not in claim
    assert "Groups take its place" in result.out
    assert "in parallel within a group" in result.out


def test_the_stateful_set_that_still_holds_the_name_is_pointed_out(cafe: Cafe, tmp_path: Path) -> None:
    old = {"kind": "StatefulSet", "metadata": {"name": "db", "namespace": "default"}}
    for more in ([], ["--cells", "a,b"]):
        result = cafe(SmallCluster(old), "import", "-f", manifest(tmp_path, DATABASE), *more)
        assert "kubectl delete statefulset db -n default" in result.err


def test_pods_that_are_replaced_may_come_before_the_old_ones(cafe: Cafe, tmp_path: Path) -> None:
    cluster = SmallCluster()
    assert cafe(cluster, "import", "-f", manifest(tmp_path, GOOD), "--pod-set", "ReplicaSet").code == 0
    spec = cluster.at("CafeDeployment", "web")["spec"]
    assert spec["podSetType"] == "ReplicaSet"
    assert (spec["strategy"]["maxSurge"], spec["strategy"]["maxUnavailable"]) == (1, 0)


def test_what_needs_pods_that_stay_is_refused_with_replica_sets(cafe: Cafe, tmp_path: Path) -> None:
    cluster = SmallCluster()
    for asked in (["--adopt"], ["--grace-period", "5"]):
        words = ["import", "-f", manifest(tmp_path, GOOD), "--pod-set", "ReplicaSet", *asked]
        assert cafe(cluster, *words).code == 2
    assert not cluster.writes


def test_live_stateful_sets_are_taken_too_but_none_of_cafe_s_own(cafe: Cafe) -> None:
    (database,) = yaml.safe_load_all(DATABASE)
    database["metadata"] |= {"namespace": "default"}
    made = yaml.safe_load(DATABASE)
    made["metadata"] |= {"name": "ours", "namespace": "default"}
    made["metadata"]["ownerReferences"] = [{"kind": "CafeDeployment", "name": "ours", "controller": True}]
    cluster = SmallCluster(database, made)
    assert cafe(cluster, "import", "--live").code == 0
    assert [w["metadata"]["name"] for w in cluster.writes] == ["db"]
    refused = cafe(cluster, "import", "--live", "statefulset/ours")
    assert refused.code == 6
    assert "is CAFE's own" in refused.err


def test_a_deployment_and_a_stateful_set_of_one_name_are_refused(cafe: Cafe, tmp_path: Path) -> None:
    twins = GOOD + "---\n" + DATABASE.replace("{name: db}\nspec", "{name: web}\nspec")
    cluster = SmallCluster()
    result = cafe(cluster, "import", "-f", manifest(tmp_path, twins))
    assert result.code != 0
    assert "the same CafeDeployment" in result.err
    assert not cluster.writes


def test_online_boutique_is_imported_whole(cafe: Cafe) -> None:
    cluster = SmallCluster()
    shop = BOOKINFO.with_name("online-boutique.yaml")
    result = cafe(cluster, "import", "-f", str(shop), "--cells", "cell-a,cell-b")
    assert result.code == 0, result.err
    asked = [d["kind"] for d in yaml.safe_load_all(shop.read_text()) if d]
    applied = [w["kind"] for w in cluster.writes]
    assert applied == ["CafeDeployment" if kind == "Deployment" else kind for kind in asked]
    assert applied.count("CafeDeployment") == 12
    assert "left out" not in result.out


def test_a_server_without_autoscalers_has_live_deployments_all_the_same(cafe: Cafe) -> None:
    class Plain(SmallCluster):
        async def list(
            self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
        ) -> Sequence[Document]:
            if resource.kind == "HorizontalPodAutoscaler":
                raise Problem(Exit.FAILURE, "NoKind", "The server does not know horizontalpodautoscalers.")
            return await super().list(resource, namespace, labels=labels, fields=fields)

    cluster = Plain(*running("web"))
    assert cafe(cluster, "import", "--live").code == 0
    assert [w["kind"] for w in cluster.writes] == ["CafeDeployment"]
