"""Logs can be read by machines, and hold no secrets."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from cafe.observe.logs import configure_logs, configure_logs_of_a_command


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_line_is_json_with_time_level_and_what_was_said() -> None:
    target = io.StringIO()
    configure_logs(stream=target)
    log = structlog.get_logger("x")
    log.debug("unheard")
    log.info("group.done", group=2, plan={"hash": "abc"})
    (line,) = target.getvalue().splitlines()
    told = json.loads(line)
    assert (told["event"], told["level"], told["group"]) == ("group.done", "info", 2)
    assert told["timestamp"].endswith("Z")


class Screen(io.StringIO):
    """A stream that somebody watches."""

    def isatty(self) -> bool:
        return True


def test_who_watches_a_command_is_spared_what_went_well() -> None:
    written = {}
    for stream in (Screen(), io.StringIO()):
        configure_logs_of_a_command(stream)
        log = structlog.get_logger("test")
        log.info("leadership.gained")
        log.warning("leadership.lost")
        written[stream.isatty()] = stream.getvalue()
    assert "leadership.gained" not in written[True]
    assert "leadership.gained" in written[False]
    assert all("leadership.lost" in text for text in written.values())


def test_a_bug_comes_with_its_traceback_in_one_line() -> None:
    target = io.StringIO()
    configure_logs(stream=target)
    structlog.get_logger("x").error("bug", exc_info=ZeroDivisionError("oops"))
    (line,) = target.getvalue().splitlines()
    assert "ZeroDivisionError: oops" in json.loads(line)["exception"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_sounds_secret_is_hidden_at_any_depth(form: str) -> None:
    target = io.StringIO()
    configure_logs(form=form, stream=target)  # type: ignore[arg-type]
    structlog.get_logger("x").info("login", accessToken="s3cr3t", user={"Password": "s3cr3t", "name": "me"})
    structlog.get_logger("x").info("headers", all=[{"Authorization": "s3cr3t"}])
    assert "s3cr3t" not in target.getvalue()
    assert "me" in target.getvalue()
