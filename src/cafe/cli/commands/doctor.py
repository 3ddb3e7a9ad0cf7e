"""`cafe doctor`: what stands between this machine and a release, and what to do about each."""

import shutil
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click

from cafe.api.crd import DECLARATIONS, crd_of
from cafe.api.names import CELL_LABEL, CONTROLLER_LEASE, CONTROLLER_NAMESPACE, GROUP, ZONE_LABEL
from cafe.cli.errors import Exit, Problem, problem_of
from cafe.cli.lazy import Command
from cafe.cli.output import output_option, structured
from cafe.cli.ports import Cluster
from cafe.cli.resources import CRDS, LEASES, NODES
from cafe.cli.session import Session
from cafe.cli.views.tables import span, time_of
from cafe.kernel import CafeError, ObjectKey

LEASE = ObjectKey(CONTROLLER_NAMESPACE, CONTROLLER_LEASE)
"""The lock that the leading controller holds."""

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

RIGHTS = (
    ("get", GROUP, "cafedeployments"),
    ("update", GROUP, "cafedeployments"),
    ("patch", GROUP, "cafedeployments"),
    ("list", GROUP, "inplacesets"),
    ("list", "", "pods"),
    ("list", "apps", "controllerrevisions"),
    ("list", "", "events"),
)
"""What the commands of `cafe app` need."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: *verdict* is `ok`, `warn` or `fail`."""

    check: str
    verdict: str
    message: str
    do: str = ""


Check = Callable[[Session, Cluster], Awaitable[Finding]]


@click.command("doctor", cls=Command, help="help.doctor")
@output_option(("json", "yaml"))
@click.pass_obj
def doctor(session: Session, output: str | None) -> int:
    """Check everything that a release needs."""
    found = [_plugin()]
    try:
        session.run(lambda cluster: _examine(session, cluster, found))
    except (CafeError, Problem) as error:
        problem = problem_of(error) or Problem(Exit.FAILURE, type(error).__name__, str(error))
        said = " ".join(part for part in (problem.what, problem.why) if part)
        found.append(Finding("kubeconfig", "fail", said, problem.do))
    if output:
        session.terminal.write(structured({"kind": "Diagnosis", "items": found}, output))
    else:
        _show(session, found)
    return Exit.FAILURE if any(f.verdict == "fail" for f in found) else Exit.MET


def _show(session: Session, found: list[Finding]) -> None:
    for finding in found:
        session.terminal.write(f"{finding.verdict:<5} {finding.check:<12} {finding.message}")
        if finding.do:
            session.terminal.write(f"{'':<18} do: {finding.do}")


async def _examine(session: Session, cluster: Cluster, found: list[Finding]) -> int:
    place = cluster.place
    found.append(Finding("kubeconfig", "ok", f"{place.where}, context {place.context or '-'}"))
    for name, check in CHECKS.items():
        try:
            found.append(await check(session, cluster))
        except (CafeError, Problem) as error:
            problem = problem_of(error) or Problem(Exit.FAILURE, type(error).__name__, str(error))
            found.append(Finding(name, "fail", problem.what, problem.do))
            if name == "server":
                break  # The others would only repeat it.
    return Exit.MET


def _plugin() -> Finding:
    kubectl, plugin = shutil.which("kubectl"), shutil.which("kubectl-cafe")
    if kubectl and plugin:
        return Finding("kubectl", "ok", f"kubectl cafe is {plugin}")
    if plugin:
        return Finding("kubectl", "warn", "kubectl is not on the PATH", "Install kubectl, or use cafe alone.")
    return Finding(
        "kubectl",
        "warn",
        "kubectl-cafe is not on the PATH, so `kubectl cafe` does not work",
        "Add the directory of cafe's programs to PATH.",
    )


async def _server(_: Session, cluster: Cluster) -> Finding:
    version: Any = await cluster.read("/version")
    return Finding("server", "ok", f"{cluster.place.server} runs Kubernetes {version.get('gitVersion', '?')}")


async def _kinds(_: Session, cluster: Cluster) -> Finding:
    missing, differing = [], []
    for declaration in DECLARATIONS:
        wanted = crd_of(declaration)
        name = wanted["metadata"]["name"]
        try:
            stored = await cluster.get(CRDS, ObjectKey("", name))
        except Problem as problem:
            if problem.exit is not Exit.NOT_FOUND:
                raise
            missing.append(name)
            continue
        if not holds(stored["spec"], wanted["spec"]):
            differing.append(name)
    apply = "kubectl apply --server-side -f deploy/crds, or cafe up"
    if missing:
        return Finding("kinds", "fail", f"{', '.join(missing)} not installed", apply)
    if differing:
        return Finding("kinds", "fail", f"{', '.join(differing)} of another version than this cafe", apply)
    return Finding("kinds", "ok", f"{len(DECLARATIONS)} kinds installed, of this version")


def holds(stored: object, wanted: object) -> bool:
    """Say whether *stored* has all of *wanted*; the server adds defaults of its own to it."""
    if isinstance(wanted, dict):
        return isinstance(stored, dict) and all(
            (key in stored and holds(stored[key], value)) or (value in ({}, []) and key not in stored)
            for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(stored, list)
            and len(stored) == len(wanted)
            and all(holds(s, w) for s, w in zip(stored, wanted, strict=True))
        )
    return stored == wanted


async def _controller(session: Session, cluster: Cluster) -> Finding:
    start = "cafe up, or install the controller"
    try:
        lease = (await cluster.get(LEASES, LEASE)).get("spec") or {}
    except Problem as problem:
        if problem.exit is not Exit.NOT_FOUND:
            raise
        return Finding("controller", "fail", f"No controller ever held the lease {LEASE}", start)
    holder, renewed = lease.get("holderIdentity"), time_of(lease.get("renewTime"))
    if not holder or renewed is None:
        return Finding("controller", "fail", f"Nobody holds the lease {LEASE}", start)
    silent = session.wiring.clock.now() - renewed
    if silent > timedelta(seconds=int(lease.get("leaseDurationSeconds") or 15)):
        return Finding("controller", "fail", f"{holder} has been silent for {span(silent)}", start)
    return Finding("controller", "ok", f"{holder} leads, renewed {span(silent)} ago")


async def _rights(session: Session, cluster: Cluster) -> Finding:
    namespace = session.namespace or cluster.place.namespace
    lacking: list[str] = []
    for verb, group, resource in RIGHTS:
        asked = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        }
        try:
            answer = await cluster.post(REVIEWS, review)
        except Problem as problem:
            if problem.exit is not Exit.NOT_FOUND:
                raise
            return Finding("rights", "warn", "The server can't say what we may")
        if not (answer.get("status") or {}).get("allowed"):
            lacking.append(f"{verb} {resource}")
    if lacking:
        said = f"May not {', '.join(lacking)} in {namespace}"
        return Finding("rights", "fail", said, "Ask the cluster's administrator for a Role with these.")
    return Finding("rights", "ok", f"All {len(RIGHTS)} rights in {namespace}")


async def _cells(_: Session, cluster: Cluster) -> Finding:
    nodes = await cluster.list(NODES)
    cells, zones = Counter[str](), Counter[str]()
    for node in nodes:
        labels = node["metadata"].get("labels") or {}
        cells.update([labels[CELL_LABEL]] if CELL_LABEL in labels else [])
        zones.update([labels[ZONE_LABEL]] if ZONE_LABEL in labels else [])
    if not nodes:
        return Finding("nodes", "fail", "There is no node", "Add one: no pod can run.")
    if not cells and not zones:
        label = f"kubectl label node NODE {CELL_LABEL}=CELL"
        return Finding("nodes", "warn", f"{len(nodes)} nodes, none with a cell or zone", label)
    told = [f"{name}: {count}" for name, count in sorted((cells or zones).items())]
    return Finding("nodes", "ok", f"{len(nodes)} nodes; {'cells' if cells else 'zones'} {', '.join(told)}")


CHECKS: dict[str, Check] = {
    "server": _server,
    "kinds": _kinds,
    "controller": _controller,
    "rights": _rights,
    "nodes": _cells,
}
