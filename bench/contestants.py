"""Who is compared: ours first, then its peers, each with a workload that is as alike as their kinds allow."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from cafe.api.names import API_VERSION
from testbed.openkruise import UNASKED

IMAGES: Final = tuple(f"cafe.test/bookinfo/productpage:{tag}" for tag in ("v1", "v2"))
SHARE: Final = "20%"
"""How many of its pods a workload may have unavailable."""


@dataclass(frozen=True)
class Contestant:
    """One kind of workload, and who works for it.

    Attributes:
        name: What tables call it.
        kind: Its kind in the API.
        version: Its `apiVersion`.
        program: Who works for it: the first word of its user agent.
        strategy: Its `spec` as far as it tells how pods are changed, for the most pods that it will have.
        labels: Of its namespace.
    """

    name: str
    kind: str
    version: str
    program: str
    strategy: Callable[[int], dict[str, Any]]
    labels: tuple[tuple[str, str], ...] = ((UNASKED, "bench"),)

    @property
    def namespace(self) -> str:
        """Return where its workload lives, alone."""
        return f"bench-{self.name.lower()}"

    @property
    def collection(self) -> str:
        """Return the path of its workloads."""
        return f"/apis/{self.version}/namespaces/{self.namespace}/{self.kind.lower()}s"

    @property
    def path(self) -> str:
        """Return the path of its one workload."""
        return f"{self.collection}/{self.name.lower()}"

    def workload(self, replicas: int, most: int) -> dict[str, Any]:
        """Return its workload, of *replicas* pods now and *most* later: none in excess of what is wanted."""
        labels = {"app": self.name.lower()}
        template = {
            "metadata": {"labels": labels},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [container(IMAGES[0])]},
        }
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        return {
            "apiVersion": self.version,
            "kind": self.kind,
            "metadata": {"name": self.name.lower()},
            "spec": spec | self.strategy(most),
        }


def container(image: str) -> dict[str, Any]:
    """Return the one container of each pod."""
    return {"name": "app", "image": image, "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}


OURS: Final = Contestant(
    "InPlaceSet",
    "CafeDeployment",
    API_VERSION,
    "cafe",
    lambda most: {"strategy": {"upgradeType": "Batch", "batchSize": most, "maxUnavailable": SHARE}},
)
CLONE_SET: Final = Contestant(
    "CloneSet",
    "CloneSet",
    "apps.kruise.io/v1alpha1",
    "kruise-manager",
    lambda _: {"updateStrategy": {"type": "InPlaceIfPossible", "maxUnavailable": SHARE}},
    labels=(),
)
DEPLOYMENT: Final = Contestant(
    "Deployment",
    "Deployment",
    "apps/v1",
    "kube-controller-manager",
    lambda _: {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": SHARE}}},
)
EVERYBODY: Final = (OURS, CLONE_SET, DEPLOYMENT)
