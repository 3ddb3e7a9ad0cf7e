"""`cafe up` and `cafe down` as processes: one at a time, stopped cleanly, nothing left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cafe.cli.ports import UpState
from cafe.cli.upstate import LOCK_FILE, LOG_FILE, STATE_FILE, holder, is_held, running, write_state

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    if (pid := holder(tmp_path)) is not None:
        os.kill(pid, signal.SIGKILL)


def words(scene: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.unit.cli.stage", scene, *arguments]


def surroundings(home: Path) -> dict[str, str]:
    return {**os.environ, "CAFE_HOME": str(home), "HOME": str(home), "LANG": "C.UTF-8"}


def cafe(home: Path, *arguments: str, scene: str = "waiting") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words(scene, *arguments),
        cwd=ROOT,
        env=surroundings(home),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_up_in_the_background_is_ready_when_it_returns_and_down_stops_it(home: Path) -> None:
    up = cafe(home, "up", "--background")
    assert up.returncode == 0, up.stderr
    assert up.stdout == f"{home}/kubeconfig\n"
    state = running(home)
    assert state is not None
    assert state.ready
    assert state.pid == holder(home)
    down = cafe(home, "down")
    assert down.returncode == 0, down.stderr
    assert not is_held(home)
    assert not (home / STATE_FILE).exists()
    assert "cleaned up" in (home / LOG_FILE).read_text()


def test_a_second_up_in_the_background_says_that_one_runs_and_starts_none(home: Path) -> None:
    cafe(home, "up", "--background")
    first = holder(home)
    again = cafe(home, "up", "--background")
    assert again.returncode == 0
    assert again.stdout == f"{home}/kubeconfig\n"
    assert holder(home) == first
    in_front = cafe(home, "up")
    assert in_front.returncode == 6
    assert "AlreadyUp" in in_front.stderr


def test_what_a_killed_up_left_is_not_taken_for_a_running_one(home: Path) -> None:
    cafe(home, "up", "--background")
    pid = holder(home)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    down = cafe(home, "down")
    assert down.returncode == 0
    assert "removed" in down.stderr or "ended" in down.stderr
    assert running(home) is None
    assert cafe(home, "up", "--background").returncode == 0


def test_a_number_that_another_process_got_since_is_never_signalled(home: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    write_state(home / STATE_FILE, UpState(pid=bystander.pid, kubeconfig="/none", ready=True))
    (home / LOCK_FILE).write_text(str(bystander.pid))
    assert cafe(home, "down").returncode == 0
    assert bystander.poll() is None
    bystander.communicate(b"\n")
    assert bystander.returncode == 0


def test_an_up_that_fails_says_why(home: Path) -> None:
    up = cafe(home, "up", "--background", scene="failing")
    assert up.returncode == 1
    assert "no room for etcd" in up.stderr
    assert not is_held(home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_up_cleanly(home: Path, number: signal.Signals) -> None:
    child = subprocess.Popen(
        words("waiting", "up"), cwd=ROOT, env=surroundings(home), stderr=subprocess.PIPE, text=True
    )
    assert child.stderr is not None
    assert child.stderr.readline() == "ready\n"
    child.send_signal(number)
    _, said = child.communicate(timeout=20)
    assert child.returncode == 0
    assert "cleaned up" in said
    assert "Everything is stopped." in said
    assert not (home / STATE_FILE).exists()


def test_down_without_an_up_is_no_error(home: Path) -> None:
    down = cafe(home, "down")
    assert down.returncode == 0
    assert "No cafe up runs" in down.stderr
