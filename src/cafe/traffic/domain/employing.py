"""Who sends requests to a pod: Services that select it, and pools that its application is bound to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from cafe.api.names import APP_LABEL
from cafe.api.trafficbinding import DrainRules, PoolBinding, TrafficBinding
from cafe.api.trafficmarks import employer_name
from cafe.api.trafficprovider import ProviderType, TrafficProvider
from cafe.kernel import Refusal
from cafe.traffic.domain.facts import Employer, Pool, Rules

SERVICE = "Service"
FLOORS: Mapping[str, timedelta] = {
    SERVICE: timedelta(seconds=2),
    ProviderType.HAPROXY: timedelta(seconds=1),
    ProviderType.ENVOY: timedelta(seconds=2),
    ProviderType.ZOOKEEPER: timedelta(seconds=3),
    ProviderType.NACOS: timedelta(seconds=3),
    ProviderType.SOFA_REGISTRY: timedelta(seconds=3),
}
"""How long each kind may take to hear of a detach, as measured; for Services, kube-proxy on every node."""

QUIET = timedelta(seconds=1)
REFRESHED = timedelta(seconds=1)
"""After the time for which clients of a registry believe an old list."""


@dataclass(frozen=True, slots=True)
class ServiceFact:
    """A Service, as far as it carries traffic.

    Attributes:
        selector: Empty if it selects no pods.
        is_blind: Whether it sends requests to pods that are not ready, too: it can't be drained.
    """

    namespace: str
    name: str
    selector: Mapping[str, str]
    is_blind: bool = False

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether a pod with *labels* is among its endpoints."""
        return (
            namespace == self.namespace
            and bool(self.selector)
            and all(labels.get(key) == value for key, value in self.selector.items())
        )


def rules_of(kind: str, said: DrainRules) -> Rules:
    """Return when traffic counts as gone: as declared, else as measured for the *kind* of employer."""
    floor = FLOORS[kind] if said.floor_seconds is None else timedelta(seconds=said.floor_seconds)
    if said.refresh_seconds:
        floor = max(floor, timedelta(seconds=said.refresh_seconds) + REFRESHED)
    return Rules(
        floor=floor,
        quiet=QUIET if said.quiet_seconds is None else timedelta(seconds=said.quiet_seconds),
        soft=timedelta(seconds=said.soft_deadline_seconds),
        deadline=timedelta(seconds=said.deadline_seconds),
    )


def employers_of(
    namespace: str,
    labels: Mapping[str, str],
    services: Iterable[ServiceFact],
    bindings: Iterable[TrafficBinding],
    kinds: Mapping[str, ProviderType],
) -> tuple[Employer, ...]:
    """Return who sends requests to a pod, by name.

    Args:
        namespace: Of the pod.
        labels: Of the pod.
        services: Of the namespace.
        bindings: Of the namespace, that are in force.
        kinds: Type of each provider. A pool of one that is unknown employs the pod all the same: it may send
            requests, and nobody can tell.
    """
    mine = [b for b in bindings if b.spec.app == labels.get(APP_LABEL)]
    found = [employer for b in mine for employer in pools_of(b, kinds)]
    standing = [b for b in mine if b.metadata.deletion_timestamp is None]
    if all(b.spec.services for b in standing):
        said = standing[0].spec.service_drain if standing else DrainRules()
        found += [
            service_employer(s, said) for s in services if s.selects(namespace, labels) and not s.is_blind
        ]
    return tuple(sorted(found, key=lambda employer: employer.name))


def pools_of(binding: TrafficBinding, kinds: Mapping[str, ProviderType]) -> tuple[Employer, ...]:
    """Return the pools of a binding as employers: those declared, and those that were and still hold pods."""
    is_going = binding.metadata.deletion_timestamp is not None
    declared = [pool_employer(binding, pool, kinds) for pool in binding.spec.pools]
    names = {employer.name for employer in declared}
    left = [
        Employer(
            name=told.name,
            provider=told.provider,
            pool=Pool(told.pool, told.port),
            rules=rules_of(ProviderType.ZOOKEEPER, DrainRules()),
            is_retired=True,
        )
        for told in binding.status.employers
        if told.name not in names
    ]
    return (*(replace(e, is_retired=True) if is_going else e for e in declared), *left)


def service_employer(service: ServiceFact, said: DrainRules) -> Employer:
    """Return a Service as an employer. Its last endpoint may go: so it was before anybody guarded it."""
    name = employer_name(SERVICE, service.namespace, service.name)
    pool = Pool(f"{service.namespace}/{service.name}", 0)
    return Employer(name, "", pool, rules_of(SERVICE, said), may_drain_last=True)


def pool_employer(binding: TrafficBinding, pool: PoolBinding, kinds: Mapping[str, ProviderType]) -> Employer:
    """Return a pool as an employer."""
    kind = kinds.get(pool.provider)
    return Employer(
        name=employer_name("Pool", binding.metadata.namespace, f"{pool.provider}/{pool.pool}"),
        provider=pool.provider,
        pool=Pool(pool.pool, pool.port),
        rules=rules_of(kind if kind is not None else ProviderType.ZOOKEEPER, pool.drain),
        may_drain_last=binding.spec.may_drain_last,
    )


def judge_binding(
    binding: TrafficBinding, others: Sequence[TrafficBinding], providers: Mapping[str, TrafficProvider]
) -> Refusal | None:
    """Return why a binding can't be followed, or None.

    Args:
        binding: What is judged.
        others: All other bindings of the cluster: a pool has one owner, whatever the namespace.
        providers: By name.
    """
    seen: set[tuple[str, str]] = set()
    for pool in binding.spec.pools:
        place = (pool.provider, pool.pool)
        if pool.provider not in providers:
            return Refusal(
                "ProviderMissing",
                f"Pool {pool.name} names the provider {pool.provider}, which doesn't exist.",
                f"There are: {', '.join(sorted(providers)) or 'none'}.",
                "Correct spec.pools, or make a TrafficProvider of that name in the controller's namespace.",
            )
        if place in seen:
            return Refusal(
                "PoolTwice",
                f"Pool {pool.pool} of {pool.provider} is named twice.",
                "Each would undo what the other does.",
                "Name it once in spec.pools.",
            )
        seen.add(place)
        if (owner := _owner_of(place, binding, others)) is not None:
            return Refusal(
                "PoolTaken",
                f"Pool {pool.pool} of {pool.provider} belongs to another binding.",
                f"TrafficBinding {owner.metadata.namespace}/{owner.metadata.name} claimed it first.",
                "Take it out of one of the two.",
            )
    return None


def _owner_of(
    place: tuple[str, str], binding: TrafficBinding, others: Sequence[TrafficBinding]
) -> TrafficBinding | None:
    """Return the binding that claimed the same pool first, if one did."""
    for other in others:
        claims = {(pool.provider, pool.pool) for pool in other.spec.pools}
        if place in claims and _age(other) < _age(binding):
            return other
    return None


def _age(binding: TrafficBinding) -> tuple[bool, str, str, str]:
    """Return what tells who claimed first: what is in force stays so, whoever else appears."""
    meta = binding.metadata
    return (not binding.status.employers, meta.creation_timestamp or "", meta.namespace, meta.name)


def is_in_force(binding: TrafficBinding, refusal: Refusal | None) -> bool:
    """Whether a binding employs pods.

    One that was in force stays so when its provider is lost, or its claim: its pools may still send requests,
    and a pod that is thought to be free would be touched under traffic.
    """
    return refusal is None or bool(binding.status.employers)
