"""Prometheus metrics of a process. Label children are looked up once and kept: `labels()` is the dear part.

Nothing is registered globally: a process makes one registry, a test makes its own.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_DRAINS = (0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600)


class ClientMetrics:
    """Requests to API servers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "cafe_api_requests_total",
            "Requests to an API server; code 0 means that no answer came.",
            ["verb", "resource", "code"],
            registry=registry,
        )
        self._latency = Histogram(
            "cafe_api_request_seconds",
            "Time from sending a request to having its whole answer.",
            ["verb"],
            registry=registry,
            buckets=_LATENCIES,
        )
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._histograms: dict[str, Histogram] = {}

    def observe(self, verb: str, resource: str, code: int, took: timedelta) -> None:
        """Count one request."""
        key = (verb, resource, code)
        if (counter := self._counters.get(key)) is None:
            counter = self._counters[key] = self._requests.labels(verb, resource, str(code))
        if (histogram := self._histograms.get(verb)) is None:
            histogram = self._histograms[verb] = self._latency.labels(verb)
        counter.inc()
        histogram.observe(took.total_seconds())


class BoundCacheMetrics:
    """The metrics of one informer."""

    def __init__(self, objects: Gauge, events: Counter, failures: Counter, relists: Counter) -> None:
        self.objects = objects
        self.events = events
        self.failures = failures
        self.relists = relists


class CacheMetrics:
    """Informers and their caches."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._objects = Gauge("cafe_cache_objects", "Objects in the cache.", ["resource"], registry=registry)
        self._events = Counter(
            "cafe_cache_events_total", "Watch events taken in.", ["resource"], registry=registry
        )
        self._failures = Counter(
            "cafe_cache_failures_total",
            "Watches and lists that failed.",
            ["resource"],
            registry=registry,
        )
        self._relists = Counter(
            "cafe_cache_relists_total", "Times the cache was read anew.", ["resource"], registry=registry
        )

    def bind(self, resource: str) -> BoundCacheMetrics:
        """Return the metrics of one resource."""
        return BoundCacheMetrics(
            self._objects.labels(resource),
            self._events.labels(resource),
            self._failures.labels(resource),
            self._relists.labels(resource),
        )


class BoundControllerMetrics:
    """The metrics of one controller."""

    def __init__(
        self, passes: Callable[[str], Counter], seconds: Histogram, waiting: Histogram, depth: Gauge
    ) -> None:
        self._passes = passes
        self._results: dict[str, Counter] = {}
        self.seconds = seconds
        self.waiting = waiting
        self.depth = depth

    def count(self, result: str) -> None:
        """Count one pass by its result: `done`, `conflict`, `refused`, `unavailable`, `bug`."""
        if (counter := self._results.get(result)) is None:
            counter = self._results[result] = self._passes(result)
        counter.inc()


class ControllerMetrics:
    """Controllers and their queues."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._passes = Counter(
            "cafe_reconciles_total", "Passes by result.", ["controller", "result"], registry=registry
        )
        self._seconds = Histogram(
            "cafe_reconcile_seconds",
            "Time one pass took.",
            ["controller"],
            registry=registry,
            buckets=_LATENCIES,
        )
        self._waiting = Histogram(
            "cafe_queue_wait_seconds",
            "Time a key waited to be taken.",
            ["controller"],
            registry=registry,
            buckets=_LATENCIES,
        )
        self._depth = Gauge("cafe_queue_depth", "Keys waiting.", ["controller"], registry=registry)

    def bind(self, controller: str) -> BoundControllerMetrics:
        """Return the metrics of one controller."""
        return BoundControllerMetrics(
            lambda result: self._passes.labels(controller, result),
            self._seconds.labels(controller),
            self._waiting.labels(controller),
            self._depth.labels(controller),
        )


class BoundProviderMetrics:
    """The metrics of one provider of traffic."""

    def __init__(
        self,
        drains: Histogram,
        attaches: Histogram,
        commands: Callable[[str, str], Counter],
        reachable: Gauge,
    ) -> None:
        self._commands = commands
        self._counters: dict[tuple[str, str], Counter] = {}
        self._reachable = reachable
        self._drains = drains
        self._attaches = attaches

    def drained(self, took: timedelta) -> None:
        """Take note of a pod whose traffic is proven gone."""
        self._drains.observe(took.total_seconds())

    def attached(self, took: timedelta) -> None:
        """Take note of a pod whose traffic is proven back."""
        self._attaches.observe(took.total_seconds())

    def told(self, command: str, *, is_done: bool) -> None:
        """Count one command."""
        result = "done" if is_done else "failed"
        if (counter := self._counters.get((command, result))) is None:
            counter = self._counters[command, result] = self._commands(command, result)
        counter.inc()

    def reached(self, provider: str, replica: str, *, is_reachable: bool) -> None:
        """Say whether one process answers."""
        self._reachable.labels(provider, replica).set(is_reachable)


class TrafficMetrics:
    """Pods on their way out of traffic and back, and what carries it. Services are the provider `Service`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pods = Gauge(
            "cafe_traffic_pods",
            "Guarded pods by where they stand: Serving, Draining, DrainStuck, Drained, Held, Attaching.",
            ["namespace", "application", "phase"],
            registry=registry,
        )
        self.forced = Gauge(
            "cafe_traffic_forced_pods",
            "Pods whose drain waits for less than every proof, because a person said so.",
            ["namespace", "application"],
            registry=registry,
        )
        self._drains = Histogram(
            "cafe_traffic_drain_seconds",
            "Time from the first look at a pod that is wanted gone until its traffic is proven gone.",
            ["provider"],
            registry=registry,
            buckets=_DRAINS,
        )
        self._attaches = Histogram(
            "cafe_traffic_attach_seconds",
            "Time from the first look at a pod that is ready until its traffic is proven back.",
            ["provider"],
            registry=registry,
            buckets=_DRAINS,
        )
        self._commands = Counter(
            "cafe_traffic_commands_total",
            "Commands to a provider: attach, detach, remove; failed ones are told again.",
            ["provider", "command", "result"],
            registry=registry,
        )
        self._reachable = Gauge(
            "cafe_traffic_provider_reachable",
            "1 while a process of a provider answers, by the last look.",
            ["provider", "replica"],
            registry=registry,
        )

    def bind(self, provider: str) -> BoundProviderMetrics:
        """Return the metrics of one provider."""
        return BoundProviderMetrics(
            self._drains.labels(provider),
            self._attaches.labels(provider),
            lambda command, result: self._commands.labels(provider, command, result),
            self._reachable,
        )

    def forget(self, provider: str, replicas: Iterable[str]) -> None:
        """Say no more of processes that are nobody's."""
        for replica in replicas:
            with suppress(KeyError):
                self._reachable.remove(provider, replica)


class ProcessMetrics:
    """The process itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.loop_lag = Histogram(
            "cafe_loop_lag_seconds",
            "How late the event loop runs what is due.",
            registry=registry,
            buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5),
        )
        self.is_leader = Gauge("cafe_is_leader", "1 while this process leads.", registry=registry)
        self.collections = Gauge(
            "cafe_gc_collections", "Collections so far, by generation.", ["generation"], registry=registry
        )
