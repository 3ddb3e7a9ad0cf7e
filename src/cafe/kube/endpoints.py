"""Services and their endpoints, as far as traffic is concerned: partial models, see `objects`."""

from cafe.kube.objects import Part, Resource
from cafe.kube.resources import Kind

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
"""On an EndpointSlice: the Service that it belongs to."""


class ServiceSpec(Part, frozen=True):
    """Whom a Service selects. One without a selector, or with an external name, has no pods."""

    selector: dict[str, str] = {}  # noqa: RUF012 -- a Struct's default; nobody changes it
    type: str = "ClusterIP"
    publish_not_ready_addresses: bool = False


class SelectingService(Resource, frozen=True):
    """A Service."""

    spec: ServiceSpec = ServiceSpec()


class EndpointConditions(Part, frozen=True):
    """Whether an endpoint is to be sent requests (KEP-1672).

    Attributes:
        ready: It is; a terminating one never.
        serving: It would answer.
        terminating: It is on its way out.
    """

    ready: bool = True
    serving: bool = True
    terminating: bool = False


class Endpoint(Part, frozen=True):
    """Addresses of one pod."""

    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()


class EndpointSlice(Resource, frozen=True):
    """Some of a Service's endpoints."""

    endpoints: tuple[Endpoint, ...] = ()

    @property
    def service(self) -> str:
        """Return the name of the Service; empty if it belongs to none."""
        return self.metadata.labels.get(SERVICE_NAME_LABEL, "")


SELECTING_SERVICES = Kind("", "v1", "services", "Service", namespaced=True, type=SelectingService)
ENDPOINT_SLICES = Kind(
    "discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", namespaced=True, type=EndpointSlice
)
