"""At no instant do two candidates believe that they lead."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cafe.kernel import ObjectKey, Unavailable
from cafe.kube.client import Client
from cafe.kube.leadership import Leadership, LeadershipSettings
from cafe.kube.transport import Request, Response
from tests.worlds.clock import LoopClock, SeededEntropy, eventually, in_virtual_time
from tests.worlds.scripted_api import ScriptedApi

KEY = ObjectKey("cafe-system", "controller")
PATH = "/apis/coordination.k8s.io/v1/namespaces/cafe-system/leases/controller"


class Link:
    """One candidate's way to the server, which may break or hang."""

    def __init__(self, api: ScriptedApi) -> None:
        self.api = api
        self.is_cut = False
        self.hangs = False
        self.loses_answers = False
        self.answers_after = 0.0

    async def send(self, request: Request) -> Response:
        if self.hangs:
            await asyncio.Event().wait()
        if self.is_cut:
            raise Unavailable("cut")
        response = await self.api.send(request)
        await asyncio.sleep(self.answers_after)
        if self.loses_answers:
            raise Unavailable("lost", is_outcome_known=False)
        return response

    def stream(self, request: Request) -> Any:  # noqa: ANN401
        return self.api.stream(request)

    async def close(self) -> None:
        """Nothing to close."""


class PausableClock(LoopClock):
    """The clock of a machine that may be frozen: nothing wakes up before it thaws."""

    frozen_until = 0.0

    async def sleep(self, delay: timedelta) -> None:
        await super().sleep(delay)
        await asyncio.sleep(max(0.0, self.frozen_until - asyncio.get_running_loop().time()))


class Candidate:
    def __init__(self, api: ScriptedApi, name: str, skew: timedelta = timedelta()) -> None:
        self.link = Link(api)
        self.clock = PausableClock(skew)
        client = Client(self.link, self.clock, SeededEntropy(sum(name.encode())))
        self.leadership = Leadership(client, KEY, name)
        self.works = False
        self.terms = 0
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await self.leadership.lead(self._work)

    async def _work(self) -> None:
        self.works = True
        self.terms += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.works = False

    @property
    def leads(self) -> bool:
        return self.leadership.is_leading

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


def holder(api: ScriptedApi) -> str:
    return str(api.objects[PATH]["spec"].get("holderIdentity", ""))


async def elected(api: ScriptedApi, *, skew: timedelta = timedelta()) -> tuple[Candidate, Candidate]:
    first = Candidate(api, "first")
    await eventually(lambda: first.works)
    second = Candidate(api, "second", skew)
    await asyncio.sleep(60)
    assert (first.works, second.works) == (True, False)
    return first, second


@in_virtual_time
async def test_the_second_candidate_waits_as_long_as_the_first_renews() -> None:
    api = ScriptedApi()
    first, second = await elected(api)
    await asyncio.sleep(3600)
    assert (first.terms, second.terms) == (1, 0)
    await first.stop()
    await second.stop()


@pytest.mark.parametrize("skew", [timedelta(hours=1), timedelta(hours=-1)])
def test_clocks_that_differ_by_an_hour_change_nothing(skew: timedelta) -> None:
    @in_virtual_time
    async def scenario() -> None:
        first, second = await elected(ScriptedApi(), skew=skew)
        await asyncio.sleep(600)
        assert (first.leads, second.leads) == (True, False)
        await first.stop()
        await second.stop()

    scenario()


@in_virtual_time
async def test_a_leader_that_stops_gives_the_lease_up_so_that_the_next_need_not_wait() -> None:
    api = ScriptedApi()
    first, second = await elected(api)
    start = asyncio.get_running_loop().time()
    await first.stop()
    assert not first.works
    await eventually(lambda: second.works)
    assert asyncio.get_running_loop().time() - start < 3
    assert api.objects[PATH]["spec"]["leaseTransitions"] == 1
    await second.stop()
    assert holder(api) == ""


async def watched(first: Candidate, second: Candidate, seconds: float) -> None:
    """See to it that never both lead, and that nobody works long without leading."""
    for _ in range(int(seconds * 10)):
        await asyncio.sleep(0.1)
        assert not (first.leads and second.leads)
        assert not (first.works and second.works)


@pytest.mark.parametrize("fault", ["is_cut", "hangs", "loses_answers"])
def test_a_leader_without_answers_stops_its_work_before_another_begins(fault: str) -> None:
    @in_virtual_time
    async def scenario() -> None:
        first, second = await elected(ScriptedApi())
        setattr(first.link, fault, True)
        start = asyncio.get_running_loop().time()
        await eventually(lambda: not first.works)
        took = asyncio.get_running_loop().time() - start
        assert took <= 10.2
        if fault != "loses_answers":  # Its renewals still arrive, so it remains the holder.
            await watched(first, second, 30)
            assert second.works
        setattr(first.link, fault, False)
        await watched(first, second, 60)
        assert first.works or second.works
        await first.stop()
        await second.stop()

    scenario()


@in_virtual_time
async def test_the_deadline_counts_from_before_the_request_whose_answer_was_late() -> None:
    api = ScriptedApi()
    first, second = await elected(api)
    first.link.answers_after = 4.5
    before = len(api.requests)
    await eventually(lambda: len(api.requests) > before and api.requests[-1].method == "PATCH")
    await asyncio.sleep(4.6)
    first.link.hangs = True
    left = first.leadership._held_until
    assert left is not None
    assert left - first.clock.monotonic() < timedelta(seconds=10 - 4.5)
    await first.stop()
    await second.stop()


@in_virtual_time
async def test_a_leader_that_was_paused_knows_at_once_that_it_leads_no_more() -> None:
    first, second = await elected(ScriptedApi())
    now = asyncio.get_running_loop().time()
    first.clock.frozen_until = now + 40
    first.link.hangs = True
    await eventually(lambda: second.works, timedelta(seconds=39))
    assert not first.leads
    await eventually(lambda: asyncio.get_running_loop().time() > now + 40)
    first.link.hangs = False
    await watched(first, second, 60)
    assert second.works
    await first.stop()
    await second.stop()


@in_virtual_time
async def test_a_leader_whose_lease_was_taken_stops_at_its_next_renewal() -> None:
    api = ScriptedApi()
    first = Candidate(api, "first")
    await eventually(lambda: first.works)
    body = api.objects[PATH]
    api.put(PATH, {**body, "spec": {**body["spec"], "holderIdentity": "somebody"}})
    await eventually(lambda: not first.works, timedelta(seconds=5.5))
    assert holder(api) == "somebody"
    await first.stop()
    assert holder(api) == "somebody"


@in_virtual_time
async def test_of_two_candidates_that_come_at_once_one_is_elected() -> None:
    api = ScriptedApi()
    candidates = [Candidate(api, name) for name in ("first", "second", "third")]
    await asyncio.sleep(5)
    assert [candidate.works for candidate in candidates].count(True) == 1
    for candidate in candidates:
        await candidate.stop()


@in_virtual_time
async def test_work_that_fails_is_told_to_who_started_it_and_the_lease_is_given_up() -> None:
    async def failing() -> None:
        raise ZeroDivisionError

    api = ScriptedApi()
    leadership = Leadership(Client(api, LoopClock(), SeededEntropy()), KEY, "me")
    with pytest.raises(ZeroDivisionError):
        await leadership.lead(failing)
    assert holder(api) == ""


def test_times_without_a_margin_are_refused() -> None:
    with pytest.raises(ValueError, match="must hold"):
        LeadershipSettings(renew_deadline=timedelta(seconds=15))


FAULTS = st.lists(
    st.tuples(
        st.floats(1, 40), st.sampled_from([0, 1]), st.sampled_from(["is_cut", "hangs", "loses_answers"])
    ),
    max_size=6,
)


@settings(max_examples=15, deadline=None)
@given(FAULTS)
def test_whatever_breaks_two_never_lead_at_once(faults: list[tuple[float, int, str]]) -> None:
    @in_virtual_time
    async def scenario() -> None:
        api = ScriptedApi()
        pair = (Candidate(api, "first"), Candidate(api, "second"))
        for seconds, who, fault in faults:
            setattr(pair[who].link, fault, True)
            await watched(*pair, seconds)
            setattr(pair[who].link, fault, False)
        await watched(*pair, 40)
        assert pair[0].works or pair[1].works
        for candidate in pair:
            await candidate.stop()

    scenario()
