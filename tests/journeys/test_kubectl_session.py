"""An unmodified kubectl on the simulated API server: what a person types in an afternoon."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from cafe.kernel import SystemClock, SystemEntropy
from cafe_sim.apiserver import ApiServer
from cafe_sim.apiserver.http import Listen, serve
from cafe_sim.timeline import LoopTimeline
from tests.ports.objects import definition
from tests.unit.workloads.applications import CLAIM, app, exported

pytestmark = pytest.mark.slow

BESIDE_PYTHON = Path(sys.executable).parent
"""Where the project's own kubectl lies."""

MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: main, image: "web:1", ports: [{containerPort: 80}]}]
"""


@dataclass
class Kubectl:
    """kubectl with its kubeconfig and a folder to write in."""

    program: str
    folder: Path
    server: ApiServer

    async def start(self, *words: str, **environment: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            self.program,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "KUBECONFIG": str(self.folder / "kubeconfig"),
                **environment,
            },
        )

    async def tried(self, *words: str, **environment: str) -> tuple[int, str]:
        process = await self.start(*words, **environment)
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    async def __call__(self, *words: str, **environment: str) -> str:
        code, out = await self.tried(*words, **environment)
        assert code == 0, out
        return out

    def file(self, text: str) -> str:
        path = self.folder / "manifest.yaml"
        path.write_text(text)
        return str(path)


@pytest.fixture
async def kubectl(tmp_path: Path) -> AsyncIterator[Kubectl]:
    program = shutil.which("kubectl", path=f"{BESIDE_PYTHON}:{os.environ['PATH']}")
    assert program is not None
    server = ApiServer(LoopTimeline(SystemClock()), SystemEntropy())
    async with serve(server, Listen(folder=tmp_path)) as address:
        address.write_kubeconfig(tmp_path / "kubeconfig")
        yield Kubectl(program, tmp_path, server)


async def test_a_manifest_is_applied_changed_and_taken_away(kubectl: Kubectl) -> None:
    assert "deployment.apps/web created" in await kubectl("apply", "-f", kubectl.file(MANIFEST))
    assert "unchanged" in await kubectl("apply", "-f", kubectl.file(MANIFEST))
    changed = kubectl.file(MANIFEST.replace("web:1", "web:2"))
    code, diff = await kubectl.tried("diff", "-f", changed)
    assert (code, "+      - image: web:2" in diff) == (1, True)
    assert "configured" in await kubectl("apply", "-f", changed)
    assert "web:2" in await kubectl("get", "deploy", "web", "-o", "wide")
    assert "server dry run" in await kubectl("apply", "--dry-run=server", "-f", changed)
    assert "scaled" in await kubectl("scale", "deploy/web", "--replicas=5")
    assert "0/5" in await kubectl("get", "deployments")
    assert "deleted" in await kubectl("delete", "-f", changed)
    assert "No resources found" in await kubectl("get", "deploy")


SHOP = Path(__file__).parents[2] / "samples" / "shop-service.yaml"


async def test_what_cafe_exports_is_applied_where_no_cafe_is(kubectl: Kubectl) -> None:
    cells = {"unitType": "Cell", "values": ["cell-a", "cell-b"]}
    found = exported(
        yaml.safe_load(SHOP.read_text()),
        app("web", podSetType="ReplicaSet", topology=cells, strategy={"maxSurge": "25%", "pause": True}),
        app("db", podSetType="StatefulSet", topology=cells, volumeClaimTemplates=[CLAIM]),
    )
    manifest = kubectl.file(yaml.safe_dump_all(found))
    told = await kubectl("apply", "--validate=strict", "-f", manifest)
    assert told.count(" created") == len(found) == 7
    assert "Warning" not in told
    again = await kubectl("apply", "--validate=strict", "-f", manifest)
    assert " created" not in again
    assert "No resources found" in await kubectl("get", "deploy", "-l", "cafe.sofastack.io/app")


async def test_server_side_apply_names_conflicts(kubectl: Kubectl) -> None:
    manifest = kubectl.file(MANIFEST)
    assert "serverside-applied" in await kubectl("apply", "--server-side", "-f", manifest)
    await kubectl("scale", "deploy/web", "--replicas=4")
    code, out = await kubectl.tried("apply", "--server-side", "-f", manifest)
    assert (code, ".spec.replicas" in out, "conflict" in out) == (1, True, True)
    assert "serverside-applied" in await kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", manifest
    )
    assert await kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "2"


async def test_objects_are_edited_patched_and_labelled(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", kubectl.file(MANIFEST))
    assert "edited" in await kubectl("edit", "deploy", "web", KUBE_EDITOR="sed -i s/web:1/web:3/")
    patch = '{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"A","value":"b"}]}]}}}}'
    assert "patched" in await kubectl("patch", "deploy", "web", "-p", patch)
    assert "updated" in await kubectl("set", "image", "deploy/web", "main=web:4")
    assert "labeled" in await kubectl("label", "deploy", "web", "tier=front")
    assert "annotated" in await kubectl("annotate", "deploy", "web", "why=because")
    assert "restarted" in await kubectl("rollout", "restart", "deploy/web")
    described = await kubectl("describe", "deploy", "web")
    for text in ("web:4", "A:", "tier=front", "25% max unavailable"):
        assert text in described


async def test_typed_commands_send_protocol_buffers_and_are_understood(kubectl: Kubectl) -> None:
    assert "created" in await kubectl("create", "configmap", "c", "--from-literal=a=b")
    assert await kubectl("get", "cm", "c", "-o", "jsonpath={.data.a}") == "b"
    assert "created" in await kubectl("create", "secret", "generic", "s", "--from-literal=a=b")
    assert "created" in await kubectl("create", "deploy", "d", "--image=x:1", "--replicas=3", "--port=80")
    assert "exposed" in await kubectl("expose", "deploy", "d", "--port=80")
    assert "kubernetes-admin" in await kubectl("auth", "whoami")
    assert (await kubectl("auth", "can-i", "create", "pods")).strip() == "yes"


async def test_a_watch_shows_changes_as_they_come(kubectl: Kubectl) -> None:
    process = await kubectl.start("get", "configmaps", "-w", "--no-headers")
    assert process.stdout is not None
    kubectl.server.create("configmaps", "default", {"metadata": {"name": "one"}, "data": {"a": "b"}})
    async with asyncio.timeout(20):
        assert (await process.stdout.readline()).split()[:2] == [b"one", b"1"]
        kubectl.server.patch("configmaps", "default", "one", {"data": {"c": "d"}})
        assert (await process.stdout.readline()).split()[:2] == [b"one", b"2"]
    process.terminate()
    await process.communicate()


async def test_rows_are_sorted_by_any_field_of_their_objects(kubectl: Kubectl) -> None:
    for name, value in (("a", "3"), ("b", "1"), ("c", "2")):
        kubectl.server.create("configmaps", "default", {"metadata": {"name": name}, "data": {"x": value}})
    listed = await kubectl("get", "configmaps", "--no-headers", "--sort-by", ".data.x")
    assert [line.split()[0] for line in listed.splitlines()] == ["b", "c", "a"]


async def test_the_server_explains_itself(kubectl: Kubectl) -> None:
    resources = await kubectl("api-resources", "-o", "wide")
    for text in ("deployments", "deploy", "apps/v1", "customresourcedefinitions"):
        assert text in resources
    assert "<integer>" in await kubectl("explain", "deployment.spec.replicas")
    containers = await kubectl("explain", "pod.spec.containers")
    assert "<[]Container>" in containers
    assert "What to run" in containers
    assert "Server Version: v1.36" in await kubectl("version")
    assert await kubectl("get", "--raw", "/readyz") == "ok"


async def test_a_custom_kind_is_at_home(kubectl: Kubectl) -> None:
    kubectl.server.create("customresourcedefinitions.apiextensions.k8s.io", "", definition("Boat"))
    assert "condition met" in await kubectl(
        "wait", "--for=condition=Established", "crd/boats.ports.cafe.test"
    )
    boat = "apiVersion: ports.cafe.test/v1\nkind: Boat\nmetadata: {name: b}\nspec: {size: 3}\n"
    assert "created" in await kubectl("apply", "-f", kubectl.file(boat))
    assert "SIZE" in await kubectl("get", "boats")
    assert "size" in await kubectl("explain", "boat.spec")
    assert "scaled" in await kubectl("scale", "boat/b", "--replicas=5")
    code, out = await kubectl.tried("apply", "-f", kubectl.file(boat.replace("3", "70")))
    assert (code, "should be less than or equal to 10" in out) == (1, True)
    code, out = await kubectl.tried("apply", "-f", kubectl.file(boat.replace("size", "length")))
    assert (code, 'unknown field "spec.length"' in out) == (1, True)


async def test_an_autoscaler_is_made_and_shown_and_pods_are_topped(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", kubectl.file(MANIFEST))
    made = await kubectl("autoscale", "deploy", "web", "--min=2", "--max=5", "--cpu=70%")
    assert "horizontalpodautoscaler.autoscaling/web autoscaled" in made
    row = (await kubectl("get", "hpa", "--no-headers")).split()
    assert row[:-1] == ["web", "Deployment/web", "cpu:", "<unknown>/70%", "2", "5", "0"]
    described = await kubectl("describe", "hpa", "web")
    assert "resource cpu on pods  (as a percentage of request):  <unknown> / 70%" in described
    assert "maxReplicas" in await kubectl("explain", "hpa.spec")
    body = {"spec": {"containers": [{"name": "main", "image": "web:1"}]}}
    meta = {"name": "busy", "annotations": {"cafe.test/usage": "cpu=250m,memory=64Mi"}}
    kubectl.server.create("pods", "default", {**body, "metadata": meta})
    kubectl.server.patch("pods", "default", "busy", {"status": {"phase": "Running"}}, "status")
    assert (await kubectl("top", "pods", "--no-headers")).split() == ["busy", "250m", "64Mi"]
