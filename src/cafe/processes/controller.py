"""The controller process of a member cluster: `python -m cafe.processes.controller`."""

import argparse
import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from cafe.api.names import CONTROLLER_LEASE, CONTROLLER_NAMESPACE
from cafe.kernel import ObjectKey, Refusal, SystemClock, SystemEntropy
from cafe.kube.access import Access, in_cluster
from cafe.kube.client import Client
from cafe.kube.http import HttpTransport
from cafe.kube.kubeconfig import default_paths, load_kubeconfig
from cafe.kube.leadership import LeadershipSettings
from cafe.kube.runtime import (
    Health,
    probe_app,
    serving_probes,
    stopping_on_signals,
    supervise,
    watch_loop,
)
from cafe.observe.logs import configure_logs
from cafe.observe.metrics import ClientMetrics, ProcessMetrics
from cafe.processes.crds import install
from cafe.processes.guard import WebhookSettings
from cafe.processes.replica import Replica
from cafe.processes.workloads import Surroundings

GRACE = timedelta(seconds=20)

log = structlog.get_logger(__name__)


def access_of(options: argparse.Namespace) -> Access:
    """Return the way to the API server that the options name: a kubeconfig, or the pod's own cluster.

    Raises:
        Refusal: There is none, or it is broken.
    """
    clock, environment = SystemClock(), os.environ
    if options.kubeconfig or environment.get("KUBECONFIG"):
        paths = [Path(options.kubeconfig)] if options.kubeconfig else default_paths(environment)
        return load_kubeconfig(paths).access(clock, environment, options.context)
    return in_cluster(clock, environment)


async def run(options: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT; then finish the passes under way and give up the lease."""
    clock, entropy, registry = SystemClock(), SystemEntropy(), CollectorRegistry()
    transport = HttpTransport(access_of(options))
    identity = f"{os.uname().nodename}_{entropy.uid()}"
    if options.install_crds:
        await install(Client(transport, clock, entropy), options.namespace)
    around = Surroundings(
        clock,
        entropy,
        registry,
        election=election_of(options),
        webhook=webhook_of(options),
        namespace=options.namespace,
        discovery=(options.discovery_bind, options.discovery_port) if options.discovery_port else None,
    )
    lease = ObjectKey(options.namespace, CONTROLLER_LEASE) if options.leader_elect else None
    replica = Replica(transport, around, lease, identity, metrics=ClientMetrics(registry))
    health = Health(lambda: replica.is_ready, clock.monotonic())
    metrics = ProcessMetrics(registry)
    metrics.is_leader.set_function(lambda: float(replica.is_leading))
    stop = asyncio.Event()
    watch = asyncio.ensure_future(watch_loop(clock, health, metrics))
    try:
        app = probe_app(health, clock, registry)
        async with serving_probes(app, options.probe_host, options.probe_port) as port:
            log.info("controller.started", identity=identity, probes=port)
            with stopping_on_signals(stop):
                await supervise(replica.run, stop, replica.controllers.drain, GRACE, health)
    finally:
        watch.cancel()
        await transport.close()


def election_of(options: argparse.Namespace) -> LeadershipSettings:
    """Return the times of the election.

    Raises:
        Refusal: They leave no margin.
    """
    try:
        return LeadershipSettings(
            timedelta(seconds=options.leader_elect_lease_duration),
            timedelta(seconds=options.leader_elect_renew_deadline),
            timedelta(seconds=options.leader_elect_retry_period),
        )
    except ValueError as error:
        raise Refusal(
            "BadElection",
            "The times of the election leave no margin.",
            f"{error}.",
            "Correct --leader-elect-lease-duration, -renew-deadline or -retry-period.",
        ) from error


def webhook_of(options: argparse.Namespace) -> WebhookSettings | None:
    """Return where evictions are judged; None if the API server can't reach this process."""
    host = options.webhook_host or os.environ.get("POD_IP", "")
    return WebhookSettings(host, options.webhook_bind, options.webhook_port) if host else None


def options_of(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="cafe controller", description=__doc__)
    parser.add_argument("--kubeconfig", help="default: $KUBECONFIG, else the pod's own cluster")
    parser.add_argument("--context", default="", help="a context of the kubeconfig")
    parser.add_argument("--namespace", default=CONTROLLER_NAMESPACE, help="where the lease lives")
    parser.add_argument("--leader-elect", action=argparse.BooleanOptionalAction, default=True)
    usual = LeadershipSettings()
    for name, default, text in (
        ("lease-duration", usual.lease_duration, "after so long without a renewal another one may lead"),
        ("renew-deadline", usual.renew_deadline, "after so long without one the leader stops"),
        ("retry-period", usual.retry_period, "between two attempts"),
    ):
        parser.add_argument(
            f"--leader-elect-{name}", type=float, default=default.total_seconds(), help=f"seconds; {text}"
        )
    parser.add_argument("--install-crds", action="store_true", help="apply the namespace and the CRDs first")
    parser.add_argument("--probe-host", default="127.0.0.1")
    parser.add_argument("--probe-port", type=int, default=0, help="0 chooses a free one")
    usual_hook = WebhookSettings("")
    parser.add_argument(
        "--webhook-host",
        default="",
        help="where the API server reaches this process, to have evictions judged; default: $POD_IP, else "
        "evictions go by their PodDisruptionBudget alone",
    )
    parser.add_argument("--webhook-bind", default=usual_hook.bind, help="local address to listen at")
    parser.add_argument("--webhook-port", type=int, default=usual_hook.port, help="0 chooses a free one")
    parser.add_argument(
        "--discovery-port",
        type=int,
        default=0,
        help="where Envoys ask for their endpoints (xDS over REST); default: nowhere, they watch files",
    )
    parser.add_argument("--discovery-bind", default="0.0.0.0", help="local address to listen at")  # noqa: S104 -- as above
    parser.add_argument("--log-format", choices=("json", "console"), default="json")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    return parser.parse_args(arguments)


def main() -> None:
    """Run the process; a refusal ends it with its three parts and status 2."""
    options = options_of(sys.argv[1:])
    configure_logs(form=options.log_format, level=options.log_level)
    try:
        asyncio.run(run(options))
    except Refusal as refusal:
        sys.stderr.write(f"error: {refusal.what}\nwhy: {refusal.why}\ndo: {refusal.remedy}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
