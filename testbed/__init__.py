"""A real Kubernetes on one machine, to test against.

Tests use what this package exports; a person types ``python -m testbed --help``. Nothing here is
part of the product: it builds Kubernetes from its own modules, starts it on loopback and removes
every trace afterwards.

Example:
    with control_plane() as plane, fake_nodes(plane, count=50, cells=["cell-a", "cell-b"]):
        print(plane.kubeconfig)
"""

from testbed.controlplane import ControlPlane, Options, control_plane
from testbed.errors import Lacking, NotStarted
from testbed.fakenodes import FakeNodes, fake_nodes
from testbed.images import Image
from testbed.metrics import MetricsApi, metrics_api
from testbed.nodes import RealNode, RealNodes, real_nodes
from testbed.openkruise import openkruise
from testbed.requirements import requirements

__all__ = [
    "ControlPlane",
    "FakeNodes",
    "Image",
    "Lacking",
    "MetricsApi",
    "NotStarted",
    "Options",
    "RealNode",
    "RealNodes",
    "control_plane",
    "fake_nodes",
    "metrics_api",
    "openkruise",
    "real_nodes",
    "requirements",
]
