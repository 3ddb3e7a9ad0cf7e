"""`cafe version`: which cafe this is."""

from importlib.metadata import version as installed

import click

from cafe.api.names import API_VERSION
from cafe.cli.errors import Exit
from cafe.cli.lazy import Command
from cafe.cli.session import Session


@click.command("version", cls=Command, help="help.version")
@click.pass_obj
def version(session: Session) -> int:
    """Print the version of this program and of its kinds."""
    session.terminal.write(f"cafe {installed('cafe')} ({API_VERSION})")
    return Exit.MET
