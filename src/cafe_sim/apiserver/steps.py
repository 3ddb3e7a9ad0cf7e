"""Requests as sequences of steps: the server itself never waits, but a webhook may have to be asked on the way.

A step sequence is a generator that yields the calls it needs and is sent the answers. Whoever drives it decides
how they come about: the HTTP server awaits them on the network, a world without sockets asks a function.
"""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeAlias, TypeVar

from cafe_sim.contract import Json

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WebhookCall:
    """One admission review to be sent.

    Attributes:
        name: The webhook's name, for messages.
        client: Its `clientConfig`.
        review: The AdmissionReview.
        timeout: How long it may take.
    """

    name: str
    client: Json
    review: Json
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class WebhookFailure:
    """There was no usable answer; *why* goes into the message."""

    why: str


WebhookReply: TypeAlias = "Json | WebhookFailure"
Steps: TypeAlias = Generator[WebhookCall, WebhookReply, T]


class WebhookCaller(Protocol):
    """How webhooks are asked where nothing can wait."""

    def __call__(self, call: WebhookCall) -> WebhookReply:
        """Return the AdmissionReview that answers *call*, or why there is none."""


def finish(steps: Steps[T], caller: WebhookCaller) -> T:
    """Drive *steps* to their end, asking *caller* for each webhook."""
    try:
        call = next(steps)
        while True:
            call = steps.send(caller(call))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
