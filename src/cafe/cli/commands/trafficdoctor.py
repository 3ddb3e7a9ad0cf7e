"""`cafe traffic doctor`: whether an application's pods can be changed without losing a request."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from cafe.api.names import APP_LABEL, CONTROLLER_NAMESPACE, TRAFFIC_GATE
from cafe.api.trafficmarks import read_expected
from cafe.cli.commands.doctor import Finding
from cafe.cli.errors import Exit
from cafe.cli.lazy import Command
from cafe.cli.output import output_option, structured
from cafe.cli.ports import Cluster, Document
from cafe.cli.resources import APPS, BINDINGS, PODS, PROVIDERS, SERVICES
from cafe.cli.session import Session

REGISTRIES = {"ZooKeeper", "Nacos", "SOFARegistry"}
"""Types of providers that don't see requests: clients send them by themselves."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that the verdicts are read from."""

    app: Document
    pods: Sequence[Document]
    bindings: Sequence[Document]
    services: Sequence[Document]
    providers: Sequence[Document]

    @property
    def pools(self) -> list[Any]:
        """Return the pools that the application is bound to."""
        return [pool for binding in self.bindings for pool in binding["spec"].get("pools") or ()]


@click.command("doctor", cls=Command, help="help.traffic.doctor")
@click.argument("name")
@output_option(("json", "yaml"))
@click.pass_obj
def doctor(session: Session, name: str, output: str | None) -> int:
    """Tell whether the conditions of lossless changes hold."""

    async def work(cluster: Cluster) -> int:
        found = list(examine(await _scene(session, cluster, name)))
        if output:
            session.terminal.write(structured({"kind": "Diagnosis", "items": found}, output))
        for finding in () if output else found:
            session.terminal.write(f"{finding.verdict:<5} {finding.check:<12} {finding.message}")
            if finding.do:
                session.terminal.write(f"{'':<18} do: {finding.do}")
        return Exit.FAILURE if any(f.verdict == "fail" for f in found) else Exit.MET

    return session.run(work)


async def _scene(session: Session, cluster: Cluster, name: str) -> Scene:
    key = session.key(cluster, name)
    app = await cluster.get(APPS, key)
    labels = app["spec"]["template"]["metadata"].get("labels") or {}
    return Scene(
        app=app,
        pods=await cluster.list(PODS, key.namespace, labels=f"{APP_LABEL}={key.name}"),
        bindings=[b for b in await cluster.list(BINDINGS, key.namespace) if b["spec"]["app"] == key.name],
        services=[s for s in await cluster.list(SERVICES, key.namespace) if _selects(s, labels)],
        providers=await cluster.list(PROVIDERS, CONTROLLER_NAMESPACE),
    )


def _selects(service: Document, labels: dict[str, str]) -> bool:
    selector = service["spec"].get("selector") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def examine(scene: Scene) -> Iterable[Finding]:
    """Yield a verdict for each condition."""
    yield _employers(scene)
    yield _bindings(scene)
    yield _pods(scene)
    yield _room(scene)
    yield _unseen(scene)
    blind = [s["metadata"]["name"] for s in scene.services if s["spec"].get("publishNotReadyAddresses")]
    if blind:
        said = f"Service {', '.join(blind)} publishes not-ready addresses: it can't be drained, and isn't"
        yield Finding("services", "warn", said, "Use it for discovery alone, never for requests.")


def _employers(scene: Scene) -> Finding:
    names = [f"{p['provider']}/{p['pool']}" for p in scene.pools]
    names += [f"Service {s['metadata']['name']}" for s in scene.services]
    if not names:
        said = "Nobody is known to send requests to its pods: they are changed without waiting"
        return Finding("employers", "warn", said, "Make a Service that selects them, or a TrafficBinding.")
    return Finding("employers", "ok", f"Requests come from {', '.join(names)}")


def _bindings(scene: Scene) -> Finding:
    known = {p["metadata"]["name"] for p in scene.providers}
    lost = sorted({pool["provider"] for pool in scene.pools} - known)
    if lost:
        said = f"There is no TrafficProvider {', '.join(lost)}: pods can't be drained, and are not touched"
        return Finding("providers", "fail", said, f"Make it in the namespace {CONTROLLER_NAMESPACE}.")
    for binding in scene.bindings:
        for condition in (binding.get("status") or {}).get("conditions") or ():
            if condition["type"] == "Accepted" and condition["status"] != "True":
                return Finding("providers", "fail", condition["message"])
    return Finding("providers", "ok", f"{len(scene.pools)} pools of known providers")


def _pods(scene: Scene) -> Finding:
    bare = [p["metadata"]["name"] for p in scene.pods if not _has_gate(p)]
    if bare:
        said = f"{len(bare)} pods were made without the gate of traffic, and are not guarded: {bare[0]}"
        return Finding("pods", "fail", said, "Release, or replace them (cafe app retry is for sick ones).")
    idle = [p for p in scene.pods if not read_expected(p["metadata"].get("annotations") or {})]
    if idle and (scene.pools or scene.services):
        said = f"{len(idle)} pods are not known to their employers yet: {idle[0]['metadata']['name']}"
        return Finding(
            "pods", "warn", said, "Wait a moment; then see by cafe doctor whether a controller runs."
        )
    return Finding("pods", "ok", f"{len(scene.pods)} pods are guarded")


def _has_gate(pod: Document) -> bool:
    gates = pod["spec"].get("readinessGates") or ()
    return any(gate["conditionType"] == TRAFFIC_GATE for gate in gates)


def _room(scene: Scene) -> Finding:
    replicas = int(scene.app["spec"].get("replicas", 1))
    may_drain_last = any(binding["spec"].get("mayDrainLast") for binding in scene.bindings)
    if replicas < 2:
        said = "It has one pod: while that is changed, nobody answers"
        return Finding("room", "fail", said, "Give it two replicas at least.")
    if may_drain_last:
        said = "mayDrainLast is set: a pool may be left with nobody to answer"
        return Finding("room", "warn", said, "Take it out of the TrafficBinding.")
    return Finding("room", "ok", f"{replicas} pods, and the last one of a pool stays")


def _unseen(scene: Scene) -> Finding:
    types = {p["metadata"]["name"]: p["spec"]["type"] for p in scene.providers}
    blind = [p["pool"] for p in scene.pools if types.get(p["provider"]) in REGISTRIES]
    blind += [s["metadata"]["name"] for s in scene.services]
    if not blind:
        return Finding("in flight", "ok", "Every load balancer tells which requests are under way")
    said = f"Nobody sees requests by {', '.join(blind)}: the floor alone is waited for"
    remedy = "Have the application end what it has begun when it is told to stop, within its grace period."
    return Finding("in flight", "warn", said, remedy)
