"""`cafe app pods`: which pods an application has, what they run and where."""

from typing import Any

import click

from cafe.api.names import APP_LABEL, REVISION_LABEL, UNIT_LABEL
from cafe.cli.errors import Exit
from cafe.cli.lazy import Command, Option
from cafe.cli.output import output_option, write_many
from cafe.cli.ports import Cluster, Document
from cafe.cli.resources import APPS, PODS
from cafe.cli.session import Session
from cafe.cli.views.drawing import pen_of
from cafe.cli.views.tables import age, table
from cafe.cli.views.trafficlines import phase_cell

HEADS = ("name", "unit", "revision", "ready", "traffic", "restarts", "age", "ip", "node", "images")


@click.command("pods", cls=Command, help="help.app.pods")
@click.argument("name")
@click.option("--no-headers", is_flag=True, cls=Option, help="option.no_headers")
@output_option(("wide", "json", "yaml", "name"))
@click.pass_obj
def pods(session: Session, name: str, output: str | None, *, no_headers: bool) -> int:
    """List an application's pods, by unit and name."""

    async def work(cluster: Cluster) -> int:
        key = session.key(cluster, name)
        await cluster.get(APPS, key)
        found = await cluster.list(PODS, key.namespace, labels=f"{APP_LABEL}={key.name}")
        found = sorted(found, key=lambda p: (unit_of(p), p["metadata"]["name"]))
        if output in {"json", "yaml", "name"}:
            write_many(session.terminal, found, str(output))
            return Exit.MET
        now, pen = session.wiring.clock.now(), pen_of(session.terminal)
        rows = [
            [
                *_row(pod),
                phase_cell(pod, now, pen),
                _restarts(pod),
                age(pod["metadata"].get("creationTimestamp"), now),
                *_place(pod),
            ]
            for pod in found
        ]
        heads = [session.terminal.words(f"pods.{head}") for head in HEADS]
        for line in table(heads, rows, has_heads=not no_headers):
            session.terminal.write(line)
        return Exit.MET

    return session.run(work)


def unit_of(pod: Document) -> str:
    """Return the unit that a pod belongs to; empty if its application has none."""
    return str((pod["metadata"].get("labels") or {}).get(UNIT_LABEL, ""))


def _row(pod: Document) -> list[str]:
    labels = pod["metadata"].get("labels") or {}
    reports: list[dict[str, Any]] = (pod.get("status") or {}).get("containerStatuses") or []
    ready = sum(bool(r.get("ready")) for r in reports)
    return [
        pod["metadata"]["name"],
        unit_of(pod) or "-",
        labels.get(REVISION_LABEL, "-"),
        f"{ready}/{len(pod['spec'].get('containers') or [])} {_state(pod)}",
    ]


def _restarts(pod: Document) -> str:
    reports: list[dict[str, Any]] = (pod.get("status") or {}).get("containerStatuses") or []
    return str(sum(int(r.get("restartCount", 0)) for r in reports))


def _state(pod: Document) -> str:
    """Return the most telling word on a pod, as `kubectl get pods` would."""
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = pod.get("status") or {}
    for report in status.get("containerStatuses") or []:
        if reason := ((report.get("state") or {}).get("waiting") or {}).get("reason"):
            return str(reason)
    return str(status.get("reason") or status.get("phase") or "Pending")


def _place(pod: Document) -> list[str]:
    status, spec = pod.get("status") or {}, pod["spec"]
    images = ",".join(str(c.get("image", "")).rsplit("/", 1)[-1] for c in spec.get("containers") or [])
    return [status.get("podIP") or "-", spec.get("nodeName") or "-", images]
