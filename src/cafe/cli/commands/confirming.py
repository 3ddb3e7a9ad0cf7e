"""`cafe app confirm`: a person's word for the group and the plan that were shown, and for no other."""

import asyncio
from dataclasses import dataclass

import click

from cafe.api.cafedeployment import CafeDeployment, Waiting
from cafe.api.names import CONFIRM_ANNOTATION
from cafe.cli.commands.reading import caller_of
from cafe.cli.errors import Exit, Problem
from cafe.cli.guarding import change
from cafe.cli.lazy import Command, Option
from cafe.cli.ports import Cluster, Document
from cafe.cli.resources import APPS
from cafe.cli.session import Session
from cafe.cli.views.appview import draw_app, group_option, group_word
from cafe.cli.views.picture import app_of, load_app, surround
from cafe.kernel import ObjectKey

PATIENCE = 30
"""Seconds that the controller may take to see a confirmation."""


@dataclass(frozen=True, slots=True)
class Word:
    """What is confirmed."""

    group: int
    plan: str

    @property
    def annotation(self) -> str:
        """The value that the controller understands."""
        return f"{self.group}/{self.plan}"


class GroupType(click.ParamType[int]):
    """`beta` or a number from 1."""

    name = "GROUP"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the group."""
        text = str(value).lower()
        if text in {"beta", "0"}:
            return 0
        if text.isdigit():
            return int(text)
        raise click.BadParameter(f"{value!r} is no group; write beta, 1, 2…", ctx, param)


@click.command("confirm", cls=Command, help="help.app.confirm")
@click.argument("name")
@click.option("--group", type=GroupType(), cls=Option, help="option.group")
@click.option("--plan", cls=Option, help="option.plan")
@click.option("--yes", "-y", is_flag=True, cls=Option, help="option.yes")
@click.option(
    "--timeout", type=click.IntRange(min=1), default=PATIENCE, cls=Option, help="option.take_timeout"
)
@click.pass_obj
def confirm(
    session: Session, name: str, group: int | None, plan: str | None, *, yes: bool, timeout: int
) -> int:
    """Let the next group start."""

    async def work(cluster: Cluster) -> int:
        app, document = await load_app(cluster, session.key(cluster, name))
        if group is not None and plan:
            word = Word(group, plan)
        else:
            word = await _asked(session, cluster, document, yes=yes)
        if (problem := objection(app, word, session.program)) is not None:
            raise problem
        return await _confirm(session, cluster, document, word, timeout)

    return session.run(work)


async def _asked(session: Session, cluster: Cluster, document: Document, *, yes: bool) -> Word:
    """Show what waits and ask.

    Raises:
        Problem: Nothing waits, or nobody is there to answer.
    """
    app, terminal = app_of(document), session.terminal
    if yes or not terminal.may_ask:
        raise Problem(
            Exit.USAGE,
            "GroupAndPlanNeeded",
            "A confirmation without a person to ask must name what it confirms; nothing was written.",
            "--group and --plan say which group of which plan was looked at",
            what_waits(app, session.program) or f"{session.program} app get {app.metadata.name}",
        )
    waiting = app.status.waiting
    if not waits(app) or waiting is None or waiting.group is None:
        raise early(app, None, session.program)
    picture = await surround(cluster, document, session.wiring.clock.now())
    caller = caller_of(session, cluster, app.metadata.namespace)
    for line in draw_app(picture, terminal, caller):
        terminal.console(terminal.err).print(line)
    group = group_word(waiting.group, terminal.words)
    if not session.confirm(terminal.words("confirm.ask", group=group, plan=waiting.plan_hash)):
        raise Problem(Exit.FAILURE, "Declined", terminal.words("confirm.declined"))
    return Word(waiting.group, waiting.plan_hash)


def waits(app: CafeDeployment) -> bool:
    """Say whether a group waits for a confirmation now."""
    waiting = app.status.waiting
    is_fresh = app.status.observed_generation >= app.metadata.generation
    return is_fresh and waiting is not None and waiting.reason == "WaitingForConfirm"


def what_waits(app: CafeDeployment, program: str) -> str:
    """Return the command that confirms what waits; empty if nothing does."""
    waiting: Waiting | None = app.status.waiting
    if not waits(app) or waiting is None or waiting.group is None:
        return ""
    group, plan = group_option(waiting.group), waiting.plan_hash
    return f"{program} app confirm {app.metadata.name} --group {group} --plan {plan}"


def objection(app: CafeDeployment, word: Word, program: str) -> Problem | None:
    """Say why *word* would not count now; None if it would. The rules are the controller's own."""
    status, waiting = app.status, app.status.waiting
    name, followed = app.metadata.name, status.plan.hash if status.plan else ""
    next_step = what_waits(app, program) or f"{program} app get {name}"
    if status.observed_generation < app.metadata.generation:
        return _refused(
            "ConfirmEarly",
            f"{name} was changed, and its controller has not made a plan for that yet.",
            next_step,
        )
    if word.plan != followed:
        return _refused(
            "ConfirmStale",
            f"Plan {word.plan} was looked at, but the plan is now {followed or 'not made yet'}.",
            next_step,
        )
    if status.confirmed_group is not None and word.group <= status.confirmed_group:
        return _refused("ConfirmRepeated", f"{_group(word.group)} was confirmed before.", next_step)
    if not waits(app) or waiting is None or waiting.group != word.group:
        return early(app, word.group, program)
    return None


def early(app: CafeDeployment, group: int | None, program: str) -> Problem:
    """Return the problem that nothing, or another group, waits."""
    waiting = app.status.waiting
    said = f"{_group(group)} does not wait for a confirmation." if group is not None else "Nothing waits."
    if waits(app) and waiting is not None and waiting.group is not None:
        said += f" {_group(waiting.group)} does."
    elif app.status.phase:
        said += f" The release is {app.status.phase}" + (f": {waiting.message}" if waiting else "") + "."
    next_step = what_waits(app, program) or f"{program} app get {app.metadata.name}"
    return _refused("ConfirmEarly", said.replace("..", "."), next_step)


def _group(index: int) -> str:
    return "Beta" if index == 0 else f"Group {index}"


def _refused(code: str, why: str, do: str) -> Problem:
    return Problem(
        Exit.CONFLICT, code, "The confirmation does not count; nothing was written.", why.rstrip("."), do
    )


async def _confirm(session: Session, cluster: Cluster, shown: Document, word: Word, patience: int) -> int:
    """Write the word, guarded, and wait until the controller took it."""

    def edit(document: Document) -> None:
        document["metadata"].setdefault("annotations", {})[CONFIRM_ANNOTATION] = word.annotation

    def still(document: Document) -> Problem | None:
        return objection(app_of(document), word, session.program)

    stored = app_of(await change(cluster, shown, edit, still))
    key = ObjectKey(stored.metadata.namespace, stored.metadata.name)
    session.terminal.say("confirm.written", group=group_word(word.group, session.terminal.words))
    try:
        async with asyncio.timeout(patience):
            taken = await _taken(cluster, key, word)
    except TimeoutError:
        raise Problem(
            Exit.TIMEOUT,
            "NotTaken",
            f"The confirmation is written, but the controller has not taken it within {patience} s.",
            "It will count when the controller runs again, if nothing changed by then",
            f"{session.program} doctor",
        ) from None
    session.terminal.write(_opened(session, taken, word))
    return Exit.MET


async def _taken(cluster: Cluster, key: ObjectKey, word: Word) -> CafeDeployment:
    """Wait until the annotation is no longer ours, and say what became of it."""
    async for sighting in cluster.follow(APPS, key):
        if sighting.document is None:
            raise Problem(Exit.NOT_FOUND, "Gone", f"CafeDeployment {key} was deleted meanwhile.")
        app = app_of(sighting.document)
        if app.metadata.annotations.get(CONFIRM_ANNOTATION) == word.annotation:
            continue
        confirmed = app.status.confirmed_group
        is_same = app.status.plan is not None and app.status.plan.hash == word.plan
        if is_same and confirmed is not None and confirmed >= word.group:
            return app
        raise Problem(
            Exit.CONFLICT,
            "ConfirmStale",
            "The controller did not accept the confirmation; no group was opened by it.",
            "The plan or the waiting group changed in the same moment",
            f"cafe app get {key.name} -n {key.namespace}",
        )
    raise Problem(Exit.FAILURE, "Unavailable", "The watch ended.", "", "cafe doctor")


def _opened(session: Session, app: CafeDeployment, word: Word) -> str:
    """Say what opens now: the next group, with its pods per unit."""
    words = session.terminal.words
    done = group_word(word.group, words)
    groups = app.status.plan.groups if app.status.plan else []
    following = next((g for g in groups if g.index > word.group), None)
    if following is None:
        return words("confirm.last", group=done)
    pods = ", ".join(f"{unit}: {count}" if unit else str(count) for unit, count in following.units.items())
    return words("confirm.opens", group=done, next=group_word(following.index, words), pods=pods)
