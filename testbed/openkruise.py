"""OpenKruise beside a control plane: the peer that updates pods in place, to be compared with.

    its module ──build──▶ manager, and what it needs installed ──▶ kinds, admission ──▶ manager ready

It runs as one more program of the run, not in a pod: the API server asks it about admissions on loopback.
Its kinds and admission configurations are those of its own module, put together as its kustomizations say.

Example:
    with control_plane() as plane, fake_nodes(plane, 10), openkruise(plane) as manager:
        plane.client.create("/apis/apps.kruise.io/v1alpha1/namespaces/default/clonesets", clone_set)
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from testbed.build import KRUISE, build
from testbed.client import RequestFailed
from testbed.controlplane import BURST, LOOPBACK, QPS, START, ControlPlane, answers, free_ports
from testbed.errors import NotStarted
from testbed.processes import Child, stop_all
from testbed.waiting import wait_for

Json: TypeAlias = dict[str, Any]
Config: TypeAlias = Mapping[str, Sequence[Json]]
"""The documents of each YAML file, by its path under the module's `config`."""

NAMESPACE: Final = "kruise-system"
DAEMONS: Final = "kruise-daemon-config"
UNASKED: Final = "control-plane"
"""A namespace with this label is none of its business: its pods come and go without its admission."""
GATES: Final = "KruiseDaemon=false"
"""All else is at its default. Its daemon would ask the node's container runtime, and fake nodes have none."""
CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1"
GRACE: Final = timedelta(seconds=3)


def kinds(config: Config) -> list[Json]:
    """Return its CustomResourceDefinitions."""
    return _customized(config, "crd")


def admissions(config: Config) -> list[Json]:
    """Return its two admission configurations, by the names by which the manager looks for them."""
    found = [of for of in _customized(config, "webhook") if of["kind"].endswith("WebhookConfiguration")]
    for one in found:
        one["metadata"]["name"] = f"kruise-{one['metadata']['name']}"
    return found


def _customized(config: Config, folder: str) -> list[Json]:
    """Return what the kustomization of a folder makes: its resources with its patches."""
    (kustomization,) = config[f"{folder}/kustomization.yaml"]

    def documents(field: str) -> list[Json]:
        return [of for name in kustomization.get(field, ()) for of in config[f"{folder}/{name}"] if of]

    patches = {_identity(patch): patch for patch in documents("patchesStrategicMerge")}
    return [merged(of, patches.get(_identity(of), {})) for of in documents("resources")]


def _identity(document: Json) -> tuple[str, str]:
    return document["kind"], document["metadata"]["name"]


def merged(base: Any, patch: Any) -> Any:  # noqa: ANN401 -- whatever YAML holds
    """Return *base* as a strategic merge patch leaves it: lists of named things are merged by name."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return base | {key: merged(base.get(key), value) for key, value in patch.items()}
    if _are_named(base) and _are_named(patch):
        changes = {item["name"]: item for item in patch}
        return [merged(item, changes.get(item["name"], {})) for item in base]
    return patch


def _are_named(items: object) -> bool:
    return isinstance(items, list) and all(isinstance(item, dict) and "name" in item for item in items)


def read_config(directory: Path) -> Config:
    """Read the parts of the module's `config` that are needed here."""
    files = [path for folder in ("crd", "webhook") for path in (directory / folder).rglob("*.yaml")]
    return {
        str(path.relative_to(directory)): list(yaml.load_all(path.read_text(), yaml.CSafeLoader))
        for path in files
    }


def prepare() -> tuple[Path, Config]:
    """Return the manager's binary and its module's `config`, which is kept beside it once read.

    Raises:
        Lacking: Go is missing or too old.
        NotStarted: The module can't be had, or does not build.
    """
    binary = build(KRUISE)
    kept = binary.with_name("config.json")
    if not kept.exists():
        partial = kept.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(read_config(_module_directory() / "config")))
        partial.rename(kept)
    config: Config = json.loads(kept.read_text())
    return binary, config


def _module_directory() -> Path:
    command = ["go", "mod", "download", "-json", KRUISE.package]
    try:
        done = subprocess.run(command, cwd=KRUISE.module, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as problem:
        raise NotStarted(f"the module {KRUISE.package} can't be had: {problem}") from problem
    return Path(json.loads(done.stdout)["Dir"])


@contextlib.contextmanager
def openkruise(
    plane: ControlPlane, limits: tuple[int, int] = (QPS, BURST), gates: str = GATES
) -> Iterator[Child]:
    """Run OpenKruise's manager on a control plane until the block is left; its kinds stay.

    Args:
        plane: Where it works, as an administrator.
        limits: Its client's, requests per second and for a moment; its own default is 30 and 50.
        gates: Its feature gates that are not at their defaults.

    Raises:
        Lacking: Go is missing or too old.
        NotStarted: The module can't be had, does not build, or its manager does not start.
    """
    binary, config = prepare()
    install(plane, config)
    (health,) = free_ports(1)
    flags = [f"--rest-config-{name}={limit}" for name, limit in zip(("qps", "burst"), limits, strict=True)]
    manager = _spawn(plane, binary, health, [*flags, f"--feature-gates={gates}"])
    try:
        manager.wait_ready(lambda: answers(health, "/readyz", tls=False), START)
        yield manager
    finally:
        with contextlib.suppress(RequestFailed, OSError):  # The control plane may have ended before us.
            uninstall_admissions(plane, config)
        stop_all([manager], GRACE)


def install(plane: ControlPlane, config: Config) -> None:
    """Create its namespaces, its kinds and its admission configurations; wait until the kinds are served."""
    for name in (NAMESPACE, DAEMONS):
        body = {"metadata": {"name": name, "labels": {UNASKED: "controller-manager"}}}
        plane.client.create("/api/v1/namespaces", body)
    names = [plane.client.create(CRDS, kind)["metadata"]["name"] for kind in kinds(config)]
    for name in names:

        def is_served(path: str = f"{CRDS}/{name}") -> bool:
            conditions = plane.client.get(path).get("status", {}).get("conditions", [])
            return any(of["type"] == "Established" and of["status"] == "True" for of in conditions)

        wait_for(f"{name} is served", is_served, START)
    for one in admissions(config):
        plane.client.create(_collection(one), one)


def uninstall_admissions(plane: ControlPlane, config: Config) -> None:
    """Ask nobody any more: without its manager, each admission of a pod would be refused."""
    for one in admissions(config):
        plane.client.delete(f"{_collection(one)}/{one['metadata']['name']}")


def _collection(admission: Json) -> str:
    return f"{ADMISSION}/{admission['kind'].lower()}s"


def _spawn(plane: ControlPlane, binary: Path, health: int, flags: Sequence[str]) -> Child:
    (webhook,) = free_ports(1)
    directory = plane.run.make("kruise")
    return plane.spawn(
        "kruise-manager",
        [
            *(str(binary), f"--kubeconfig={plane.kubeconfig_for('kruise-manager', 'system:masters')}"),
            *("--enable-leader-election=false", "--enable-pprof=false", "--metrics-addr=0"),
            *(f"--health-probe-addr={LOOPBACK}:{health}", f"--protection-log-path={directory}"),
            *flags,
        ],
        {
            "WEBHOOK_HOST": LOOPBACK,
            "WEBHOOK_PORT": str(webhook),
            "WEBHOOK_CERT_DIR": str(directory / "certificates"),
            "POD_NAMESPACE": NAMESPACE,
        },
    )
