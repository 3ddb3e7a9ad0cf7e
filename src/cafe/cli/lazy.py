"""Commands that are imported when they are run, with help in the user's language.

Help texts and option texts are keys of the message catalogue, looked up when they are shown. So `cafe --help`
and shell completion import click and one table, and nothing else.
"""

import importlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import click
from click.shell_completion import CompletionItem

from cafe.cli.messages import Catalogue, language_of
from cafe.cli.terminal import environment

PLACE_OPTIONS = ("kubeconfig", "context", "namespace", "color", "debug")


@cache
def _words(language: str) -> Catalogue:
    return Catalogue(language)


def words() -> Catalogue:
    """Return the catalogue that help is written from."""
    return _words(language_of(environment()))


class Option(click.Option):
    """An option whose help is a key of the catalogue."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the line of the help page."""
        key = self.help
        self.help = words()(key) if key else key
        try:
            return super().get_help_record(ctx)
        finally:
            self.help = key


def remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Keep a global option for the whole invocation; the one nearest to the command wins."""
    if value not in (None, False):
        ctx.meta[f"cafe.cli.{param.name}"] = value


def place_options() -> list[click.Parameter]:
    """Return the options that every command takes, before or behind its name, as kubectl's do."""
    return [
        Option(["--kubeconfig"], help="option.kubeconfig", expose_value=False, callback=remember),
        Option(["--context"], help="option.context", expose_value=False, callback=remember),
        Option(["-n", "--namespace"], help="option.namespace", expose_value=False, callback=remember),
        Option(
            ["--color"],
            type=click.Choice(["auto", "always", "never"]),
            help="option.color",
            expose_value=False,
            callback=remember,
        ),
        Option(["--debug"], is_flag=True, help="option.debug", expose_value=False, callback=remember),
    ]


class _Spoken(click.Command):
    """Help from the catalogue, by the key in `help`."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return `--help`, whose text click would else say in English."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = words()("option.help")
        return option

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- click's signature
        """Write the description."""
        if self.help:
            formatter.write_paragraph()
            with formatter.indentation():
                for paragraph in words()(self.help).split("\n"):
                    formatter.write_text(paragraph)

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002 -- our first sentences are short
        """Return the first sentence."""
        return words()(self.help).split("\n")[0] if self.help else ""


class Command(_Spoken):
    """A command with the global options added.

    Attributes:
        params: Its own options first.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- click's own signature
        super().__init__(*args, **kwargs)
        own = {option for p in self.params for option in p.opts}
        self.params += [p for p in place_options() if not own & set(p.opts)]


class LazyGroup(_Spoken, click.Group):
    """A group that knows its commands by `module:attribute` and imports the one that is run.

    Args:
        lazy: Name to address, in the order of the help page.
        prefix: Of the help keys.
    """

    def __init__(self, name: str, lazy: Mapping[str, str], prefix: str = "", **kwargs: Any) -> None:  # noqa: ANN401 -- click's
        super().__init__(name, **kwargs)
        self._lazy = lazy
        self._prefix = prefix

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Return the names, in our order."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- as above
        """Import one command."""
        address = self._lazy.get(cmd_name)
        if address is None:
            return None
        module, attribute = address.split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without importing any; options as click does."""
        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        return [CompletionItem(n, help=words()(f"help.{self._prefix}{n}").split("\n")[0]) for n in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        speak = words()
        rows = [(n, speak(f"help.{self._prefix}{n}").split("\n")[0]) for n in self.list_commands(ctx)]
        with formatter.section(speak("help.commands")):
            formatter.write_dl(rows)
