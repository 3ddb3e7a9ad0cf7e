"""A team can leave: plain objects on stdout, what is lost on stderr, and nothing half."""

import io
import json
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import yaml

from cafe.api.names import API_VERSION, APP_LABEL, UNIT_LABEL
from cafe.cli.errors import Exit, Problem
from cafe.cli.ports import Cluster, Document, Resource, Whereabouts
from tests.unit.cli.conftest import Cafe, Result
from tests.unit.cli.world import NAME, SmallCluster, SmallWiring, an_app, releasing
from tests.unit.workloads.applications import app

SAMPLES = Path(__file__).parents[3] / "samples"


class Islanded(SmallWiring):
    """No cluster is anywhere."""

    def __init__(self) -> None:
        super().__init__(SmallCluster())

    def connect(self, whereabouts: Whereabouts) -> AbstractAsyncContextManager[SmallCluster]:
        raise AssertionError(f"nobody was to be asked: {whereabouts}")


def file_of(folder: Path, *documents: Document) -> str:
    path = folder / "m.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return str(path)


def plain(result: Result) -> list[Document]:
    assert result.code == 0, result.err
    return [document for document in yaml.safe_load_all(result.out) if document]


def scaler(kind: str = "CafeDeployment", name: str = "web") -> Document:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "s", "namespace": "default"},
        "spec": {"scaleTargetRef": {"apiVersion": API_VERSION, "kind": kind, "name": name}},
    }


# From files


def test_files_are_exported_without_asking_any_cluster(cafe: Cafe, tmp_path: Path) -> None:
    (found,) = plain(cafe(Islanded(), "export", "-f", file_of(tmp_path, app())))
    assert (found["kind"], found["apiVersion"], found["metadata"]["name"]) == ("Deployment", "apps/v1", "web")


def test_the_standard_input_is_a_file_too(cafe: Cafe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(yaml.safe_dump(app())))
    assert [d["kind"] for d in plain(cafe(Islanded(), "export", "-f", "-"))] == ["Deployment"]


def test_json_is_one_list(cafe: Cafe, tmp_path: Path) -> None:
    result = cafe(Islanded(), "export", "-o", "json", "-f", file_of(tmp_path, app(), app("other")))
    whole = json.loads(result.out)
    assert (whole["kind"], len(whole["items"])) == ("List", 2)


def test_what_is_plain_already_passes_without_what_a_server_wrote(cafe: Cafe, tmp_path: Path) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "uid": "u", "labels": {"cafe.sofastack.io/app-service": "web"}},
        "spec": {"clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"], "ports": [{"port": 80}]},
        "status": {"loadBalancer": {}},
    }
    headless = {**service, "metadata": {"name": "h", "uid": "u"}, "spec": {"clusterIP": "None"}}
    found = plain(cafe(Islanded(), "export", "-n", "bank", "-f", file_of(tmp_path, service, headless)))
    assert found[0] == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "bank"},
        "spec": {"ports": [{"port": 80}]},
    }
    assert found[1]["spec"] == {"clusterIP": "None"}


def test_a_namespace_is_written_only_if_one_is_asked_for(cafe: Cafe, tmp_path: Path) -> None:
    made = app()
    del made["metadata"]["namespace"]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}}
    file = file_of(tmp_path, made, role)
    assert [d["metadata"] for d in plain(cafe(Islanded(), "export", "-f", file))] == [
        {"name": "web"},
        {"name": "r"},
    ]
    deployment, same = plain(cafe(Islanded(), "export", "-n", "bank", "-f", file))
    assert deployment["metadata"]["namespace"] == "bank"
    assert "namespace" not in same["metadata"]


def test_each_loss_is_told_once_with_all_whom_it_concerns(cafe: Cafe, tmp_path: Path) -> None:
    result = cafe(Islanded(), "export", "-f", file_of(tmp_path, app(), app("other")))
    (line,) = (one for one in result.err.splitlines() if "groups are lost" in one)
    assert line.startswith("warning: spec.strategy: ")
    assert line.endswith("(CafeDeployment/web, CafeDeployment/other)")
    assert "warning" not in result.out


def test_losses_are_told_in_chinese_to_those_who_read_it(
    cafe: Cafe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    result = cafe(Islanded(), "export", "-f", file_of(tmp_path, app()))
    assert "警告：spec.strategy：失去分组" in result.err


def test_what_an_autoscaler_scales_says_no_number_and_the_autoscaler_follows(
    cafe: Cafe, tmp_path: Path
) -> None:
    result = cafe(Islanded(), "export", "-f", file_of(tmp_path, scaler(), app()))
    follower, deployment = plain(result)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    assert follower["spec"]["scaleTargetRef"] == target
    assert "replicas" not in deployment["spec"]
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == "25%"
    assert "an autoscaler decides it" in result.err


TWO_UNITS = {"unitType": "Cell", "values": ["a", "b"]}


@pytest.mark.parametrize("beside", [[], [app(podSetType="StatefulSet", topology=TWO_UNITS)]])
def test_an_autoscaler_without_one_target_is_left_out_with_code_9(
    cafe: Cafe, tmp_path: Path, beside: list[Document]
) -> None:
    result = cafe(Islanded(), "export", "-f", file_of(tmp_path, scaler(), *beside))
    assert result.code == 9
    assert "HorizontalPodAutoscaler" not in result.out
    assert "left out: CafeDeployment/web" in result.err


def test_a_label_of_cafe_by_which_others_select_stays_on_the_pods(cafe: Cafe, tmp_path: Path) -> None:
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {APP_LABEL: "web"}}},
    }
    of_unit = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": {"selector": {UNIT_LABEL: "cell-a"}},
    }
    result = cafe(Islanded(), "export", "-f", file_of(tmp_path, app(), app("other"), budget, of_unit))
    web, other, *_ = plain(result)
    assert web["spec"]["template"]["metadata"]["labels"] == {"app": "web", APP_LABEL: "web"}
    assert other["spec"]["template"]["metadata"]["labels"] == {"app": "web"}
    assert "selects pods of the unit cell-a" in result.err


def test_what_controllers_make_anew_is_not_exported(cafe: Cafe, tmp_path: Path) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "controller": True}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x-1", "ownerReferences": [owner]}}
    ours = {"apiVersion": API_VERSION, "kind": "CafeDeployment", "name": "web", "controller": True}
    a_set = {**app(), "kind": "InPlaceSet", "metadata": {"name": "web-a", "ownerReferences": [ours]}}
    result = cafe(Islanded(), "export", "-f", file_of(tmp_path, app(), pod, a_set))
    assert [d["kind"] for d in plain(result)] == ["Deployment"]
    assert "goes with CafeDeployment/web" in result.err


# What goes wrong


def test_two_documents_that_become_one_object_are_refused(cafe: Cafe, tmp_path: Path) -> None:
    native = {**app(), "apiVersion": "apps/v1", "kind": "Deployment"}
    result = cafe(Islanded(), "export", "-f", file_of(tmp_path, app(), native))
    assert result.code == 1
    assert result.out == ""
    assert "as does document 1" in result.err


BROKEN = {
    "no YAML": ("a: [1", 2, "BrokenDocument"),
    "a control character": ("a: \x00", 2, "special characters are not allowed"),
    "a list": ("- a", 2, "It is no mapping"),
    "no kind": ("apiVersion: v1\nmetadata: {name: x}", 1, "It has no kind"),
    "no name": ("apiVersion: v1\nkind: Service\nmetadata: [x]", 1, "It has no metadata.name"),
    "another kind of ours": (f"apiVersion: {API_VERSION}\nkind: X\nmetadata: {{name: x}}", 1, "UnknownKind"),
    "a refused spec": (
        f"apiVersion: {API_VERSION}\nkind: CafeDeployment\nmetadata: {{name: x}}\nspec: {{}}",
        1,
        "selector",
    ),
    "no spec": (f"apiVersion: {API_VERSION}\nkind: CafeDeployment\nmetadata: {{name: x}}", 1, "spec"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_broken_document_and_nothing_is_written(cafe: Cafe, tmp_path: Path, name: str) -> None:
    text, code, said = BROKEN[name]
    path = tmp_path / "m.yaml"
    path.write_text(f"{yaml.safe_dump(app())}---\n{text}\n")
    result = cafe(Islanded(), "export", "-f", str(path))
    assert (result.code, result.out) == (code, "")
    what, why, do = result.err.splitlines()
    assert "nothing was written" in what
    assert said in what + why
    assert do.startswith("do: ")


def test_a_file_that_is_missing_or_empty_is_named(cafe: Cafe, tmp_path: Path) -> None:
    assert cafe(Islanded(), "export", "-f", str(tmp_path / "none")).code == 2
    (tmp_path / "empty").write_text("---\n")
    assert "holds no document" in cafe(Islanded(), "export", "-f", str(tmp_path / "empty")).err


def test_a_text_that_is_no_text_is_called_broken_as_a_whole(cafe: Cafe, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("a: b\x07")
    result = cafe(Islanded(), "export", "-f", str(tmp_path / "m.yaml"))
    assert result.err.startswith(f"error: {tmp_path / 'm.yaml'} is broken; nothing was written.")
    (tmp_path / "m.yaml").write_bytes(b"\xff")
    assert "It is no UTF-8 text" in cafe(Islanded(), "export", "-f", str(tmp_path / "m.yaml")).err


def test_names_are_for_what_is_live(cafe: Cafe, tmp_path: Path) -> None:
    assert cafe(Islanded(), "export", "web", "-f", file_of(tmp_path, app())).code == 2


# From a cluster


def test_a_namespace_is_exported_whole_with_its_autoscalers(cafe: Cafe) -> None:
    elsewhere = {**app("far"), "metadata": {"name": "far", "namespace": "far"}}
    foreign = {**scaler(), "metadata": {"name": "f", "namespace": "default"}}
    foreign["spec"] = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}}
    cluster = SmallCluster(app(), app("other"), elsewhere, scaler(), foreign)
    found = plain(cafe(cluster, "export"))
    assert [(d["kind"], d["metadata"]["name"]) for d in found] == [
        ("Deployment", "web"),
        ("Deployment", "other"),
        ("HorizontalPodAutoscaler", "s"),
    ]
    assert [d["metadata"]["name"] for d in plain(cafe(cluster, "export", "-n", "far"))] == ["far"]
    assert cluster.writes == []


@pytest.mark.parametrize("name", ["web", "cafed/web", "cafedeployments.apps.cafe.sofastack.io/web"])
def test_applications_are_chosen_by_name(cafe: Cafe, name: str) -> None:
    found = plain(cafe(SmallCluster(app(), app("other")), "export", name, name))
    assert [d["metadata"]["name"] for d in found] == ["web"]


def test_a_release_that_is_under_way_is_pointed_out(cafe: Cafe) -> None:
    result = cafe(SmallCluster(releasing()), "export", NAME)
    assert result.code == 0
    assert "a release is under way (WaitingForConfirm, Beta)" in result.err


@pytest.mark.parametrize("arguments", [["nobody"], ["cafesvc/web"], ["deployment/web"], ["-n", "empty"]])
def test_who_is_not_there_is_not_found(cafe: Cafe, arguments: list[str]) -> None:
    result = cafe(SmallCluster(app()), "export", *arguments)
    assert (result.code, result.out) == (3, "")
    assert "nothing was written" in result.err


def live_service() -> list[Document]:
    owner = [{"apiVersion": API_VERSION, "kind": "CafeAppService", "name": "shop", "uid": "s"}]
    content = {k: v for k, v in app()["spec"].items() if k in {"selector", "template"}}
    meta = {"name": "shop", "namespace": "default"}
    kinds: dict[str, Document] = {
        "CafeAppService": {
            "metadata": {**meta, "uid": "s"},
            "spec": {**content, "draft": True},
            "status": {"liveRevision": 1},
        },
        "CafeAppRevision": {
            "metadata": {**meta, "name": "shop-1", "ownerReferences": owner},
            "spec": {"service": "shop", "number": 1, "digest": "d", "content": content},
        },
        "CafeDeployment": {"metadata": {**meta, "ownerReferences": owner}, "spec": content},
    }
    return [{"apiVersion": API_VERSION, "kind": kind, **body} for kind, body in kinds.items()]


def test_a_live_service_is_exported_once_and_its_application_by_the_service_only(cafe: Cafe) -> None:
    cluster = SmallCluster(*live_service(), scaler("CafeAppService", "shop"))
    for arguments in ([], ["shop"], ["cafesvc/shop"]):
        found = plain(cafe(cluster, "export", *arguments))
        assert [d["kind"] for d in found] == ["PodDisruptionBudget", "Deployment", "HorizontalPodAutoscaler"]
        assert found[-1]["spec"]["scaleTargetRef"]["kind"] == "Deployment"
        assert "replicas" not in found[1]["spec"]
    refused = cafe(cluster, "export", "cafed/shop")
    assert (refused.code, refused.out) == (6, "")
    assert "cafe export shop -n default" in refused.err


def test_a_service_of_which_nothing_runs_is_left_out_with_code_9(cafe: Cafe) -> None:
    service, *_ = live_service()
    result = cafe(SmallCluster({**service, "status": {}}, app()), "export")
    assert result.code == 9
    assert "nothing of it runs" in result.err
    assert result.out.count("kind: Deployment") == 1


def test_a_server_without_autoscalers_is_exported_all_the_same(cafe: Cafe) -> None:
    class Bare(SmallCluster):
        async def list(
            self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
        ) -> Sequence[Document]:
            if resource.kind == "HorizontalPodAutoscaler":
                raise Problem(Exit.FAILURE, "NoKind", "The server does not know horizontalpodautoscalers.")
            return await super().list(resource, namespace, labels=labels, fields=fields)

    cluster: Cluster = Bare(an_app())
    assert isinstance(cluster, SmallCluster)
    assert [d["metadata"]["name"] for d in plain(cafe(cluster, "export"))] == [NAME]


# There and back


@pytest.mark.slow
@pytest.mark.parametrize("pod_set", ["InPlaceSet", "ReplicaSet"])
@pytest.mark.parametrize("sample", ["bookinfo", "online-boutique"])
def test_a_sample_that_was_imported_is_exported_as_it_was(
    cafe: Cafe, tmp_path: Path, sample: str, pod_set: str
) -> None:
    cluster = SmallCluster()
    path = SAMPLES / f"{sample}.yaml"
    assert cafe(cluster, "import", "-f", str(path), "--pod-set", pod_set).code == 0
    found = plain(cafe(Islanded(), "export", "-f", file_of(tmp_path, *cluster.writes)))
    before = [d for d in yaml.safe_load_all(path.read_text()) if d]
    assert len(found) == len(before)
    for was, now in zip(before, found, strict=True):
        was["metadata"]["namespace"] = "default"  # An import says where.
        if was["kind"] == "Deployment":
            was["spec"].setdefault("replicas", 1)
            rolling = now["spec"].pop("strategy")["rollingUpdate"]  # The way of release is CAFE's by now.
            # In place, a pod is away while it is changed; else 25% of one pod are none, as in a Deployment.
            first, away = {"InPlaceSet": (0, 1), "ReplicaSet": ("25%", 0)}[pod_set]
            assert rolling == {"maxSurge": first, "maxUnavailable": away}
        assert now == was
