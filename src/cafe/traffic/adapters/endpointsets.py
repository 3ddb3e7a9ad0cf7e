"""The endpoints that Envoys are told: who is in which cluster, and who of them drains.

Pure, and versioned by content: equal endpoints have equal versions, in every process.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cafe.kernel import digest_of
from cafe.traffic.domain.facts import Member

ASSIGNMENT = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The members of one cluster.

    Attributes:
        cluster: Its name.
        members: By address: IP, port, and whether it drains.
    """

    cluster: str
    members: Mapping[str, tuple[str, int, bool]] = field(default_factory=dict)

    def attached(self, members: Iterable[Member]) -> "Endpoints":
        """Return the endpoints with *members* in service."""
        return self._with((m, False) for m in members)

    def detached(self, members: Iterable[Member]) -> "Endpoints":
        """Return the endpoints with those of *members* that are there drained."""
        return self._with((m, True) for m in members if m.address in self.members)

    def without(self, members: Iterable[Member]) -> "Endpoints":
        """Return the endpoints without *members*."""
        gone = {m.address for m in members}
        return replace(self, members={a: told for a, told in self.members.items() if a not in gone})

    def _with(self, changes: Iterable[tuple[Member, bool]]) -> "Endpoints":
        told = {m.address: (m.ip, m.port, is_draining) for m, is_draining in changes}
        return replace(self, members={**self.members, **told})

    @property
    def version(self) -> str:
        """Return the version: a digest of the content."""
        return str(digest_of(self.assignment()))

    def assignment(self) -> dict[str, Any]:
        """Return the ClusterLoadAssignment, as JSON."""
        found = [
            {
                "endpoint": {"address": {"socket_address": {"address": ip, "port_value": port}}},
                "health_status": "DRAINING" if is_draining else "HEALTHY",
            }
            for _, (ip, port, is_draining) in sorted(self.members.items())
        ]
        return {"@type": ASSIGNMENT, "cluster_name": self.cluster, "endpoints": [{"lb_endpoints": found}]}


def version_of(all_of_them: Iterable[Endpoints]) -> str:
    """Return the version of several clusters' endpoints together."""
    return str(digest_of(sorted((one.cluster, one.version) for one in all_of_them)))
