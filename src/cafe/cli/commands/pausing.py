"""`cafe app pause|resume`: stopping is safe, so nothing is asked."""

import click

from cafe.cli.errors import Exit, Problem
from cafe.cli.guarding import change
from cafe.cli.lazy import Command
from cafe.cli.output import output_option, write_one
from cafe.cli.ports import Cluster, Document
from cafe.cli.resources import APP_SERVICES, APPS
from cafe.cli.session import Session
from cafe.cli.views.picture import load_app
from cafe.cli.views.shelf import service_of
from cafe.kernel import ObjectKey


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
    resource, part, is_so = APPS, "strategy", app.spec.strategy.pause
    if service := service_of(app):
        # The application is rendered: what is written on it would be taken for a change by hand.
        key = ObjectKey(app.metadata.namespace, service)
        document = await cluster.get(APP_SERVICES, key)
        resource, part = APP_SERVICES, "publish"
        is_so = bool((document["spec"].get("publish") or {}).get("pause"))

    def edit(wanted: Document) -> None:
        wanted["spec"][part] = {**(wanted["spec"].get(part) or {}), "pause": is_paused}

    def still(_: Document) -> Problem | None:
        return None

    if is_so is is_paused:
        stored, outcome = document, "already"
    else:
        stored, outcome = await change(cluster, document, edit, still, resource=resource), "done"
    if output:
        write_one(session.terminal, stored, output)
    verb = "pause" if is_paused else "resume"
    session.terminal.say(f"{verb}.{outcome}", name=app.metadata.name)
    return Exit.MET
