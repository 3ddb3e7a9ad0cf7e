"""`cafe app plan|release`: what would happen, and making it happen."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from cafe.api.cafedeployment import CafeDeployment
from cafe.cli.changes import Change, edited, template_of
from cafe.cli.commands.reading import caller_of, revision_numbered
from cafe.cli.errors import Exit, Problem
from cafe.cli.guarding import change as write_change
from cafe.cli.guarding import same_spec
from cafe.cli.lazy import Command, Option
from cafe.cli.manifests import read_manifest
from cafe.cli.output import output_option, structured, write_one
from cafe.cli.ports import Cluster, Document, Preview
from cafe.cli.session import Session
from cafe.cli.views.appview import draw_app
from cafe.cli.views.picture import app_of, load_app, load_facts, load_revisions, surround
from cafe.cli.views.planview import draw_preview
from cafe.cli.views.shelf import service_of

OPTIONS: list[Callable[[Any], Any]] = [
    click.argument("name"),
    click.option("--image", "images", multiple=True, cls=Option, help="option.image"),
    click.option("--to-revision", type=click.IntRange(min=1), cls=Option, help="option.to_revision"),
    click.option("-f", "--template", cls=Option, help="option.template"),
    click.option("--replicas", type=click.IntRange(min=0), cls=Option, help="option.replicas"),
    click.option("--batch-size", type=click.IntRange(min=1), cls=Option, help="option.batch_size"),
    click.option("--groups", cls=Option, help="option.groups"),
    click.option(
        "--stop-before", type=click.IntRange(min=1), multiple=True, cls=Option, help="option.stop_before"
    ),
    click.option("--ask", type=click.Choice(["each", "first"]), cls=Option, help="option.ask"),
    click.option("--beta/--no-beta", default=None, cls=Option, help="option.beta"),
    click.option("--need-confirm/--no-need-confirm", default=None, cls=Option, help="option.need_confirm"),
    click.option("--max-unavailable", cls=Option, help="option.max_unavailable"),
]


def release_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that say what is to change."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def count_or_percent(text: str) -> int | str:
    """Read a budget: a count from 1 or a percentage from 1% to 100%.

    Raises:
        Problem: It is neither.
    """
    number = text.removesuffix("%")
    if number.isdigit() and int(number) >= 1 and (text == number or int(number) <= 100):
        return int(text) if text == number else text
    raise Problem(
        Exit.USAGE,
        "BadBudget",
        f"--max-unavailable is {text!r}.",
        "With 0 no pod could ever be updated",
        "Write a count from 1, or a percentage from 1% to 100%.",
    )


def grouping_of(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of `spec.strategy.grouping` that the options set.

    Raises:
        Problem: `--groups` says nothing that we know.
    """
    grouping: dict[str, Any] = {}
    if text := asked.get("groups"):
        words = {"each": "EachOne", "all": "AllOne", "cell": "Cell", "batch": "BatchSize"}
        count, _, most = text.partition(":")
        if text in words:
            grouping["strategy"] = words[text]
        elif text.endswith("%") and text[:-1].isdigit() and 1 <= int(text[:-1]) <= 100:
            grouping |= {"strategy": "CellPercentage", "percent": int(text[:-1])}
        elif count.isdigit() and int(count) >= 1 and (most.isdigit() or not most):
            grouping |= {"strategy": "Count", "count": int(count), "maxCapacity": int(most or 0)}
        else:
            raise Problem(
                Exit.USAGE,
                "BadGroups",
                f"--groups is {text!r}.",
                "",
                "Write each, all, cell, batch, a percentage of every cell (25%), a least number of groups "
                "(4), or that with the most pods of one (4:10).",
            )
    if asked.get("stop_before"):
        grouping["breakpoints"] = sorted(set(asked["stop_before"]))
    if asked.get("ask"):
        grouping["confirm"] = asked["ask"].capitalize()
    return grouping


def strategy_of(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of `spec.strategy` that the options set."""
    strategy: dict[str, Any] = {}
    if asked.get("batch_size") is not None:
        strategy["batchSize"] = asked["batch_size"]
    if grouping := grouping_of(asked):
        strategy["grouping"] = grouping
    if asked.get("beta") is not None:
        strategy["upgradeType"] = "Beta" if asked["beta"] else "Batch"
    if asked.get("need_confirm") is not None:
        strategy["needWaitingForConfirm"] = asked["need_confirm"]
    if asked.get("max_unavailable") is not None:
        strategy["maxUnavailable"] = count_or_percent(asked["max_unavailable"])
    return strategy


@dataclass(frozen=True, slots=True)
class Intent:
    """A change, and what it would do to the application that was read."""

    shown: Document
    change: Change
    now: CafeDeployment
    wanted: CafeDeployment
    preview: Preview


async def intend(session: Session, cluster: Cluster, asked: dict[str, Any]) -> Intent:
    """Read the application and work out what the options would do to it."""
    app, document = await load_app(cluster, session.key(cluster, asked["name"]))
    change = await _change(cluster, app, asked)
    wanted = app_of(edited(document, change))
    facts = await load_facts(cluster, app)
    return Intent(document, change, app, wanted, session.wiring.planner.preview(app, wanted, facts))


async def _change(cluster: Cluster, app: CafeDeployment, asked: dict[str, Any]) -> Change:
    name, images = asked["name"], tuple(asked["images"])
    number, path = asked["to_revision"], asked["template"]
    if sum(bool(x) for x in (images, number, path)) > 1:
        raise Problem(
            Exit.USAGE,
            "Usage",
            "--image, --to-revision and -f each name a template; only one of them can be meant.",
            "",
            "Keep one of them.",
        )
    template, overrides, cause = None, None, ""
    if number:
        revision = revision_numbered(await load_revisions(cluster, app), number, name)
        template, overrides = revision.template, revision.overrides
        cause = f"cafe app release --to-revision {number}"
    elif path:
        template = template_of([d.body for d in read_manifest(path)], path)
        cause = f"cafe app release -f {Path(path).name}"
    elif images:
        cause = "cafe app release " + " ".join(f"--image {image}" for image in images)
    cause = asked.get("cause") or cause
    return Change(images, template, strategy_of(asked), asked["replicas"], cause, overrides)


@click.command("plan", cls=Command, help="help.app.plan")
@release_options
@output_option(("json", "yaml"))
@click.pass_obj
def plan(session: Session, /, output: str | None, **asked: Any) -> int:  # noqa: ANN401 -- the options
    """Show the plan that is followed, or the one that a change would bring."""

    async def work(cluster: Cluster) -> int:
        intent = await intend(session, cluster, asked)
        followed = intent.now.status.plan if intent.change.is_empty else None
        if output:
            session.terminal.write(structured(followed or intent.preview.plan, output))
        elif followed is not None:
            picture = await surround(cluster, intent.shown, session.wiring.clock.now())
            caller = caller_of(session, cluster, intent.now.metadata.namespace)
            session.terminal.show(*draw_app(picture, session.terminal, caller))
        else:
            lines = draw_preview(intent.now, intent.wanted, intent.preview, session.terminal)
            session.terminal.show(*lines)
        return Exit.MET

    return session.run(work)


@click.command("release", cls=Command, help="help.app.release")
@release_options
@click.option("--cause", default="", cls=Option, help="option.cause")
@click.option("--dry-run", is_flag=True, cls=Option, help="option.dry_run")
@click.option("--yes", "-y", is_flag=True, cls=Option, help="option.yes")
@output_option(("json", "yaml", "name"))
@click.pass_obj
def release(session: Session, /, output: str | None, *, yes: bool, dry_run: bool, **asked: Any) -> int:  # noqa: ANN401 -- the options
    """Release a new template, or go back to an old one."""

    async def work(cluster: Cluster) -> int:
        return await release_asked(session, cluster, asked, output, may_write=yes, dry_run=dry_run)

    return session.run(work)


async def release_asked(
    session: Session,
    cluster: Cluster,
    asked: dict[str, Any],
    output: str | None,
    *,
    may_write: bool,
    dry_run: bool,
) -> int:
    """Show what a change would do, ask, and write it.

    Raises:
        Problem: It can't be done, or nobody agrees.
    """
    terminal = session.terminal
    intent = await intend(session, cluster, asked)
    if intent.change.is_empty:
        raise Problem(
            Exit.USAGE,
            "NothingAsked",
            "Nothing to release was named.",
            "",
            f"{session.program} app release {asked['name']} --image IMAGE, --to-revision N or -f FILE",
        )
    demand_unrendered(session, intent.now)
    lines = draw_preview(intent.now, intent.wanted, intent.preview, terminal)
    console = terminal.console(terminal.err if output else terminal.out)
    for line in lines:
        console.print(line)
    if intent.preview.is_refused:
        raise Problem(
            Exit.FAILURE,
            "InPlaceImpossible",
            "This change can't be made in place, and podUpgradePolicy is InPlaceOnly.",
            f"It changes {', '.join(intent.preview.recreated_because)}",
            "Change images, labels and annotations only, or set podUpgradePolicy: InPlaceIfPossible.",
        )
    if msgspec.to_builtins(intent.wanted.spec) == msgspec.to_builtins(intent.now.spec):
        terminal.say("release.unchanged", name=intent.now.metadata.name)
        return Exit.MET
    if not (dry_run or may_write or agreed(session, intent)):
        terminal.say("release.declined")
        return Exit.FAILURE
    return await _write(session, cluster, intent, output, dry_run=dry_run)


def demand_unrendered(session: Session, app: CafeDeployment) -> None:
    """Refuse to change what a service would change back.

    Raises:
        Problem: The application is rendered from a CafeAppService.
    """
    service, program = service_of(app), session.program
    if service:
        raise Problem(
            Exit.CONFLICT,
            "BelongsToService",
            f"{app.metadata.name} is rendered from CafeAppService {service}; nothing was written.",
            "What is changed here would be brought back at once",
            f"{program} app image {service} IMAGE, then {program} app publish {service} N; "
            f"to go back: {program} app rollback {service}",
        )


def agreed(session: Session, intent: Intent) -> bool:
    """Ask for the go-ahead.

    Raises:
        Problem: Nobody is there to answer.
    """
    name = intent.now.metadata.name
    if session.terminal.may_ask:
        return session.confirm(session.terminal.words("release.ask", name=name))
    raise Problem(
        Exit.USAGE,
        "YesNeeded",
        "Nobody is there to agree to this release; nothing was written.",
        "The input is no terminal",
        "Repeat with --yes.",
    )


async def _write(
    session: Session, cluster: Cluster, intent: Intent, output: str | None, *, dry_run: bool
) -> int:
    def edit(document: Document) -> None:
        wanted = edited(document, intent.change)
        document["spec"], document["metadata"] = wanted["spec"], wanted["metadata"]

    stored = await write_change(cluster, intent.shown, edit, same_spec(intent.shown), dry_run=dry_run)
    meta = intent.now.metadata
    if output:
        write_one(session.terminal, stored, output)
    if dry_run:
        session.terminal.say("release.dry_run", name=meta.name)
        return Exit.MET
    caller = caller_of(session, cluster, meta.namespace)
    session.terminal.say("release.done", name=meta.name, watch=caller.command("watch", meta.name))
    return Exit.MET
