"""`cafe app publish|rollback`: making a revision of an application service live."""

from collections.abc import Sequence
from dataclasses import dataclass

import click

from cafe.api.cafeapprevision import CafeAppRevision
from cafe.cli.commands.reading import caller_of
from cafe.cli.commands.revisions import set_hold
from cafe.cli.errors import Exit, Problem
from cafe.cli.guarding import change as write_change
from cafe.cli.guarding import same_spec
from cafe.cli.lazy import Command, Option
from cafe.cli.output import output_option, write_one
from cafe.cli.ports import Cluster, Difference, Document
from cafe.cli.resources import APP_SERVICES, APPS
from cafe.cli.session import Session
from cafe.cli.views.differences import draw_differences
from cafe.cli.views.picture import app_of, load_facts
from cafe.cli.views.planview import draw_preview
from cafe.cli.views.shelf import Shelf, load_shelf


@dataclass(frozen=True, slots=True)
class Consent:
    """How far the user has agreed beforehand."""

    may_write: bool
    accepts_risk: bool
    dry_run: bool


@click.command("publish", cls=Command, help="help.app.publish")
@click.argument("name")
@click.argument("number", type=click.IntRange(min=1))
@click.option("--dry-run", is_flag=True, cls=Option, help="option.dry_run")
@click.option("--yes", "-y", is_flag=True, cls=Option, help="option.yes")
@click.option("--accept-risk", is_flag=True, cls=Option, help="option.accept_risk")
@output_option(("json", "yaml", "name"))
@click.pass_obj
def publish(session: Session, /, name: str, number: int, output: str | None, **agreed: bool) -> int:
    """Make a revision live."""
    consent = Consent(agreed["yes"], agreed["accept_risk"], agreed["dry_run"])
    return session.run(lambda cluster: _publish_asked(session, cluster, (name, number), consent, output))


async def _publish_asked(
    session: Session, cluster: Cluster, asked: tuple[str, int], consent: Consent, output: str | None
) -> int:
    name, number = asked
    shelf = await load_shelf(cluster, session.key(cluster, name))
    revision = _publishable(shelf, number)
    if shelf.service.spec.publish.revision == number:
        session.terminal.say("publish.already", name=shelf.name, number=number)
        return Exit.MET
    changes = await _show(session, cluster, shelf, revision, has_output=output is not None)
    if not _is_agreed(session, shelf, changes, consent):
        session.terminal.say("release.declined")
        return Exit.FAILURE
    stored = await _publish(cluster, shelf, number, dry_run=consent.dry_run)
    return _told(session, cluster, shelf, number, (stored, output, consent.dry_run))


@click.command("rollback", cls=Command, help="help.app.rollback")
@click.argument("name")
@click.option("--to", "number", type=click.IntRange(min=1), cls=Option, help="option.rollback_to")
@click.option("--reason", required=True, cls=Option, help="option.reason")
@click.option("--dry-run", is_flag=True, cls=Option, help="option.dry_run")
@click.option("--yes", "-y", is_flag=True, cls=Option, help="option.yes")
@output_option(("json", "yaml", "name"))
@click.pass_obj
def rollback(
    session: Session, /, name: str, number: int | None, reason: str, output: str | None, **agreed: bool
) -> int:
    """Go back to an earlier revision, and put the one that is left on hold."""
    consent = Consent(agreed["yes"], accepts_risk=True, dry_run=agreed["dry_run"])
    asked = (name, number, reason)
    return session.run(lambda cluster: go_back(session, cluster, asked, consent, output))


async def go_back(
    session: Session,
    cluster: Cluster,
    asked: tuple[str, int | None, str],
    consent: Consent,
    output: str | None,
) -> int:
    """Make an earlier revision live, and hold the one that is left.

    Args:
        session: The terminal.
        cluster: The cluster.
        asked: Name, number (None for the last that was released whole), reason.
        consent: What is agreed beforehand.
        output: Machine-readable output instead of words.

    Raises:
        Problem: There is no such way back.
    """
    name, number, reason = asked
    shelf = await load_shelf(cluster, session.key(cluster, name))
    failed = shelf.service.status.live_revision
    target = _publishable(shelf, number or _way_back(shelf))
    if target.spec.number == failed:
        raise Problem(
            Exit.USAGE,
            "AlreadyLive",
            f"Revision {failed} is live; to go back to it would change nothing.",
            "",
            f"cafe app revisions {shelf.name}",
        )
    await _show(session, cluster, shelf, target, has_output=output is not None)
    # The way back is never barred by a risk: what is left is the greater one.
    if not _is_agreed(session, shelf, (), consent):
        session.terminal.say("release.declined")
        return Exit.FAILURE
    if not consent.dry_run and failed in shelf.documents:
        # First of all: were we to die here, the revision that failed could not be made live anew.
        await set_hold(cluster, shelf, failed, reason)
    stored = await _publish(cluster, shelf, target.spec.number, dry_run=consent.dry_run)
    return _told(session, cluster, shelf, target.spec.number, (stored, output, consent.dry_run))


def _publishable(shelf: Shelf, number: int) -> CafeAppRevision:
    """Return the revision of that number, if it may be made live.

    Raises:
        Problem: There is none, or it is on hold.
    """
    revision = shelf.revision(number)
    if revision.spec.hold is not None:
        raise Problem(
            Exit.CONFLICT,
            "RevisionHeld",
            f"Revision {number} of {shelf.name} is on hold; nothing was written.",
            f"The reason is: {revision.spec.hold.reason}",
            f"cafe app unhold {shelf.name} {number}, if that is settled",
        )
    return revision


def _way_back(shelf: Shelf) -> int:
    """Return the last revision that was released whole, or else the one before the live one.

    Raises:
        Problem: There is nothing to go back to.
    """
    status = shelf.service.status
    if status.last_good_revision not in {0, status.live_revision}:
        return status.last_good_revision
    earlier = [
        r.spec.number for r in shelf.revisions if r.spec.number < status.live_revision and r.spec.hold is None
    ]
    if earlier:
        return max(earlier)
    raise Problem(
        Exit.NOT_FOUND,
        "NoWayBack",
        f"{shelf.name} has no earlier revision that may be made live.",
        "",
        f"cafe app revisions {shelf.name}",
    )


async def _show(
    session: Session, cluster: Cluster, shelf: Shelf, revision: CafeAppRevision, *, has_output: bool
) -> Sequence[Difference]:
    """Show what changes and in which groups; return what changes."""
    terminal, librarian = session.terminal, session.wiring.librarian
    console = terminal.console(terminal.err if has_output else terminal.out)
    changes: Sequence[Difference] = ()
    if shelf.live is not None:
        changes = librarian.compare(shelf.live.spec.content, revision.spec.content)
        for line in draw_differences(changes, terminal):
            console.print(line)
    meta = shelf.service.metadata
    found = [d for d in await cluster.list(APPS, meta.namespace) if d["metadata"]["name"] == meta.name]
    if not found:
        console.print(terminal.words("publish.first", name=meta.name))
        return changes
    now = app_of(found[0])
    rendered = librarian.application(shelf.service, revision, now.spec.replicas)
    wanted = app_of({**found[0], "spec": rendered["spec"]})
    facts = await load_facts(cluster, now)
    for line in draw_preview(now, wanted, session.wiring.planner.preview(now, wanted, facts), terminal):
        console.print(line)
    return changes


def _is_agreed(session: Session, shelf: Shelf, changes: Sequence[Difference], consent: Consent) -> bool:
    """Ask for the go-ahead; a risky change needs more than `--yes`.

    Raises:
        Problem: Nobody is there to answer.
    """
    risky = [c.path for c in changes if c.is_risky]
    if consent.dry_run or (consent.may_write and (consent.accepts_risk or not risky)):
        return True
    if session.terminal.may_ask and not consent.may_write:
        question = "publish.ask_risky" if risky else "publish.ask"
        return session.confirm(session.terminal.words(question, name=shelf.name, count=len(risky)))
    if risky and consent.may_write:
        raise Problem(
            Exit.NEEDS_HUMAN,
            "HighRisk",
            f"The change of {shelf.name} is risky; nothing was written.",
            f"It changes {', '.join(risky)}",
            "Look at the reasons above; if they are meant, repeat with --accept-risk.",
        )
    raise Problem(
        Exit.USAGE,
        "YesNeeded",
        "Nobody is there to agree to this release; nothing was written.",
        "The input is no terminal",
        "Repeat with --yes.",
    )


async def _publish(cluster: Cluster, shelf: Shelf, number: int, *, dry_run: bool) -> Document:
    def edit(document: Document) -> None:
        document["spec"]["publish"] = {**(document["spec"].get("publish") or {}), "revision": number}

    still = same_spec(shelf.document, APP_SERVICES)
    return await write_change(cluster, shelf.document, edit, still, dry_run=dry_run, resource=APP_SERVICES)


def _told(
    session: Session, cluster: Cluster, shelf: Shelf, number: int, outcome: tuple[Document, str | None, bool]
) -> int:
    stored, output, dry_run = outcome
    if output:
        write_one(session.terminal, stored, output)
    if dry_run:
        session.terminal.say("release.dry_run", name=shelf.name)
        return Exit.MET
    caller = caller_of(session, cluster, shelf.service.metadata.namespace)
    watch = caller.command("watch", shelf.name)
    session.terminal.say("publish.done", name=shelf.name, number=number, watch=watch)
    return Exit.MET
