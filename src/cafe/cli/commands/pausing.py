"""`cafe app pause|resume`: stopping is safe, so nothing is asked."""

import click

from cafe.cli.errors import Exit, Problem
from cafe.cli.guarding import change
from cafe.cli.lazy import Command
from cafe.cli.output import output_option, write_one
from cafe.cli.ports import Cluster, Document
from cafe.cli.session import Session
from cafe.cli.views.picture import load_app


@click.command("pause", cls=Command, help="help.app.pause")
@click.argument("name")
@output_option(("json", "yaml", "name"))
@click.pass_obj
def pause(session: Session, name: str, output: str | None) -> int:
    """Start no further pod."""
    return session.run(lambda cluster: _set_pause(session, cluster, name, output, is_paused=True))


@click.command("resume", cls=Command, help="help.app.resume")
@click.argument("name")
@output_option(("json", "yaml", "name"))
@click.pass_obj
def resume(session: Session, name: str, output: str | None) -> int:
    """Go on."""
    return session.run(lambda cluster: _set_pause(session, cluster, name, output, is_paused=False))


async def _set_pause(
    session: Session, cluster: Cluster, name: str, output: str | None, *, is_paused: bool
) -> int:
    """Write the one field; whoever else changes the spec meanwhile is not in our way."""
    app, document = await load_app(cluster, session.key(cluster, name))

    def edit(wanted: Document) -> None:
        wanted["spec"].setdefault("strategy", {})["pause"] = is_paused

    def still(_: Document) -> Problem | None:
        return None

    if app.spec.strategy.pause is is_paused:
        stored, key = document, "already"
    else:
        stored, key = await change(cluster, document, edit, still), "done"
    if output:
        write_one(session.terminal, stored, output)
    verb = "pause" if is_paused else "resume"
    session.terminal.say(f"{verb}.{key}", name=app.metadata.name)
    return Exit.MET
