"""`cafe traffic get|offline|online|force`: whose requests reach pods, and taking pods out of traffic."""

import getpass
import json
from collections.abc import Sequence

import click
from msgspec.structs import replace

from cafe.api.names import APP_LABEL, FORCED_ANNOTATION, OPERATION_PREFIX
from cafe.api.trafficmarks import Operation, OperationType, read_expected, read_operations, write_mark
from cafe.cli.commands.pods import unit_of
from cafe.cli.errors import Exit, Problem
from cafe.cli.guarding import change
from cafe.cli.lazy import Command, Option
from cafe.cli.output import output_option, structured
from cafe.cli.ports import Cluster, Document
from cafe.cli.resources import APPS, PODS
from cafe.cli.session import Session
from cafe.cli.views.tables import span, table
from cafe.cli.views.trafficview import TrafficLine, line_of

HEADS = ("pod", "unit", "phase", "since", "who", "why")


@click.command("get", cls=Command, help="help.traffic.get")
@click.argument("name")
@output_option(("json", "yaml"))
@click.pass_obj
def get(session: Session, name: str, output: str | None) -> int:
    """Tell how the traffic of each pod of an application stands."""

    async def work(cluster: Cluster) -> int:
        key = session.key(cluster, name)
        await cluster.get(APPS, key)
        pods = await cluster.list(PODS, key.namespace, labels=f"{APP_LABEL}={key.name}")
        found = sorted(((unit_of(pod), line_of(pod)) for pod in pods), key=lambda f: (f[0], f[1].pod))
        if output:
            items = [line for _, line in found]
            session.terminal.write(structured({"kind": "Traffic", "items": items}, output))
            return Exit.MET
        heads = [session.terminal.words(f"traffic.{head}") for head in HEADS]
        for line in table(heads, [_row(session, unit, told) for unit, told in found]):
            session.terminal.write(line)
        return Exit.MET

    return session.run(work)


def _row(session: Session, unit: str, line: TrafficLine) -> list[str]:
    since = span(session.wiring.clock.now() - line.since) if line.since is not None else "-"
    return [line.pod, unit or "-", line.phase, since, ",".join(line.employers) or "-", line.why or "-"]


@click.command("offline", cls=Command, help="help.traffic.offline")
@click.argument("pod")
@click.option("--reason", required=True, cls=Option, help="option.traffic.reason")
@click.pass_obj
def offline(session: Session, pod: str, reason: str) -> int:
    """Take a pod out of traffic, and keep it out."""

    async def work(cluster: Cluster) -> int:
        found = await _guarded(session, cluster, pod)
        await _demand_others(cluster, found)
        now, who = session.wiring.clock.now(), getpass.getuser()
        wish = Operation(type=OperationType.OFFLINE, actor=who, start=now, reason=reason)
        await _annotate(cluster, found, {OPERATION_PREFIX + _own(who): write_mark(wish)})
        session.terminal.say("traffic.offline.done", pod=pod, app=found["metadata"]["labels"][APP_LABEL])
        return Exit.MET

    return session.run(work)


@click.command("online", cls=Command, help="help.traffic.online")
@click.argument("pod")
@click.pass_obj
def online(session: Session, pod: str) -> int:
    """Give a pod back to traffic that people have taken offline."""

    async def work(cluster: Cluster) -> int:
        found = await _guarded(session, cluster, pod)
        mine = {n: op for n, op in _operations(found).items() if op.type is OperationType.OFFLINE}
        if not mine:
            raise Problem(
                Exit.CONFLICT,
                "NotOffline",
                f"Nobody has taken {pod} offline; nothing was written.",
                "",
                f"cafe traffic get {found['metadata']['labels'][APP_LABEL]}",
            )
        await _annotate(cluster, found, {OPERATION_PREFIX + name: None for name in mine})
        session.terminal.say("traffic.online.done", pod=pod)
        return Exit.MET

    return session.run(work)


@click.command("force", cls=Command, help="help.traffic.force")
@click.argument("pod")
@click.option("--level", type=click.IntRange(1, 3), required=True, cls=Option, help="option.traffic.level")
@click.option("--skip", multiple=True, cls=Option, help="option.traffic.skip")
@click.option("--reason", required=True, cls=Option, help="option.traffic.reason")
@click.pass_obj
def force(session: Session, pod: str, level: int, skip: Sequence[str], reason: str) -> int:
    """Have the operations on a pod wait for less."""

    async def work(cluster: Cluster) -> int:
        found = await _guarded(session, cluster, pod)
        operations = _operations(found)
        _demand_forceable(found, operations, level, skip)
        who, now = getpass.getuser(), session.wiring.clock.now()
        notes: dict[str, str | None] = {
            OPERATION_PREFIX + name: write_mark(replace(op, force=level, skip=list(skip), reason=reason))
            for name, op in operations.items()
        }
        record = {"by": who, "at": now.isoformat(timespec="seconds"), "level": level, "reason": reason}
        before = (found["metadata"].get("annotations") or {}).get(FORCED_ANNOTATION)
        lines = [before] if before else []
        notes[FORCED_ANNOTATION] = "\n".join([*lines, json.dumps(record, sort_keys=True)])
        await _annotate(cluster, found, notes)
        session.terminal.say("traffic.force.done", pod=pod, level=str(level))
        return Exit.MET

    return session.run(work)


def _demand_forceable(
    pod: Document, operations: dict[str, Operation], level: int, skip: Sequence[str]
) -> None:
    """Demand that there is something to force, and that what is skipped is meant.

    Raises:
        Problem: There is nothing, or the options don't fit. Nothing was written.
    """
    name, app = pod["metadata"]["name"], pod["metadata"]["labels"][APP_LABEL]
    if not operations:
        raise Problem(
            Exit.CONFLICT,
            "NothingToForce",
            f"Nobody wants {name} out of traffic; nothing was written.",
            "Only a drain that is under way can wait for less",
            f"cafe traffic get {app}",
        )
    if (highest := max(op.force for op in operations.values())) > level:
        raise Problem(
            Exit.CONFLICT,
            "ForcedMore",
            f"{name} is forced with level {highest} already; nothing was written.",
            "A force ends with its operation, and isn't lowered",
            f"cafe traffic get {app}",
        )
    if bool(skip) != (level == 2):
        raise Problem(
            Exit.USAGE,
            "Usage",
            "--skip goes with --level 2, and level 2 with --skip.",
            "Level 1 skips no employer, level 3 all of them",
            "cafe traffic force --help",
        )
    if strange := sorted(set(skip) - read_expected(pod["metadata"].get("annotations") or {}).keys()):
        raise Problem(
            Exit.USAGE,
            "Usage",
            f"{strange[0]} sends {name} no requests; nothing was written.",
            "--skip names an employer as cafe traffic get tells it",
            f"cafe traffic get {app}",
        )


async def _demand_others(cluster: Cluster, pod: Document) -> None:
    """Demand that somebody answers when a pod no longer does.

    Raises:
        Problem: No other pod of its application is ready. Nothing was written.
    """
    meta = pod["metadata"]
    app = meta["labels"][APP_LABEL]
    others = await cluster.list(PODS, meta["namespace"], labels=f"{APP_LABEL}={app}")
    if not any(_is_ready(other) for other in others if other["metadata"]["name"] != meta["name"]):
        raise Problem(
            Exit.CONFLICT,
            "LastOne",
            f"No other pod of {app} is ready; nothing was written.",
            f"Without {meta['name']} nobody would answer",
            f"cafe traffic get {app}",
        )


def _is_ready(pod: Document) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


async def _guarded(session: Session, cluster: Cluster, name: str) -> Document:
    """Return a pod of an application.

    Raises:
        Problem: It isn't there, or belongs to none. Nothing was written.
    """
    key = session.key(cluster, name)
    found = await cluster.get(PODS, key)
    if not (found["metadata"].get("labels") or {}).get(APP_LABEL):
        raise Problem(
            Exit.CONFLICT,
            "NotOurs",
            f"Pod {key} belongs to no CafeDeployment; nothing was written.",
            "Nobody guards its traffic",
            f"kubectl get pod {key.name} -n {key.namespace} --show-labels",
        )
    return found


def _operations(pod: Document) -> dict[str, Operation]:
    return read_operations(pod["metadata"].get("annotations") or {})


def _own(who: str) -> str:
    """Return the name of a person's own operation, as an annotation may be called."""
    plain = "".join(c if c.isalnum() else "-" for c in who).strip("-")
    return f"offline-{plain or 'somebody'}"[:63]


async def _annotate(cluster: Cluster, pod: Document, notes: dict[str, str | None]) -> None:
    def edit(wanted: Document) -> None:
        merged = {**(wanted["metadata"].get("annotations") or {}), **notes}
        wanted["metadata"]["annotations"] = {k: v for k, v in merged.items() if v is not None}

    await change(cluster, pod, edit, lambda _: None, resource=PODS)
