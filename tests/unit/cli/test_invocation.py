"""How commands are called: which cluster they find, what wrong arguments get, how fast help is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cafe.cli.errors import Exit, Problem, lines_of, problem_of
from cafe.cli.main import completions
from cafe.cli.ports import UpState
from cafe.cli.terminal import wants_colour
from cafe.cli.upstate import STATE_FILE, held, running, write_state
from cafe.kernel import Conflict, Refusal, Unavailable
from tests.unit.cli.conftest import Cafe
from tests.unit.cli.world import NAME, SmallCluster, SmallWiring, releasing


def whereabouts(cafe: Cafe, *arguments: str) -> tuple[str, list[str], str]:
    wiring = SmallWiring(SmallCluster(releasing()))
    assert cafe(wiring, *arguments).code == 0
    asked = wiring.asked[0]
    return asked.source, [str(path) for path in asked.paths], asked.context


@pytest.mark.parametrize("option", [[], ["--background"]])
def test_up_names_a_missing_kubeconfig_even_while_another_one_runs(
    cafe: Cafe, tmp_path: Path, option: list[str]
) -> None:
    home = tmp_path / "cafe"
    with held(home):
        write_state(home / STATE_FILE, UpState(pid=1, kubeconfig="/k", ready=True))
        result = cafe(SmallCluster(), "up", "--kubeconfig", "/nonexistent", *option)
    assert result.code == 1
    assert result.err.splitlines() == [
        "error: The kubeconfig /nonexistent does not exist.",
        "why: There is no such file; --kubeconfig names it (KubeconfigMissing)",
        "do: Name another with --kubeconfig or KUBECONFIG, or run `cafe up` for an embedded cluster.",
    ]


def test_the_kubeconfig_is_looked_for_in_four_places_in_order(
    cafe: Cafe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert whereabouts(cafe, "app", "list") == ("~/.kube/config", [f"{tmp_path}/.kube/config"], "")
    with held(tmp_path / "cafe") as state_file:
        write_state(state_file, UpState(pid=1, kubeconfig="/up/kubeconfig", context="cafe", ready=True))
        assert whereabouts(cafe, "app", "list") == ("cafe up", ["/up/kubeconfig"], "cafe")
        monkeypatch.setenv("KUBECONFIG", f"/a{os.pathsep}/b")
        assert whereabouts(cafe, "app", "list") == ("$KUBECONFIG", ["/a", "/b"], "")
        named = whereabouts(cafe, "app", "list", "--kubeconfig", "/c", "--context", "x")
        assert named == ("--kubeconfig", ["/c"], "x")


def test_global_options_count_on_both_sides_of_the_command(cafe: Cafe) -> None:
    assert whereabouts(cafe, "--context", "x", "app", "list")[2] == "x"
    assert whereabouts(cafe, "app", "--context", "x", "list")[2] == "x"
    assert whereabouts(cafe, "--context", "x", "app", "list", "--context", "y")[2] == "y"


def test_only_a_running_up_is_believed(tmp_path: Path) -> None:
    with held(tmp_path) as state_file:
        write_state(state_file, UpState(pid=1, kubeconfig="/k", ready=True))
        assert running(tmp_path) is not None
    write_state(tmp_path / "up.json", UpState(pid=1, kubeconfig="/k", ready=True))
    assert running(tmp_path) is None


@pytest.mark.parametrize(
    "arguments",
    [["app", "get"], ["app", "nonsense"], ["app", "list", "--nonsense"], ["app", "get", NAME, "-o", "xml"]],
)
def test_wrong_arguments_are_exit_code_2_with_the_way_to_help(cafe: Cafe, arguments: list[str]) -> None:
    result = cafe(SmallCluster(), *arguments, program="kubectl cafe")
    assert result.code == 2
    assert result.err.splitlines()[0].startswith("error: ")
    assert "do: kubectl cafe app" in result.err
    assert result.out == ""


def test_help_speaks_of_the_program_that_was_called(cafe: Cafe) -> None:
    assert cafe(SmallCluster(), "app", "get", "-h", program="kubectl cafe").out.startswith(
        "Usage: kubectl cafe app get"
    )


def test_a_bug_is_told_without_a_trace_unless_it_is_asked_for(cafe: Cafe) -> None:
    class Faulty(SmallCluster):
        async def get(self, *_: object) -> dict[str, object]:
            raise ZeroDivisionError("oops")

    assert "Traceback" not in cafe(Faulty(), "app", "get", NAME).err
    result = cafe(Faulty(), "app", "get", NAME, "--debug")
    assert result.code == 1
    assert "Traceback" in result.err
    assert "report" in result.err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Refusal("Forbidden", "No.", "Because.", "Ask."), 5, "why: Because (Forbidden)"),
        (Refusal("Invalid", "No."), 1, "why: Invalid"),
        (Conflict("moved"), 6, "error: moved"),
        (Unavailable("gone", is_outcome_known=False), 1, "may have taken effect"),
        (Problem(Exit.LOGIN, "X", "what"), 4, "error: what"),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: Exception, code: int, said: str) -> None:
    problem = problem_of(error)
    assert problem is not None
    assert problem.exit == code
    assert said in "\n".join(lines_of(problem))


def test_an_error_that_nobody_raised_on_purpose_is_no_problem_of_the_user() -> None:
    assert problem_of(ValueError()) is None


@pytest.mark.parametrize(
    ("environment", "option", "is_tty", "wanted"),
    [
        ({}, "auto", True, True),
        ({}, "auto", False, False),
        ({"NO_COLOR": "1"}, "auto", True, False),
        ({"NO_COLOR": ""}, "auto", True, True),
        ({"FORCE_COLOR": "1"}, "auto", False, True),
        ({"TERM": "dumb"}, "auto", True, False),
        ({"NO_COLOR": "1"}, "always", False, True),
        ({"FORCE_COLOR": "1"}, "never", True, False),
    ],
)
def test_who_decides_on_colour(
    environment: dict[str, str], option: str, *, is_tty: bool, wanted: bool
) -> None:
    assert wants_colour(environment, option, is_tty=is_tty) is wanted


def test_completion_offers_commands_and_options() -> None:
    wiring = SmallWiring(SmallCluster())
    assert completions(["app", "re"], wiring) == ["release", "resume", "retry", "revisions"]
    assert "--to-revision" in completions(["app", "release", "--to"], wiring)
    assert completions(["app", "wait", "x", "--for", ""], wiring) == ["complete", "confirm", "paused"]


HEAVY = ("rich", "aiohttp", "yaml", "msgspec", "asyncio", "cafe.kube", "cafe.workloads")


@pytest.mark.slow
def test_help_and_completion_import_nothing_heavy() -> None:
    """A law about imports rather than milliseconds: it holds on a busy machine too."""
    code = (
        "import sys; from cafe.cli.main import completions, run; "
        "from cafe.processes.commandline import RealWiring; "
        "run(RealWiring(), ['--help']); completions(['app', 're'], RealWiring()); "
        f"sys.exit(', '.join(m for m in {HEAVY!r} if m in sys.modules) or None)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
