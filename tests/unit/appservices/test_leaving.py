"""An application service that leaves: what runs goes along, numbered revisions don't."""

from typing import Any

import pytest

from cafe.api.names import API_VERSION
from cafe.kernel import Refusal
from tests.unit.workloads.applications import TEMPLATE, Json, exported, losses

OWNED = [{"apiVersion": API_VERSION, "kind": "CafeAppService", "name": "shop", "controller": True}]


def content(image: str = "shop:1", **more: Any) -> Json:  # noqa: ANN401 -- any field
    containers = [{"name": "app", "image": image, "envFrom": [{"configMapRef": {"name": "settings"}}]}]
    return {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}},
        "services": [{"name": "shop", "spec": {"ports": [{"port": 80}]}}],
        "configs": [{"name": "settings", "data": {"COLOUR": "blue"}}],
        "elasticity": {"replicas": 4},
        **more,
    }


def service(live: int = 0, image: str = "shop:1", **more: Any) -> Json:  # noqa: ANN401 -- any field
    return {
        "apiVersion": API_VERSION,
        "kind": "CafeAppService",
        "metadata": {
            "name": "shop",
            "namespace": "default",
            "annotations": {"kubernetes.io/change-cause": "x"},
        },
        "spec": content(image, **more),
        "status": {"liveRevision": live, "specRevision": 2},
    }


def revision(number: int, image: str) -> Json:
    return {
        "apiVersion": API_VERSION,
        "kind": "CafeAppRevision",
        "metadata": {"name": f"shop-{number}", "namespace": "default", "ownerReferences": OWNED},
        "spec": {"service": "shop", "number": number, "digest": "d", "content": content(image)},
    }


def of_kind(kind: str, documents: list[Json]) -> Json:
    (found,) = (d for d in documents if d["kind"] == kind)
    return found


def image_of(documents: list[Json]) -> str:
    (container,) = of_kind("Deployment", documents)["spec"]["template"]["spec"]["containers"]
    return str(container["image"])


def test_a_service_becomes_its_config_its_services_its_budget_and_its_deployment() -> None:
    found = exported(service())
    assert [d["kind"] for d in found] == ["ConfigMap", "Service", "PodDisruptionBudget", "Deployment"]
    deployment = of_kind("Deployment", found)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    config = of_kind("ConfigMap", found)
    assert container["envFrom"][0]["configMapRef"]["name"] == config["metadata"]["name"]
    assert config["data"] == {"COLOUR": "blue"}
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    assert of_kind("Service", found)["spec"]["selector"].items() <= labels
    assert of_kind("PodDisruptionBudget", found)["spec"]["selector"]["matchLabels"].items() <= labels
    assert "cafe.sofastack.io" not in str(found)


def test_of_a_file_counts_the_spec_and_of_what_runs_the_live_revision() -> None:
    edited, live = service(1, "shop:2"), revision(1, "shop:1")
    assert image_of(exported(edited)) == "shop:2"
    assert losses(edited)["not_live"] == "status.liveRevision"
    assert image_of(exported(edited, live, revision(2, "shop:2"), is_live=True)) == "shop:1"
    assert image_of(exported(edited, live)) == "shop:1"
    assert "not_live" not in losses(edited, live)


@pytest.mark.parametrize(("live", "code"), [(0, "nothing_live"), (7, "revision_gone")])
def test_of_a_service_of_which_nothing_runs_nothing_is_made_up(live: int, code: str) -> None:
    made = service(live)
    assert exported(made, revision(1, "shop:1"), is_live=True) == []
    assert code in losses(made, revision(1, "shop:1"), is_live=True)


def test_what_the_service_has_made_is_not_exported_twice() -> None:
    meta = {"name": "shop", "namespace": "default", "ownerReferences": OWNED}
    app = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
    made: list[Json] = [
        {"apiVersion": "v1", "kind": "Service", "metadata": meta},
        {"apiVersion": API_VERSION, "kind": "CafeDeployment", "metadata": meta, "spec": app},
    ]
    assert exported(service(), *made) == exported(service())
    without = exported(*made)
    assert [d["kind"] for d in without] == ["Service", "Deployment"]
    assert "ownerReferences" not in str(without)


def test_hand_made_scale_and_pause_go_along() -> None:
    made = service()
    made["spec"]["publish"] = {"replicas": 9, "pause": True}
    spec = of_kind("Deployment", exported(made))["spec"]
    assert (spec["replicas"], spec["paused"]) == (9, True)


def test_without_a_budget_none_is_written() -> None:
    found = exported(service(deploy={"disruption": {"guarded": False}}))
    assert "PodDisruptionBudget" not in {d["kind"] for d in found}


def test_a_service_that_could_never_run_is_refused() -> None:
    made = service()
    made["spec"]["template"] = TEMPLATE
    with pytest.raises(Refusal, match="refers to no config called settings") as caught:
        exported(made)
    assert caught.value.code == "ConfigUnused"
    assert "(CafeAppService shop) can't be exported; nothing was written" in caught.value.what


def test_a_service_takes_its_autoscaler_along_which_scales_the_deployment_then() -> None:
    found = exported(service(elasticity={"replicas": 4, "autoscaling": {"minReplicas": 2, "maxReplicas": 9}}))
    scaler, deployment = of_kind("HorizontalPodAutoscaler", found), of_kind("Deployment", found)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    assert scaler["spec"] == {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 9}
    assert "replicas" not in deployment["spec"], "the autoscaler decides"
