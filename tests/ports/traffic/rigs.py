"""Every provider that the cases run on."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from tests.ports.traffic.double import double_rig
from tests.ports.traffic.envoy import envoy_files_rig, envoy_rest_rig
from tests.ports.traffic.haproxy import haproxy_rig
from tests.ports.traffic.nacos import nacos_rig
from tests.ports.traffic.rig import Registry, Rig
from tests.ports.traffic.sofaregistry import sofaregistry_rig
from tests.ports.traffic.zookeeper import zookeeper_rig

MakeRegistry = Callable[[], AbstractAsyncContextManager[Registry]]
MakeRig = Callable[[], AbstractAsyncContextManager[Rig]]

REGISTRIES = [
    pytest.param(nacos_rig, id="nacos-double"),
    pytest.param(sofaregistry_rig, id="sofaregistry-double"),
    pytest.param(zookeeper_rig, id="zookeeper", marks=[pytest.mark.slow, pytest.mark.real]),
]

RIGS = [
    pytest.param(double_rig, id="double"),
    pytest.param(envoy_rest_rig, id="envoy-rest", marks=[pytest.mark.real, pytest.mark.slow]),
    pytest.param(envoy_files_rig, id="envoy-files", marks=[pytest.mark.real, pytest.mark.slow]),
    pytest.param(haproxy_rig, id="haproxy", marks=[pytest.mark.real, pytest.mark.slow]),
    *REGISTRIES,
]
