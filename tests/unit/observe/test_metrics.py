"""Metrics are counted under their names, in a registry of one's own."""

from datetime import timedelta

from prometheus_client import CollectorRegistry

from cafe.observe.metrics import (
    CacheMetrics,
    ClientMetrics,
    ControllerMetrics,
    ProcessMetrics,
    TrafficMetrics,
)

FAMILIES = (ClientMetrics, CacheMetrics, ControllerMetrics, ProcessMetrics, TrafficMetrics)


def test_requests_are_counted_by_verb_resource_and_code() -> None:
    registry = CollectorRegistry()
    metrics = ClientMetrics(registry)
    for _ in range(3):
        metrics.observe("GET", "pods", 200, timedelta(milliseconds=20))
    metrics.observe("GET", "pods", 0, timedelta())
    labels = {"verb": "GET", "resource": "pods", "code": "200"}
    assert registry.get_sample_value("cafe_api_requests_total", labels) == 3
    assert registry.get_sample_value("cafe_api_request_seconds_count", {"verb": "GET"}) == 4


def test_every_name_begins_with_ours_and_two_registries_do_not_meet() -> None:
    for _ in range(2):
        registry = CollectorRegistry()
        for family in FAMILIES:
            family(registry)
        CacheMetrics(CollectorRegistry()).bind("pods").objects.set(3)
        assert all(metric.name.startswith("cafe_") for metric in registry.collect())


def test_processes_of_a_provider_that_is_gone_are_forgotten_even_if_they_were_never_met() -> None:
    registry = CollectorRegistry()
    metrics = TrafficMetrics(registry)
    metrics.bind("edge").reached("edge", "left", is_reachable=True)
    metrics.forget("edge", ["left", "right"])
    where = {"provider": "edge", "replica": "left"}
    assert registry.get_sample_value("cafe_traffic_provider_reachable", where) is None
