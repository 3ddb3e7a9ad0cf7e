from pathlib import Path

from testbed.openkruise import Json, admissions, kinds, merged, read_config

CRD = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}


def hook(name: str, **more: object) -> Json:
    return {"name": name, "clientConfig": {"service": {"path": f"/{name}"}}, **more}


def admission(kind: str, *hooks: Json) -> Json:
    name = f"{kind.lower()}-webhook-configuration"
    return {"kind": f"{kind}WebhookConfiguration", "metadata": {"name": name}, "webhooks": list(hooks)}


def test_kinds_are_those_of_the_kustomization_with_its_patches() -> None:
    config = {
        "crd/kustomization.yaml": [
            {"resources": ["bases/a.yaml", "bases/b.yaml"], "patchesStrategicMerge": ["patches/b.yaml"]}
        ],
        "crd/bases/a.yaml": [{**CRD, "metadata": {"name": "a"}, "spec": {"scope": "Namespaced"}}],
        "crd/bases/b.yaml": [{**CRD, "metadata": {"name": "b"}, "spec": {"scope": "Namespaced"}}],
        "crd/bases/unused.yaml": [{**CRD, "metadata": {"name": "unused"}}],
        "crd/patches/b.yaml": [
            {**CRD, "metadata": {"name": "b"}, "spec": {"conversion": {"strategy": "Webhook"}}}
        ],
    }
    a, b = kinds(config)
    assert a["spec"] == {"scope": "Namespaced"}
    assert b["spec"] == {"scope": "Namespaced", "conversion": {"strategy": "Webhook"}}


def test_admissions_are_renamed_and_patched_hook_by_hook() -> None:
    selector = {"namespaceSelector": {"matchExpressions": [{"key": "control-plane"}]}}
    config = {
        "webhook/kustomization.yaml": [
            {
                "resources": ["manifests.yaml", "service.yaml"],
                "patchesStrategicMerge": ["patch_manifests.yaml"],
            }
        ],
        "webhook/manifests.yaml": [
            admission("Mutating", hook("mpod"), hook("mset")),
            admission("Validating", hook("vpod")),
        ],
        "webhook/service.yaml": [{"kind": "Service", "metadata": {"name": "webhook-service"}}],
        "webhook/patch_manifests.yaml": [admission("Mutating", {"name": "mpod", **selector})],
    }
    mutating, validating = admissions(config)
    assert mutating["metadata"]["name"] == "kruise-mutating-webhook-configuration"
    assert mutating["webhooks"] == [hook("mpod", **selector), hook("mset")]
    assert validating["metadata"]["name"] == "kruise-validating-webhook-configuration"
    assert validating["webhooks"] == [hook("vpod")]


def test_lists_without_names_are_replaced() -> None:
    assert merged({"versions": ["v1", "v2"], "kept": 1}, {"versions": ["v3"]}) == {
        "versions": ["v3"],
        "kept": 1,
    }


def test_files_are_read_with_all_of_their_documents(tmp_path: Path) -> None:
    for folder in ("crd/bases", "webhook", "rbac"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "crd/bases/a.yaml").write_text("kind: A\n---\nkind: B\n")
    (tmp_path / "webhook/manifests.yaml").write_text("kind: C\n")
    (tmp_path / "rbac/role.yaml").write_text("kind: D\n")
    assert read_config(tmp_path) == {
        "crd/bases/a.yaml": [{"kind": "A"}, {"kind": "B"}],
        "webhook/manifests.yaml": [{"kind": "C"}],
    }
