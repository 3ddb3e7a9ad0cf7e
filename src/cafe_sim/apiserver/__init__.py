"""The simulated Kubernetes API server: `ApiServer`, over one store, one synchronous step a request."""

from cafe_sim.apiserver.server import ApiServer

__all__ = ["ApiServer"]
