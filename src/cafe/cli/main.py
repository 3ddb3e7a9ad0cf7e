"""The root of the command line, and the one place where errors become lines and exit codes."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cafe.cli.errors import Exit, Problem, lines_of, problem_of
from cafe.cli.lazy import LazyGroup, place_options
from cafe.cli.session import Session

if TYPE_CHECKING:
    from cafe.cli.ports import Wiring

COMMANDS = {
    "up": "cafe.cli.commands.up:up",
    "down": "cafe.cli.commands.up:down",
    "import": "cafe.cli.commands.importing:import_",
    "export": "cafe.cli.commands.exporting:export",
    "app": "cafe.cli.main:app",
    "traffic": "cafe.cli.main:traffic",
    "doctor": "cafe.cli.commands.doctor:doctor",
    "completion": "cafe.cli.commands.completion:completion",
    "version": "cafe.cli.commands.version:version",
}

APP_COMMANDS = {
    "list": "cafe.cli.commands.reading:list_",
    "get": "cafe.cli.commands.reading:get",
    "pods": "cafe.cli.commands.pods:pods",
    "plan": "cafe.cli.commands.releasing:plan",
    "release": "cafe.cli.commands.releasing:release",
    "confirm": "cafe.cli.commands.confirming:confirm",
    "pause": "cafe.cli.commands.pausing:pause",
    "resume": "cafe.cli.commands.pausing:resume",
    "cancel": "cafe.cli.commands.cancelling:cancel",
    "skip": "cafe.cli.commands.failing:skip",
    "retry": "cafe.cli.commands.failing:retry",
    "watch": "cafe.cli.commands.watching:watch",
    "wait": "cafe.cli.commands.watching:wait",
    "history": "cafe.cli.commands.reading:history",
    "revisions": "cafe.cli.commands.revisions:revisions",
    "diff": "cafe.cli.commands.revisions:diff",
    "image": "cafe.cli.commands.revisions:image",
    "publish": "cafe.cli.commands.publishing:publish",
    "rollback": "cafe.cli.commands.publishing:rollback",
    "hold": "cafe.cli.commands.revisions:hold",
    "unhold": "cafe.cli.commands.revisions:unhold",
}

TRAFFIC_COMMANDS = {
    "get": "cafe.cli.commands.traffic:get",
    "doctor": "cafe.cli.commands.trafficdoctor:doctor",
    "offline": "cafe.cli.commands.traffic:offline",
    "online": "cafe.cli.commands.traffic:online",
    "force": "cafe.cli.commands.traffic:force",
}

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

root = LazyGroup(
    "cafe",
    COMMANDS,
    help="help.cafe",
    params=place_options(),
    context_settings=SETTINGS,
    no_args_is_help=True,
)
app = LazyGroup(
    "app", APP_COMMANDS, prefix="app.", help="help.app", params=place_options(), no_args_is_help=True
)

traffic = LazyGroup(
    "traffic",
    TRAFFIC_COMMANDS,
    prefix="traffic.",
    help="help.traffic",
    params=place_options(),
    no_args_is_help=True,
)


def run(wiring: "Wiring", arguments: Sequence[str], program: str = "cafe") -> int:
    """Run one command and return its exit code. Nothing is raised."""
    session = Session(wiring, program)
    try:
        result = root.main(list(arguments), prog_name=program, standalone_mode=False, obj=session)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader left, as `| head` does. Python would complain once more while it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.MET
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(f"{error.format_message()}\n")
        return Exit.USAGE
    except click.ClickException as error:
        return _tell(usage_problem(error, program))
    except Exception as error:  # noqa: BLE001 -- the last line of defence: a person gets three lines
        return _tell(_understood(error, is_debug="--debug" in arguments))
    return int(result or 0)


def usage_problem(error: click.ClickException, program: str) -> Problem:
    """Translate what click found wrong with the arguments."""
    path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else program
    return Problem(Exit.USAGE, "Usage", error.format_message().rstrip("."), "", f"{path} --help")


def _understood(error: Exception, *, is_debug: bool) -> Problem:
    if is_debug:
        traceback.print_exception(error)
    known = problem_of(error)
    if known is not None:
        return known
    return Problem(
        Exit.FAILURE,
        "Bug",
        f"Something went wrong that should not: {type(error).__name__}: {error}",
        "This is a fault of cafe, not yours",
        "Repeat with --debug and report what it prints.",
    )


def _tell(problem: Problem) -> int:
    for line in lines_of(problem):
        sys.stderr.write(f"{line}\n")
    return problem.exit


def completions(arguments: Sequence[str], wiring: "Wiring") -> list[str]:
    """Return what may follow *arguments*, of which the last is unfinished."""
    from click.shell_completion import ShellComplete  # noqa: PLC0415 -- on use

    *done, unfinished = arguments or [""]
    found = ShellComplete(root, {"obj": Session(wiring)}, "cafe", "_CAFE_COMPLETE")
    return [item.value for item in found.get_completions(list(done), unfinished)]
