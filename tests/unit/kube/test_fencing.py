"""Only a leader writes, and what it wrote has happened before somebody else may lead."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from cafe.kernel import Unavailable
from cafe.kube.fencing import FencedTransport
from cafe.kube.leadership import LeadershipSettings
from cafe.kube.transport import Request, Response, Stream
from tests.worlds.clock import LoopClock, in_virtual_time

DEADLINE = timedelta(seconds=4)
READ, WRITE = Request("GET", "/api/v1/pods"), Request("PATCH", "/api/v1/namespaces/a/pods/b", body=b"{}")


@dataclass
class Wire:
    """A way to a server that remembers what it got, and may never answer."""

    is_silent: bool = False
    got: list[Request] = field(default_factory=list)

    async def send(self, request: Request) -> Response:
        self.got.append(request)
        if self.is_silent:
            await asyncio.Event().wait()
        return Response(200, b"{}")

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        self.got.append(request)
        yield Stream(200, {}, _nothing())

    async def close(self) -> None:
        self.got.clear()


async def _nothing() -> AsyncIterator[bytes]:
    for line in ():
        yield line


def fenced(wire: Wire, *, leads: bool = True) -> FencedTransport:
    return FencedTransport(wire, LoopClock(), lambda: leads, DEADLINE)


@in_virtual_time
async def test_who_does_not_lead_sends_no_write() -> None:
    wire = Wire()
    with pytest.raises(Unavailable, match="somebody else may lead") as refused:
        await fenced(wire, leads=False).send(WRITE)
    assert refused.value.is_outcome_known
    assert wire.got == []


@in_virtual_time
async def test_who_does_not_lead_may_read() -> None:
    wire = Wire()
    await fenced(wire, leads=False).send(READ)
    async with fenced(wire, leads=False).stream(READ):
        assert wire.got == [READ, READ]


@in_virtual_time
async def test_a_write_carries_a_deadline_for_both_sides() -> None:
    wire = Wire()
    await fenced(wire).send(WRITE)
    assert wire.got[0].query[-1] == ("timeout", "4s")
    assert wire.got[0].timeout == DEADLINE


@in_virtual_time
async def test_a_write_that_was_given_up_may_still_happen_until_its_deadline() -> None:
    wire = Wire(is_silent=True)
    fence = fenced(wire)
    sending = asyncio.ensure_future(fence.send(WRITE))
    await asyncio.sleep(1)
    assert not fence.is_settled, "it is under way"
    sending.cancel()
    await asyncio.wait((sending,))
    await asyncio.sleep(2.9)
    assert not fence.is_settled, "the server may still be at it"
    await asyncio.sleep(0.2)
    assert fence.is_settled


def test_the_deadline_ends_before_anybody_else_may_lead() -> None:
    settings = LeadershipSettings()
    assert settings.renew_deadline + settings.write_deadline < settings.lease_duration
