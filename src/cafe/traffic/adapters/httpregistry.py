"""What adapters of registries share that are spoken with over HTTP: calls that end in time, and one pass."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import aiohttp
import msgspec

from cafe.kernel import Refusal, Unavailable
from cafe.traffic.domain.facts import MemberView, Pool, ReplicaView

CONNECT: Final = timedelta(seconds=2)
CALL: Final = timedelta(seconds=2)
"""Until the next bytes of an answer come."""

AT_ONCE: Final = 20
"""Connections to one server."""

SAID: Final = 200
"""Characters of a foreign error that are passed on."""

Look = Callable[[Pool], Awaitable[Mapping[str, MemberView]]]
"""Reads one pool in one server."""


class Http:
    """A session that is opened when it is first needed."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Return status and body of an answer, whatever the status.

        Raises:
            Unavailable: There is no answer in time.
        """
        if self._session is None:
            limits = aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT.total_seconds(), sock_read=CALL.total_seconds()
            )
            connector = aiohttp.TCPConnector(limit=0, limit_per_host=AT_ONCE)
            self._session = aiohttp.ClientSession(timeout=limits, connector=connector)
        try:
            async with self._session.request(method, url, params=query, data=form) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(
                f"no answer: {str(error) or type(error).__name__}", is_outcome_known=False
            ) from error

    async def close(self) -> None:
        """Give up all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def read_json(status: int, body: bytes) -> Any:  # noqa: ANN401 -- whatever was answered
    """Return what a good answer holds.

    Raises:
        Unavailable: The answer is an error, or no JSON.
    """
    if status >= 400:
        raise Unavailable(f"it answers {status}: {body[:SAID].decode(errors='replace')}")
    try:
        return msgspec.json.decode(body)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"it answers something else than JSON: {body[:SAID]!r}") from error


async def observe_each(
    servers: Mapping[str, Look], pools: Collection[Pool]
) -> dict[str, Sequence[ReplicaView]]:
    """Read all pools in all servers at the same time.

    Raises:
        Refusal: Not one of the pools may be read in one of the servers.
    """
    seen = await asyncio.gather(*(_observe(name, look, pools) for name, look in servers.items()))
    return {pool.name: [views[pool.name] for views in seen] for pool in pools}


async def _observe(name: str, look: Look, pools: Collection[Pool]) -> dict[str, ReplicaView]:
    found = await asyncio.gather(*(_try(look, pool) for pool in pools))
    refusals = [said for said in found if isinstance(said, Refusal)]
    if refusals and len(refusals) == len(found):
        raise refusals[0]
    return {
        pool.name: ReplicaView(name, problem=str(said))
        if isinstance(said, Refusal | Unavailable)
        else ReplicaView(name, said)
        for pool, said in zip(pools, found, strict=True)
    }


async def _try(look: Look, pool: Pool) -> Mapping[str, MemberView] | Refusal | Unavailable:
    try:
        return await look(pool)
    except (Refusal, Unavailable) as said:
        return said
