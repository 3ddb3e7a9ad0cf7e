"""The samples of traffic are what this version takes."""

from pathlib import Path

import msgspec
import pytest
import yaml

from cafe.api.names import CONTROLLER_NAMESPACE
from cafe.api.trafficbinding import TrafficBinding
from cafe.api.trafficprovider import TrafficProvider
from cafe.traffic.domain.employing import judge_binding

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("traffic-*.yaml"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_of_traffic_binds_pools_of_a_provider_that_it_declares(path: Path) -> None:
    documents = list(yaml.safe_load_all(path.read_text()))
    found = [d for d in documents if d["kind"] == "TrafficProvider"]
    providers = {d["metadata"]["name"]: msgspec.convert(d, TrafficProvider) for d in found}
    assert {p.metadata.namespace for p in providers.values()} == {CONTROLLER_NAMESPACE}
    bindings = [msgspec.convert(d, TrafficBinding) for d in documents if d["kind"] == "TrafficBinding"]
    assert bindings
    assert [judge_binding(binding, [], providers) for binding in bindings] == [None] * len(bindings)
