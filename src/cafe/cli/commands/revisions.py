"""`cafe app revisions|diff|image|hold|unhold`: the kept edits of an application service."""

from copy import deepcopy

import click
import msgspec

from cafe.api.cafeapprevision import AppContent, CafeAppRevision
from cafe.api.names import CHANGE_CAUSE_ANNOTATION
from cafe.api.overrides import settings_by_unit
from cafe.cli.changes import Change, edited
from cafe.cli.errors import Exit, Problem
from cafe.cli.guarding import change as write_change
from cafe.cli.guarding import same_spec
from cafe.cli.lazy import Command, Option
from cafe.cli.output import output_option, structured, write_many, write_one
from cafe.cli.ports import Cluster, Document
from cafe.cli.resources import APP_REVISIONS, APP_SERVICES
from cafe.cli.session import Session
from cafe.cli.views.differences import draw_differences
from cafe.cli.views.drawing import pen_of
from cafe.cli.views.picture import images_of
from cafe.cli.views.shelf import Shelf, load_shelf
from cafe.cli.views.tables import age, narrowed, table

LOOSE = (2, 5)
"""Columns that may be cut at a terminal: images, cause."""


@click.command("revisions", cls=Command, help="help.app.revisions")
@click.argument("name")
@click.option("--no-headers", is_flag=True, cls=Option, help="option.no_headers")
@output_option()
@click.pass_obj
def revisions(session: Session, name: str, output: str | None, *, no_headers: bool) -> int:
    """List the revisions of an application service, newest first."""

    async def work(cluster: Cluster) -> int:
        shelf = await load_shelf(cluster, session.key(cluster, name))
        newest = list(reversed(shelf.revisions))
        if output in {"json", "yaml", "name"}:
            write_many(session.terminal, [shelf.documents[r.spec.number] for r in newest], str(output))
            return Exit.MET
        words = session.terminal.words
        rows = [_row(session, shelf, r, is_wide=output == "wide") for r in newest]
        heads = [words(f"revisions.{h}") for h in ("number", "digest", "images", "state", "age", "cause")]
        if session.terminal.is_tty and output is None:
            rows = narrowed(heads, rows, LOOSE, pen_of(session.terminal))
        for line in table(heads, rows, has_heads=not no_headers):
            session.terminal.write(line)
        return Exit.MET

    return session.run(work)


def _row(session: Session, shelf: Shelf, revision: CafeAppRevision, *, is_wide: bool) -> list[str]:
    spec, status, words = revision.spec, shelf.service.status, session.terminal.words
    images = images_of({"spec": spec.content.template.spec})
    states = [
        words(f"revisions.{word}")
        for word, holds in (
            ("live", spec.number == status.live_revision),
            ("good", spec.number == status.last_good_revision),
            ("edited", spec.number == status.spec_revision),
        )
        if holds
    ]
    if spec.hold is not None:
        states.append(words("revisions.held", reason=spec.hold.reason))
    told = ",".join(images if is_wide else [image.rsplit("/", 1)[-1] for image in images])
    units = ", ".join(sorted(settings_by_unit(spec.content.deploy.topology.overrides)))
    return [
        str(spec.number),
        spec.digest,
        words("history.otherwise", images=told, units=units) if units else told,
        ", ".join(states) or "-",
        age(revision.metadata.creation_timestamp, session.wiring.clock.now()),
        spec.cause or "-",
    ]


@click.command("diff", cls=Command, help="help.app.diff")
@click.argument("name")
@click.argument("old", type=click.IntRange(min=1), required=False)
@click.argument("new", type=click.IntRange(min=1), required=False)
@output_option(("json", "yaml"))
@click.pass_obj
def diff(session: Session, name: str, old: int | None, new: int | None, output: str | None) -> int:
    """Show how two revisions differ. Exit code 10 if they do."""

    async def work(cluster: Cluster) -> int:
        shelf = await load_shelf(cluster, session.key(cluster, name))
        before, after = _contents(session, shelf, old, new)
        changes = session.wiring.librarian.compare(before, after)
        if output:
            risk = "High" if any(c.is_risky for c in changes) else "Ordinary"
            whole = {"kind": "Comparison", "risk": risk, "changes": msgspec.to_builtins(changes)}
            session.terminal.write(structured(whole, output))
        else:
            session.terminal.show(*draw_differences(changes, session.terminal))
        return Exit.DIFFERENT if changes else Exit.MET

    return session.run(work)


def _contents(
    session: Session, shelf: Shelf, old: int | None, new: int | None
) -> tuple[AppContent, AppContent]:
    """Return what is compared: by default what is live, and what the service says now."""
    if old is None:
        if shelf.live is None:
            raise Problem(
                Exit.NOT_FOUND,
                "NothingLive",
                f"Nothing of {shelf.name} is live, so there is nothing to compare with.",
                "",
                f"Name two revisions: cafe app diff {shelf.name} 1 2",
            )
        before = shelf.live.spec.content
    else:
        before = shelf.revision(old).spec.content
    if new is not None:
        return before, shelf.revision(new).spec.content
    return before, session.wiring.librarian.content_of(shelf.service)


@click.command("image", cls=Command, help="help.app.image")
@click.argument("name")
@click.argument("images", nargs=-1, required=True)
@click.option("--cause", default="", cls=Option, help="option.cause")
@click.option("--discard-edits", is_flag=True, cls=Option, help="option.discard_edits")
@output_option(("json", "yaml", "name"))
@click.pass_obj
def image(
    session: Session,
    name: str,
    images: tuple[str, ...],
    cause: str,
    output: str | None,
    *,
    discard_edits: bool,
) -> int:
    """Make a revision that differs from the live one in images only."""

    async def work(cluster: Cluster) -> int:
        shelf = await load_shelf(cluster, session.key(cluster, name))
        _demand_no_edits(session, shelf, may_discard=discard_edits)
        base = shelf.live.spec.content if shelf.live else session.wiring.librarian.content_of(shelf.service)
        said = cause or "cafe app image " + " ".join(images)

        def edit(document: Document) -> None:
            wanted = deepcopy(document)
            wanted["spec"] = {
                **{k: v for k, v in document["spec"].items() if k in RUNTIME},
                **msgspec.to_builtins(base),
            }
            wanted = edited(wanted, Change(images))
            document["spec"] = wanted["spec"]
            document["metadata"].setdefault("annotations", {})[CHANGE_CAUSE_ANNOTATION] = said

        stored = await write_change(
            cluster, shelf.document, edit, same_spec(shelf.document, APP_SERVICES), resource=APP_SERVICES
        )
        if output:
            write_one(session.terminal, stored, output)
        session.terminal.say("image.done", name=shelf.name, program=session.program)
        return Exit.MET

    return session.run(work)


RUNTIME = ("draft", "publish", "driftPolicy", "historyLimit")
"""Fields of a service's spec that are no part of a revision."""


def _demand_no_edits(session: Session, shelf: Shelf, *, may_discard: bool) -> None:
    """Refuse to lose what somebody has edited and not published.

    Raises:
        Problem: There are such edits.
    """
    if shelf.live is None or may_discard:
        return
    changes = session.wiring.librarian.compare(
        shelf.live.spec.content, session.wiring.librarian.content_of(shelf.service)
    )
    if changes:
        raise Problem(
            Exit.CONFLICT,
            "UnpublishedEdits",
            f"{shelf.name} has edits that are not live; nothing was written.",
            f"They change {', '.join(c.path for c in changes[:3])}{' and more' if len(changes) > 3 else ''}",
            "Publish them first, or repeat with --discard-edits; a revision keeps them in any case.",
        )


@click.command("hold", cls=Command, help="help.app.hold")
@click.argument("name")
@click.argument("number", type=click.IntRange(min=1))
@click.option("--reason", required=True, cls=Option, help="option.reason")
@click.pass_obj
def hold(session: Session, name: str, number: int, reason: str) -> int:
    """Keep a revision from being made live."""
    return session.run(lambda cluster: _hold(session, cluster, name, number, reason))


@click.command("unhold", cls=Command, help="help.app.unhold")
@click.argument("name")
@click.argument("number", type=click.IntRange(min=1))
@click.pass_obj
def unhold(session: Session, name: str, number: int) -> int:
    """Let a revision be made live again."""
    return session.run(lambda cluster: _hold(session, cluster, name, number, ""))


async def _hold(session: Session, cluster: Cluster, name: str, number: int, reason: str) -> int:
    shelf = await load_shelf(cluster, session.key(cluster, name))
    await set_hold(cluster, shelf, number, reason)
    key = "hold.done" if reason else "unhold.done"
    session.terminal.say(key, name=shelf.name, number=number)
    return Exit.MET


async def set_hold(cluster: Cluster, shelf: Shelf, number: int, reason: str) -> None:
    """Put a revision on hold, or lift its hold if *reason* is empty.

    Raises:
        Problem: There is no such revision, or it changed meanwhile.
    """
    shelf.revision(number)
    document = shelf.documents[number]

    def edit(wanted: Document) -> None:
        wanted["spec"].pop("hold", None)
        if reason:
            wanted["spec"]["hold"] = {"reason": reason}

    def still(_: Document) -> Problem | None:
        return None

    await write_change(cluster, document, edit, still, resource=APP_REVISIONS)
