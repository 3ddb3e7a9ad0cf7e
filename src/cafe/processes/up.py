"""`cafe up`: the whole platform in one process, on the embedded cluster or on a real one."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import CollectorRegistry

from cafe.api.names import CONTROLLER_LEASE, CONTROLLER_NAMESPACE
from cafe.cli.ports import Tell, UpOptions, UpState
from cafe.cli.upstate import write_state
from cafe.kernel import Clock, Entropy, ObjectKey, SystemClock, SystemEntropy
from cafe.kube.client import Client
from cafe.kube.http import HttpTransport
from cafe.kube.kubeconfig import load_kubeconfig
from cafe.kube.transport import Transport
from cafe.observe.logs import configure_logs_of_a_command
from cafe.processes.crds import install
from cafe.processes.guard import WebhookSettings
from cafe.processes.replica import Replica
from cafe.processes.workloads import Surroundings, WorkloadControllers

PERIOD = timedelta(milliseconds=50)
LOCAL = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ground:
    """The cluster that the platform stands on."""

    transport: Transport
    state: UpState
    told: str
    webhook: WebhookSettings | None = None


@asynccontextmanager
async def _ground(options: UpOptions, clock: Clock, entropy: Entropy) -> AsyncIterator[Ground]:
    if options.kubeconfig is not None:
        access = load_kubeconfig([options.kubeconfig]).access(clock, os.environ, options.context)
        transport = HttpTransport(access)
        state = UpState(
            pid=os.getpid(),
            kubeconfig=str(options.kubeconfig),
            context=options.context,
            server=access.server,
            embedded=False,
        )
        try:
            yield Ground(transport, state, f"cluster {access.name} at {access.server}")
        finally:
            await transport.close()
        return
    # Only here: a process on a real cluster never loads the simulator.
    from cafe.processes.embedded import CELLS, embedded_cluster  # noqa: PLC0415 -- as said above

    cells = options.cells or CELLS
    async with embedded_cluster(
        options.home, clock, entropy, cells, options.nodes_per_cell, options.port
    ) as cluster:
        state = UpState(pid=os.getpid(), kubeconfig=str(cluster.kubeconfig), server=cluster.server)
        told = f"embedded cluster of {', '.join(cells)} at {cluster.server}"
        yield Ground(cluster.transport, state, told, WebhookSettings(LOCAL, LOCAL, port=0))


async def run_up(options: UpOptions, tell: Tell) -> None:
    """Run until cancelled; write the state file once everything works; leave nothing behind.

    Raises:
        cafe.kernel.Refusal: The kubeconfig is missing or broken, or the cluster refuses us.
        cafe.kernel.Unavailable: The cluster doesn't answer.
    """
    configure_logs_of_a_command()
    clock, entropy = SystemClock(), SystemEntropy()
    async with _ground(options, clock, entropy) as ground:
        client = Client(ground.transport, clock, entropy)
        tell(f"Using {ground.told}")
        namespace = options.namespace or CONTROLLER_NAMESPACE
        await install(client, namespace)
        tell("Installed the kinds CafeDeployment (cafed) and InPlaceSet (ips)")
        identity = f"{os.uname().nodename}_{entropy.uid()}"
        around = Surroundings(clock, entropy, CollectorRegistry(), webhook=ground.webhook)
        replica = Replica(ground.transport, around, ObjectKey(namespace, CONTROLLER_LEASE), identity)
        announcing = asyncio.ensure_future(_announce(options, ground, replica.controllers, tell))
        try:
            while True:  # Leadership may be lost, for instance to a suspended laptop: stand again.
                await replica.run()
        finally:
            announcing.cancel()


async def _announce(options: UpOptions, ground: Ground, controllers: WorkloadControllers, tell: Tell) -> None:
    clock = SystemClock()
    while not controllers.is_ready:
        await clock.sleep(PERIOD)
    state = ground.state
    write_state(
        options.state_file,
        UpState(
            pid=state.pid,
            kubeconfig=state.kubeconfig,
            context=state.context,
            server=state.server,
            ready=True,
            embedded=state.embedded,
        ),
    )
    tell(f"Ready. For kubectl: export KUBECONFIG={state.kubeconfig}")
