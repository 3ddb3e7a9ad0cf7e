"""`cafe completion`: the script that a shell sources."""

import click
from click.shell_completion import get_completion_class

from cafe.cli.errors import Exit
from cafe.cli.lazy import Command
from cafe.cli.session import Session


@click.command("completion", cls=Command, help="help.completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_obj
def completion(session: Session, shell: str) -> int:
    """Print the completion script of a shell."""
    found = get_completion_class(shell)
    if found is not None:
        script = found(click.get_current_context().find_root().command, {}, "cafe", "_CAFE_COMPLETE")
        session.terminal.write(script.source())
    return Exit.MET
