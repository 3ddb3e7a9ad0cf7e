"""A steady stream of requests, each with an id, each sent once; and the account of both sides."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

TIMEOUT: Final = 30.0
"""Seconds for an answer; far beyond what the application takes."""

Choose = Callable[[], str | None]
"""Returns the address that the next request goes to; None if nobody is known."""


@dataclass
class Account:
    """What became of requests.

    Attributes:
        sent: Ids of all.
        answered: By id, the version that answered.
        lost: By id, why there was no answer.
        handled: By id, how often the application did the work.
    """

    sent: list[str] = field(default_factory=list)
    answered: dict[str, str] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    handled: Counter[str] = field(default_factory=Counter)

    @property
    def doubled(self) -> list[str]:
        """Return the ids of requests that were worked on more than once."""
        return [name for name, count in self.handled.items() if count > 1]

    def of(self, ids: Iterable[str]) -> "Account":
        """Return the account of some requests."""
        mine = set(ids)
        return Account(
            sent=[i for i in self.sent if i in mine],
            answered={i: v for i, v in self.answered.items() if i in mine},
            lost={i: why for i, why in self.lost.items() if i in mine},
            handled=Counter({i: n for i, n in self.handled.items() if i in mine}),
        )


class Load:
    """Posts *rate* requests a second, whatever becomes of them.

    Args:
        choose: Whom to ask.
        rate: Requests a second.
        is_reusing: Whether connections are kept and used again.
    """

    def __init__(self, choose: Choose, rate: float, *, is_reusing: bool) -> None:
        self.account = Account()
        self._choose = choose
        self._pause = 1 / rate
        self._numbers = itertools.count(1)
        self._posts: set[asyncio.Task[None]] = set()
        connector = aiohttp.TCPConnector(limit=0, force_close=not is_reusing)
        self._http = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            post = asyncio.create_task(self.post(f"r{next(self._numbers)}"))
            self._posts.add(post)
            post.add_done_callback(self._posts.discard)
            due += self._pause
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def post(self, name: str, work: str = "") -> None:
        """Send one request; *work* is how long it is to take, as Go writes durations."""
        self.account.sent.append(name)
        address = self._choose()
        if address is None:
            self.account.lost[name] = "nobody is known"
            return
        headers = {"X-Work": work} if work else {}
        try:
            async with self._http.post(f"http://{address}/", data=name, headers=headers) as answer:
                if answer.status != 200:
                    self.account.lost[name] = f"status {answer.status}"
                    return
                self.account.answered[name] = str((await answer.json())["version"])
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self.account.lost[name] = type(error).__name__

    async def end(self) -> Account:
        """Send no more, wait for all answers, and return the account."""
        self._sending.cancel()
        while self._posts:
            await asyncio.gather(*self._posts, return_exceptions=True)
        await self._http.close()
        return self.account


def in_turn(addresses: Callable[[], list[str]]) -> Choose:
    """Return a choice of each address in turn, of those that there are just then."""
    turn = itertools.count()

    def choose() -> str | None:
        known = addresses()
        return known[next(turn) % len(known)] if known else None

    return choose


def handled(folder: Path) -> Counter[str]:
    """Return how often each id was worked on, as the applications wrote it down."""
    lines = (line for path in folder.iterdir() for line in path.read_text().splitlines())
    return Counter(line.split(" ", 1)[0] for line in lines)
