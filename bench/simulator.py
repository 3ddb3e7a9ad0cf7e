"""How fast the simulated API server takes small writes: `python bench/simulator.py`.

One ConfigMap after another over the product's transport without sockets, then by eight clients at once over
HTTP, each also through one watch. Goals: 5,000 and 500 writes a second.
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path

from cafe.kernel import SystemClock, SystemEntropy
from cafe.kube.http import HttpTransport
from cafe.kube.kubeconfig import load_kubeconfig
from cafe.kube.transport import Request, Transport
from cafe_sim.apiserver import ApiServer
from cafe_sim.apiserver.http import serve
from cafe_sim.timeline import LoopTimeline
from cafe_sim.transport import SimTransport

PATH = "/api/v1/namespaces/default/configmaps"
WITHOUT_SOCKETS, OVER_HTTP, CLIENTS = 10_000, 2_000, 8
GOAL_WITHOUT, GOAL_HTTP = 5_000, 500


async def write(transport: Transport, names: range) -> None:
    """Create ConfigMaps, one after another."""
    for number in names:
        body = {"metadata": {"name": f"c-{number}"}, "data": {"key": "value"}}
        answer = await transport.send(Request("POST", PATH, body=json.dumps(body).encode()))
        assert answer.status == 201, answer.body


async def watch(transport: Transport, count: int) -> None:
    """See *count* events."""
    async with transport.stream(
        Request("GET", PATH, (("watch", "true"), ("resourceVersion", "1")))
    ) as stream:
        async for _ in stream.lines:
            count -= 1
            if not count:
                return


async def measured(transport: Transport, total: int, clients: int) -> float:
    """Return writes a second, all of them also seen by a watch."""
    begin = time.perf_counter()
    share = total // clients
    parts = [write(transport, range(n * share, (n + 1) * share)) for n in range(clients)]
    await asyncio.gather(watch(transport, share * clients), *parts)
    return share * clients / (time.perf_counter() - begin)


async def main() -> None:
    """Measure both ways and say how they compare with the goals."""
    plain = ApiServer(LoopTimeline(SystemClock()), SystemEntropy())
    rate = await measured(SimTransport(plain), WITHOUT_SOCKETS, 1)
    print(f"without sockets: {rate:8.0f} writes/s (goal {GOAL_WITHOUT})")
    server = ApiServer(LoopTimeline(SystemClock()), SystemEntropy())
    with tempfile.TemporaryDirectory() as folder:
        async with serve(server) as address:
            path = Path(folder) / "kubeconfig"
            address.write_kubeconfig(path)
            transport = HttpTransport(load_kubeconfig([path]).access(SystemClock()))
            rate = await measured(transport, OVER_HTTP, CLIENTS)
            await transport.close()
    print(f"over HTTP:       {rate:8.0f} writes/s (goal {GOAL_HTTP})")


if __name__ == "__main__":
    asyncio.run(main())
