"""`cafe app list|get|history`: looking, without touching."""

from collections.abc import Sequence

import click

from cafe.api.cafedeployment import CafeDeployment
from cafe.cli.errors import Exit, Problem
from cafe.cli.lazy import Command, Option
from cafe.cli.messages import Catalogue
from cafe.cli.output import output_option, structured, write_many, write_one
from cafe.cli.ports import Cluster
from cafe.cli.resources import APPS
from cafe.cli.session import Session
from cafe.cli.views.appview import Caller, draw_app, why
from cafe.cli.views.drawing import pen_of
from cafe.cli.views.picture import Picture, Revision, app_of, images_of, load_app, load_revisions, surround
from cafe.cli.views.tables import age, narrowed, table

HISTORY_LOOSE = (2, 3, 5)
"""Columns of the history that may be cut at a terminal: images, where it runs, cause."""


def caller_of(session: Session, cluster: Cluster, namespace: str) -> Caller:
    """Return how commands are to be written for this user."""
    return Caller(session.program, "" if namespace == cluster.place.namespace else namespace)


@click.command("list", cls=Command, help="help.app.list")
@click.option("-A", "--all-namespaces", is_flag=True, cls=Option, help="option.all_namespaces")
@click.option("-l", "--selector", default="", cls=Option, help="option.selector")
@click.option("--no-headers", is_flag=True, cls=Option, help="option.no_headers")
@output_option()
@click.pass_obj
def list_(
    session: Session, *, all_namespaces: bool, selector: str, no_headers: bool, output: str | None
) -> int:
    """List applications."""

    async def work(cluster: Cluster) -> int:
        namespace = None if all_namespaces else session.namespace or cluster.place.namespace
        documents = await cluster.list(APPS, namespace, labels=selector)
        if output in {"json", "yaml", "name"}:
            write_many(session.terminal, documents, str(output))
            return Exit.MET
        if not documents:
            session.terminal.say("list.empty", namespace=namespace or "*", program=session.program)
            return Exit.MET
        rows = [_row(session, app_of(d), all_namespaces=all_namespaces, output=output) for d in documents]
        names = ["name", "desired", "updated", "available", "group", "phase", "age"]
        names = (["namespace"] if all_namespaces else []) + names
        names += ["revision", "plan", "images", "why"] if output == "wide" else ["why"]
        heads = [session.terminal.words(f"list.{n}") for n in names]
        pen = pen_of(session.terminal)
        for line in table(heads, rows, has_heads=not no_headers):
            session.terminal.write(pen.cut(line) if session.terminal.is_tty and output is None else line)
        return Exit.MET

    return session.run(work)


def _row(session: Session, app: CafeDeployment, *, all_namespaces: bool, output: str | None) -> Sequence[str]:
    words, status, meta = session.terminal.words, app.status, app.metadata
    row = [
        meta.name,
        str(app.spec.replicas),
        str(status.updated_replicas),
        str(status.available_replicas),
        status.progress or "-",
        status.phase or "-",
        age(meta.creation_timestamp, session.wiring.clock.now()),
    ]
    if output == "wide":
        plan = status.plan.hash if status.plan else "-"
        row += [status.update_revision or "-", plan, ",".join(images_of({"spec": app.spec.template.spec}))]
    row.append("-" if status.phase == "Complete" else why(app, words))
    return [meta.namespace, *row] if all_namespaces else row


@click.command("get", cls=Command, help="help.app.get")
@click.argument("name")
@output_option(("json", "yaml", "name"))
@click.pass_obj
def get(session: Session, name: str, output: str | None) -> int:
    """Show one application: why it stands where it stands, and the matrix."""

    async def work(cluster: Cluster) -> int:
        key = session.key(cluster, name)
        document = await cluster.get(APPS, key)
        if output:
            write_one(session.terminal, document, output)
            return Exit.MET
        picture = await surround(cluster, document, session.wiring.clock.now())
        lines = draw_app(picture, session.terminal, caller_of(session, cluster, key.namespace))
        session.terminal.show(*lines)
        return Exit.MET

    return session.run(work)


@click.command("history", cls=Command, help="help.app.history")
@click.argument("name")
@click.option("--no-headers", is_flag=True, cls=Option, help="option.no_headers")
@output_option(("wide", "json", "yaml", "name"))
@click.pass_obj
def history(session: Session, name: str, output: str | None, *, no_headers: bool) -> int:
    """List the stored revisions of an application, newest first."""

    async def work(cluster: Cluster) -> int:
        app, document = await load_app(cluster, session.key(cluster, name))
        revisions = list(reversed(await load_revisions(cluster, app)))
        picture = Picture(app=app, document=document, now=session.wiring.clock.now(), revisions=revisions)
        if output in {"json", "yaml"}:
            whole = [_described(picture, r) for r in revisions]
            session.terminal.write(structured({"kind": "History", "items": whole}, output))
            return Exit.MET
        if output == "name":
            for revision in revisions:
                session.terminal.write(str(revision.number))
            return Exit.MET
        tell = session.terminal.words
        rows = [_history_row(picture, r, tell, is_wide=output == "wide") for r in revisions]
        heads = ["revision", "hash", "images", "where", "age", "cause"]
        words = [session.terminal.words(f"history.{head}") for head in heads]
        if session.terminal.is_tty and output is None:
            rows = narrowed(words, rows, HISTORY_LOOSE, pen_of(session.terminal))
        for line in table(words, rows, has_heads=not no_headers):
            session.terminal.write(line)
        return Exit.MET

    return session.run(work)


def runs_in(picture: Picture, revision: Revision) -> dict[str, int]:
    """Return how many pods of each unit run a revision, as far as the status tells."""
    status = picture.app.status
    if revision.hash == status.update_revision:
        counts = {u.name: u.updated for u in status.units}
    elif revision.hash == status.current_revision:
        counts = {u.name: u.replicas - u.updated for u in status.units}
    else:
        counts = {}
    return {name: count for name, count in counts.items() if count > 0}


def _history_row(picture: Picture, revision: Revision, words: Catalogue, *, is_wide: bool) -> list[str]:
    where = ", ".join(f"{n}: {c}" if n else str(c) for n, c in runs_in(picture, revision).items())
    images = revision.images if is_wide else [image.rsplit("/", 1)[-1] for image in revision.images]
    units = ", ".join(sorted({unit for one in revision.overrides for unit in one.get("units") or ()}))
    told = ",".join(images)
    return [
        str(revision.number),
        revision.hash,
        words("history.otherwise", images=told, units=units) if units else told,
        where or "-",
        age(revision.created, picture.now),
        revision.cause or "-",
    ]


def _described(picture: Picture, revision: Revision) -> dict[str, object]:
    return {
        "revision": revision.number,
        "hash": revision.hash,
        "images": revision.images,
        "changeCause": revision.cause,
        "creationTimestamp": revision.created,
        "pods": runs_in(picture, revision),
        **({"overrides": revision.overrides} if revision.overrides else {}),
    }


def revision_numbered(revisions: Sequence[Revision], number: int, name: str) -> Revision:
    """Return the revision of that number.

    Raises:
        Problem: There is none.
    """
    for revision in revisions:
        if revision.number == number:
            return revision
    known = ", ".join(str(r.number) for r in revisions) or "none"
    raise Problem(
        Exit.NOT_FOUND,
        "NoRevision",
        f"{name} has no revision {number}.",
        f"Stored are: {known}",
        f"cafe app history {name}",
    )
