"""Our own kinds, as the machinery addresses and decodes them."""

from typing import Any

from cafe.api.cafeapprevision import CafeAppRevision
from cafe.api.cafeappservice import CafeAppService
from cafe.api.cafedeployment import CafeDeployment
from cafe.api.inplaceset import InPlaceSet
from cafe.api.names import GROUP, VERSION
from cafe.api.podroster import PodRoster
from cafe.api.trafficbinding import TrafficBinding
from cafe.api.trafficprovider import TrafficProvider
from cafe.kube.resources import Kind

CAFE_APP_SERVICES = Kind(
    GROUP, VERSION, "cafeappservices", "CafeAppService", namespaced=True, type=CafeAppService
)
CAFE_APP_REVISIONS = Kind(
    GROUP, VERSION, "cafeapprevisions", "CafeAppRevision", namespaced=True, type=CafeAppRevision
)
CAFE_DEPLOYMENTS = Kind(
    GROUP, VERSION, "cafedeployments", "CafeDeployment", namespaced=True, type=CafeDeployment
)
IN_PLACE_SETS = Kind(GROUP, VERSION, "inplacesets", "InPlaceSet", namespaced=True, type=InPlaceSet)
POD_ROSTERS = Kind(GROUP, VERSION, "podrosters", "PodRoster", namespaced=True, type=PodRoster)
TRAFFIC_BINDINGS = Kind(
    GROUP, VERSION, "trafficbindings", "TrafficBinding", namespaced=True, type=TrafficBinding
)
PLAIN_TRAFFIC_BINDINGS: Kind[dict[str, Any]] = Kind(
    GROUP, VERSION, "trafficbindings", "TrafficBinding", namespaced=True, type=dict
)
"""The same as they are written, for whoever renders them."""
TRAFFIC_PROVIDERS = Kind(
    GROUP, VERSION, "trafficproviders", "TrafficProvider", namespaced=True, type=TrafficProvider
)
