"""The caches that traffic reads, and who employs which pod by them."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeAlias

from cafe.api.names import APP_LABEL, ATTACHED_PREFIX, PROTECTION_PREFIX, TRAFFIC_GATE
from cafe.api.trafficbinding import TrafficBinding
from cafe.api.trafficmarks import read_expected, write_expected
from cafe.api.trafficprovider import TrafficProvider
from cafe.kernel import ObjectKey
from cafe.kube.cache import Cache
from cafe.kube.caches import Caches
from cafe.kube.endpoints import ENDPOINT_SLICES, SELECTING_SERVICES, EndpointSlice, SelectingService
from cafe.kube.kinds import TRAFFIC_BINDINGS, TRAFFIC_PROVIDERS
from cafe.kube.objects import PODS, STATEFUL_SETS, Pod
from cafe.traffic.contract import Marks, stand_of
from cafe.traffic.domain.employing import ServiceFact, employers_of, is_in_force, judge_binding
from cafe.traffic.domain.facts import Employer, PodTraffic

GUARDED = "guarded"
ADDRESS = "address"
NAMESPACE = "namespace"
SERVICE = "service"

Wake: TypeAlias = Callable[[ObjectKey], None]


def marks_of(pod: Pod) -> Marks:
    """Return what a pod carries, as far as traffic is concerned."""
    conditions = {c.type: c.status for c in pod.status.conditions}
    return Marks(
        uid=pod.metadata.uid,
        restarts=sum(c.restart_count for c in pod.status.container_statuses),
        annotations=pod.metadata.annotations,
        finalizers=pod.metadata.finalizers,
        has_gate=any(gate.condition_type == TRAFFIC_GATE for gate in pod.spec.readiness_gates),
        is_gate_on=conditions.get(TRAFFIC_GATE) == "True",
    )


def pod_traffic(pod: Pod) -> PodTraffic:
    """Return a pod as decisions about traffic see it."""
    meta, status = pod.metadata, pod.status
    owner = meta.controller
    has_ended = bool(status.container_statuses) and all(c.state.terminated for c in status.container_statuses)
    return PodTraffic(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resource_version=meta.resource_version,
        ip=status.pod_ip,
        fact=stand_of(marks_of(pod)),
        protections=frozenset(f for f in meta.finalizers if f.startswith(PROTECTION_PREFIX)),
        expected=read_expected(meta.annotations),
        attached={
            key.removeprefix(ATTACHED_PREFIX): ip
            for key, ip in meta.annotations.items()
            if key.startswith(ATTACHED_PREFIX)
        },
        restarts=sum(c.restart_count for c in status.container_statuses),
        is_ready=any(c.type == "Ready" and c.status == "True" for c in status.conditions),
        is_leaving=meta.is_deleting,
        is_named_again=owner is not None and owner.kind == STATEFUL_SETS.kind,
        is_over=status.phase in {"Failed", "Succeeded"} or (meta.is_deleting and has_ended),
    )


def _guarded(pod: Pod) -> Iterator[str]:
    """Index the pods of applications, by application."""
    app = pod.metadata.labels.get(APP_LABEL)
    if app:
        yield f"{pod.metadata.namespace}/{app}"


def _address(pod: Pod) -> tuple[str, ...]:
    return (pod.status.pod_ip,) if pod.status.pod_ip and pod.metadata.labels.get(APP_LABEL) else ()


def _namespace(body: SelectingService | TrafficBinding) -> tuple[str, ...]:
    return (body.metadata.namespace,)


def _service(body: EndpointSlice) -> tuple[str, ...]:
    return (f"{body.metadata.namespace}/{body.service}",) if body.service else ()


class WatchedTraffic:
    """The caches, with the indexes that traffic needs."""

    def __init__(self, caches: Caches, namespace: str) -> None:
        """Watch.

        Args:
            caches: Of the process.
            namespace: Of the controller, where providers and their secrets live.
        """
        self.pods: Cache[Pod] = caches.cache(PODS)
        self.services: Cache[SelectingService] = caches.cache(SELECTING_SERVICES)
        self.slices: Cache[EndpointSlice] = caches.cache(ENDPOINT_SLICES)
        self.bindings: Cache[TrafficBinding] = caches.cache(TRAFFIC_BINDINGS)
        self.providers: Cache[TrafficProvider] = caches.cache(TRAFFIC_PROVIDERS, namespace)
        self.pods.add_index(GUARDED, _guarded)
        self.pods.add_index(ADDRESS, _address)
        self.services.add_index(NAMESPACE, _namespace)
        self.bindings.add_index(NAMESPACE, _namespace)
        self.slices.add_index(SERVICE, _service)

    def by_name(self) -> dict[str, TrafficProvider]:
        """Return all providers by name."""
        return {p.metadata.name: p for p in self.providers if p.metadata.deletion_timestamp is None}

    def employers(self, namespace: str, labels: Mapping[str, str]) -> tuple[Employer, ...]:
        """Return who sends requests to a pod with these labels; nobody, if it belongs to no application."""
        if not labels.get(APP_LABEL):
            return ()
        services = [_service_fact(s) for s in self.services.by_index(NAMESPACE, namespace)]
        kinds = {name: provider.spec.type for name, provider in self.by_name().items()}
        return employers_of(namespace, labels, services, self.in_force(namespace), kinds)

    def in_force(self, namespace: str) -> list[TrafficBinding]:
        """Return the bindings of a namespace that employ pods."""
        providers = self.by_name()
        found: list[TrafficBinding] = []
        for binding in self.bindings.by_index(NAMESPACE, namespace):
            others = [b for b in self.bindings if b.metadata.uid != binding.metadata.uid]
            if is_in_force(binding, judge_binding(binding, others, providers)):
                found.append(binding)
        return found

    def expected(self, namespace: str, labels: Mapping[str, str]) -> dict[str, str]:
        """Return what must carry the traffic of a pod with these labels, each with its finalizer."""
        return {e.name: e.finalizer for e in self.employers(namespace, labels) if not e.is_retired}

    def expected_text(self, namespace: str, labels: Mapping[str, str]) -> str:
        """Return the same as the annotation that holds it; empty if there is nothing."""
        found = self.expected(namespace, labels)
        return write_expected(found) if found else ""

    def pods_of(self, namespace: str, app: str) -> tuple[Pod, ...]:
        """Return the pods of an application."""
        return self.pods.by_index(GUARDED, f"{namespace}/{app}")

    def pods_at(self, namespace: str, ips: Collection[str]) -> list[Pod]:
        """Return the pods of a namespace that have one of these addresses."""
        found = (p for ip in ips for p in self.pods.by_index(ADDRESS, ip))
        return [p for p in found if p.metadata.namespace == namespace]

    def wake_pods(self, wake: Wake) -> None:
        """Call *wake* with the key of each pod whose traffic something may concern."""

        def pod_changed(old: Pod | None, new: Pod | None) -> None:
            pod = new or old
            if pod is not None and pod.metadata.labels.get(APP_LABEL):
                wake(pod.key)

        def service_changed(old: SelectingService | None, new: SelectingService | None) -> None:
            if old is not None and new is not None and old.spec == new.spec:
                return
            for service in (old, new):
                if service is not None and service.spec.selector:
                    self._wake_selected(_service_fact(service), wake)

        def binding_changed(old: TrafficBinding | None, new: TrafficBinding | None) -> None:
            binding = new or old
            if binding is not None:
                for pod in self.pods_of(binding.metadata.namespace, binding.spec.app):
                    wake(pod.key)

        self.pods.on_change(pod_changed)
        self.services.on_change(service_changed)
        self.bindings.on_change(binding_changed)

    def wake_bindings(self, wake: Wake) -> None:
        """Call *wake* with the key of each binding that something may concern."""

        def every() -> None:
            for binding in self.bindings:
                wake(ObjectKey(binding.metadata.namespace, binding.metadata.name))

        def binding_changed(old: TrafficBinding | None, new: TrafficBinding | None) -> None:
            if old is None or new is None or old.spec != new.spec:
                every()  # A pool may have become free, or taken.
            else:
                wake(ObjectKey(new.metadata.namespace, new.metadata.name))

        def pod_changed(old: Pod | None, new: Pod | None) -> None:
            pod = new or old
            if pod is None or _finalizers(old) == _finalizers(new):
                return
            for binding in self.bindings.by_index(NAMESPACE, pod.metadata.namespace):
                if binding.spec.app == pod.metadata.labels.get(APP_LABEL):
                    wake(ObjectKey(binding.metadata.namespace, binding.metadata.name))

        self.bindings.on_change(binding_changed)
        self.providers.on_change(lambda *_: every())
        self.pods.on_change(pod_changed)

    def _wake_selected(self, service: ServiceFact, wake: Wake) -> None:
        for pod in self.pods:
            labels = pod.metadata.labels
            if labels.get(APP_LABEL) and service.selects(pod.metadata.namespace, labels):
                wake(pod.key)


def _finalizers(pod: Pod | None) -> tuple[str, ...]:
    return pod.metadata.finalizers if pod is not None else ()


def _service_fact(service: SelectingService) -> ServiceFact:
    meta, spec = service.metadata, service.spec
    selector = {} if spec.type == "ExternalName" else spec.selector
    return ServiceFact(meta.namespace, meta.name, selector, is_blind=spec.publish_not_ready_addresses)
