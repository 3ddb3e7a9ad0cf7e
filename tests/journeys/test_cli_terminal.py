"""The command line in a real terminal: what the screen shows, what stays behind, how one leaves."""

import os
import sys
from pathlib import Path

import pexpect
import pyte
import pytest

from tests.unit.cli.world import NAME, canonical_plan

ROOT = Path(__file__).parents[2]
COLUMNS, LINES = 80, 30
ENTER_ALTERNATE, LEAVE_ALTERNATE = "\x1b[?1049h", "\x1b[?1049l"

pytestmark = pytest.mark.slow


class Terminal:
    """A terminal of 80 × 30, or of other *lines*, with a command in it."""

    def __init__(self, *arguments: str, lines: int = LINES, **environment: str) -> None:
        self.lines = lines
        surroundings = {
            k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "FORCE_COLOR", "KUBECONFIG"}
        }
        surroundings |= {"TERM": "xterm-256color", "LANG": "en_US.UTF-8", "LC_ALL": "", "PYTHONUTF8": "1"}
        self.child = pexpect.spawn(
            sys.executable,
            ["-m", "tests.unit.cli.stage", *arguments],
            cwd=str(ROOT),
            env=surroundings | environment,
            dimensions=(lines, COLUMNS),
            encoding="utf-8",
            timeout=20,
        )
        self.written = ""

    def until(self, text: str) -> None:
        self.child.expect_exact(text)
        self.written += (self.child.before or "") + (self.child.after or "")

    def press(self, key: str) -> None:
        self.child.send(key)

    def end(self) -> int:
        self.child.expect(pexpect.EOF)
        self.written += self.child.before or ""
        self.child.close()
        return int(self.child.exitstatus)

    def screen(self, text: str | None = None) -> list[str]:
        screen = pyte.Screen(COLUMNS, self.lines)
        pyte.Stream(screen).feed(self.written if text is None else text)
        return [line.rstrip() for line in screen.display]


def test_watch_paints_the_matrix_on_an_alternate_screen() -> None:
    terminal = Terminal("waiting", "app", "watch", NAME)
    terminal.until("q leaves")
    assert ENTER_ALTERNATE in terminal.written
    screen = terminal.screen()
    assert any(line.startswith("cell-a │ ▨ 1/1 │ ○ 0/2   ○ 0/2     1/5") for line in screen), screen
    assert any("waits for a confirmation" in line for line in screen)
    terminal.press("q")
    assert terminal.end() == 8


def test_a_low_screen_shows_the_newest_events_and_leaves_out_the_oldest() -> None:
    terminal = Terminal("eventful", "app", "watch", NAME, lines=24)
    terminal.until("q leaves")
    screen = "\n".join(terminal.screen())
    assert "the event of minute 7" in screen
    assert "the event of minute 3" not in screen
    assert "productpage-v1" in screen
    terminal.press("q")
    assert terminal.end() == 8


def test_the_first_table_of_an_import_fits_80_columns() -> None:
    terminal = Terminal("waiting", "import", "-f", "samples/bookinfo.yaml", "--dry-run", lines=60)
    assert terminal.end() == 0
    table = [line for line in terminal.screen() if line.startswith(("Service", "Deployment"))]
    assert "ServiceAccount/bookinfo-productpage   applied as it is   itself           278" in table


def test_q_leaves_the_last_frame_in_the_scrollback() -> None:
    terminal = Terminal("waiting", "app", "watch", NAME)
    terminal.until("q leaves")
    terminal.press("q")
    terminal.end()
    after = terminal.written.split(LEAVE_ALTERNATE)[-1]
    assert any(line.startswith("cell-b │ ▨ 1/1") for line in terminal.screen(after))


def test_ctrl_c_leaves_as_q_does() -> None:
    terminal = Terminal("waiting", "app", "watch", NAME)
    terminal.until("q leaves")
    terminal.press("\x03")
    assert terminal.end() == 8
    assert "Traceback" not in terminal.written


def test_a_release_that_completes_ends_the_watch_with_code_0() -> None:
    terminal = Terminal("completing", "app", "watch", NAME)
    assert terminal.end() == 0
    after = terminal.written.split(LEAVE_ALTERNATE)[-1]
    assert any("runs in all 10 pods" in line for line in terminal.screen(after))


def test_a_dumb_terminal_gets_lines_and_no_codes() -> None:
    terminal = Terminal("completing", "app", "watch", NAME, "--stay", TERM="dumb")
    assert terminal.end() == 0
    assert "\x1b" not in terminal.written
    assert "waits for confirmation" in terminal.written


def test_a_listener_gets_lines_that_are_only_ever_appended() -> None:
    terminal = Terminal("completing", "app", "watch", NAME, "--stay", CAFE_ACCESSIBLE="1", NO_COLOR="1")
    assert terminal.end() == 0
    assert "\x1b" not in terminal.written


def test_confirm_shows_what_waits_and_asks_and_enter_is_a_no() -> None:
    terminal = Terminal("confirming", "app", "confirm", NAME)
    terminal.until(f"Confirm Beta of plan {canonical_plan().hash}? [y/N]")
    assert "▨ 1/1" in terminal.written
    terminal.press("\r")
    assert terminal.end() == 1
    assert "nothing was written" in terminal.written


def test_confirm_with_a_yes_opens_the_next_group() -> None:
    terminal = Terminal("confirming", "app", "confirm", NAME)
    terminal.until("[y/N]")
    terminal.press("y\r")
    assert terminal.end() == 0
    assert "group 1 opens: cell-a: 2, cell-b: 2" in terminal.written


def test_release_asks_on_a_terminal() -> None:
    terminal = Terminal("waiting", "app", "release", NAME, "--image", "x:3")
    terminal.until("Release productpage-v1? [y/N]")
    terminal.press("y\r")
    assert terminal.end() == 0
    assert "is being released" in terminal.written
