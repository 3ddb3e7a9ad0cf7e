"""Metrics are counted under their names, in a registry of one's own."""

from datetime import timedelta

from prometheus_client import CollectorRegistry

from cafe.observe.metrics import CacheMetrics, ClientMetrics, ControllerMetrics, ProcessMetrics


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
        for family in (ClientMetrics, CacheMetrics, ControllerMetrics, ProcessMetrics):
            family(registry)
        CacheMetrics(CollectorRegistry()).bind("pods").objects.set(3)
        assert all(metric.name.startswith("cafe_") for metric in registry.collect())
