"""Structured logs: JSON lines for machines, columns for a person at a terminal; never a secret."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import msgspec
import structlog

_SECRET_WORDS = ("token", "password", "secret", "authorization", "credential", "private_key", "client_key")

HIDDEN = "[hidden]"


def configure_logs(
    *,
    form: Literal["json", "console"] = "json",
    level: Literal["debug", "info", "warning", "error"] = "info",
    stream: TextIO | None = None,
) -> None:
    """Set up logging for this process; call it once, at its start.

    Args:
        form: How lines look.
        level: The least level that is written.
        stream: Where to; standard error by default, since standard output is for results.
    """
    target = stream or sys.stderr
    renderers: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_as_json)]
        if form == "json"
        else [structlog.dev.ConsoleRenderer(colors=target.isatty())]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            hide_secrets,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )


def configure_logs_of_a_command(stream: TextIO | None = None) -> None:
    """Set up logging for a command that tells people itself what it does.

    At a terminal only what went wrong is added to that; a file, as of a command in the background, gets all.
    """
    target = stream or sys.stderr
    configure_logs(form="console", level="warning" if target.isatty() else "info", stream=target)


def hide_secrets(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of fields whose names sound secret, at any depth."""
    return _hidden(dict(event))  # type: ignore[no-any-return]


def _hidden(value: Any) -> Any:  # noqa: ANN401 -- a log line may hold anything
    if isinstance(value, dict):
        return {
            key: HIDDEN if any(word in str(key).lower() for word in _SECRET_WORDS) else _hidden(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_hidden(inner) for inner in value]
    return value


def _as_json(event: Any, **_: Any) -> str:  # noqa: ANN401 -- structlog's serializer protocol
    return msgspec.json.encode(event, enc_hook=str).decode()
