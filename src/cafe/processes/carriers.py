"""How each type of TrafficProvider is spoken with."""

from cafe.api.trafficprovider import TrafficProvider
from cafe.kernel import Refusal
from cafe.traffic.ports import TrafficAdapter


def make_adapter(provider: TrafficProvider) -> TrafficAdapter:
    """Return the adapter of a provider.

    Raises:
        Refusal: There is none for its type.
    """
    raise Refusal(
        "ProviderUnknown",
        f"TrafficProvider {provider.metadata.name} is of type {provider.spec.type}.",
        "This version of CAFE has no adapter for it.",
        "Upgrade CAFE, or take its pools out of all bindings.",
    )
