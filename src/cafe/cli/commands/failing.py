"""`cafe app skip|retry`: what to do about pods that fail in the middle of a release."""

from collections.abc import Sequence

import click

from cafe.api.names import APP_LABEL, SKIP_ANNOTATION, SPECIFIED_DELETE_LABEL
from cafe.cli.errors import Exit, Problem
from cafe.cli.guarding import change, moved
from cafe.cli.lazy import Command, Option
from cafe.cli.ports import Cluster, Document
from cafe.cli.resources import APPS, PODS
from cafe.cli.session import Session
from cafe.kernel import ObjectKey


@click.command("skip", cls=Command, help="help.app.skip")
@click.argument("name")
@click.argument("pods", nargs=-1, required=True)
@click.option("--reason", required=True, cls=Option, help="option.skip.reason")
@click.pass_obj
def skip(session: Session, name: str, pods: Sequence[str], reason: str) -> int:
    """Let a release go on without waiting for these pods."""

    async def work(cluster: Cluster) -> int:
        for pod in await _failing(session, cluster, name, pods):
            await _mark(cluster, pod, "annotations", {SKIP_ANNOTATION: reason})
            session.terminal.say("skip.done", pod=pod["metadata"]["name"])
        return Exit.MET

    return session.run(work)


@click.command("retry", cls=Command, help="help.app.retry")
@click.argument("name")
@click.argument("pods", nargs=-1)
@click.pass_obj
def retry(session: Session, name: str, pods: Sequence[str]) -> int:
    """Have failing pods made anew, at their revision and within the budget."""

    async def work(cluster: Cluster) -> int:
        for pod in await _failing(session, cluster, name, pods):
            await _mark(cluster, pod, "labels", {SPECIFIED_DELETE_LABEL: "true"})
            session.terminal.say("retry.done", pod=pod["metadata"]["name"])
        return Exit.MET

    return session.run(work)


async def _failing(
    session: Session, cluster: Cluster, name: str, wanted: Sequence[str]
) -> Sequence[Document]:
    """Return the pods that are meant: those named, or all that don't serve.

    Raises:
        Problem: One of them is not the application's, or serves; or none fails. Nothing was written.
    """
    key = session.key(cluster, name)
    await cluster.get(APPS, key)
    listed = await cluster.list(PODS, key.namespace, labels=f"{APP_LABEL}={key.name}")
    found = {pod["metadata"]["name"]: pod for pod in listed}
    if strangers := [pod for pod in wanted if pod not in found]:
        raise Problem(
            Exit.NOT_FOUND,
            "NotFound",
            f"{key.name} has no pod {', '.join(strangers)}.",
            "",
            f"cafe app pods {key.name} -n {key.namespace}",
        )
    if serving := [pod for pod in wanted if serves(found[pod])]:
        raise Problem(
            Exit.CONFLICT,
            "PodServes",
            f"{', '.join(serving)} is ready; nothing was written.",
            "Only pods that fail can be skipped or made anew",
            f"cafe app pods {key.name} -n {key.namespace}",
        )
    chosen = [found[pod] for pod in wanted] or [pod for pod in found.values() if not serves(pod)]
    if not chosen:
        raise Problem(
            Exit.CONFLICT,
            "NothingFails",
            f"All pods of {key.name} are ready; nothing was written.",
            "",
            f"cafe app get {key.name} -n {key.namespace}",
        )
    return chosen


def serves(pod: Document) -> bool:
    """Whether a pod is ready and stays."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    is_ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return is_ready and not pod["metadata"].get("deletionTimestamp")


async def _mark(cluster: Cluster, pod: Document, part: str, marks: dict[str, str]) -> None:
    meta = pod["metadata"]
    key = ObjectKey(meta["namespace"], meta["name"])

    def edit(wanted: Document) -> None:
        wanted["metadata"][part] = {**(wanted["metadata"].get(part) or {}), **marks}

    def still(found: Document) -> Problem | None:
        return moved(key, "it has become ready", PODS) if serves(found) else None

    await change(cluster, pod, edit, still, resource=PODS)
