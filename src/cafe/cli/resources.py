"""The resources that commands read and write."""

from cafe.api.names import API_VERSION
from cafe.cli.ports import Resource

APP_SERVICES = Resource(API_VERSION, "cafeappservices", "CafeAppService")
APP_REVISIONS = Resource(API_VERSION, "cafeapprevisions", "CafeAppRevision")
APPS = Resource(API_VERSION, "cafedeployments", "CafeDeployment")
SETS = Resource(API_VERSION, "inplacesets", "InPlaceSet")
PODS = Resource("v1", "pods", "Pod")
SERVICES = Resource("v1", "services", "Service")
BINDINGS = Resource(API_VERSION, "trafficbindings", "TrafficBinding")
PROVIDERS = Resource(API_VERSION, "trafficproviders", "TrafficProvider")
NODES = Resource("v1", "nodes", "Node", is_namespaced=False)
EVENTS = Resource("v1", "events", "Event")
REVISIONS = Resource("apps/v1", "controllerrevisions", "ControllerRevision")
AUTOSCALERS = Resource("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
DEPLOYMENTS = Resource("apps/v1", "deployments", "Deployment")
STATEFUL_SETS = Resource("apps/v1", "statefulsets", "StatefulSet")
LEASES = Resource("coordination.k8s.io/v1", "leases", "Lease")
CRDS = Resource(
    "apiextensions.k8s.io/v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    is_namespaced=False,
)
