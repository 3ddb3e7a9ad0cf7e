"""Every alert has a page that says what to do, and asks for metrics that there are."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from cafe.observe.metrics import TrafficMetrics
from cafe.traffic.contract import STUCK, Phase

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs/runbooks"
SECTIONS = ("What it means", "What users feel", "What to look at", "How to end it")
SUFFIXES = ("", "_bucket", "_count", "_sum", "_total")
RULES: list[dict[str, Any]] = [
    rule
    for file in sorted((ROOT / "deploy/alerts").glob("*.yaml"))
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
]
NAMED = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])


def metrics() -> set[str]:
    registry = CollectorRegistry()
    TrafficMetrics(registry)
    return {f"{m.name}{suffix}" for m in registry.collect() for suffix in SUFFIXES}


@NAMED
def test_every_alert_has_a_page_that_says_what_it_means_and_how_to_end_it(rule: dict[str, Any]) -> None:
    page = RUNBOOKS / f"{rule['alert']}.md"
    text = page.read_text()
    assert rule["annotations"]["runbook_url"] == str(page.relative_to(ROOT))
    assert re.findall("^## (.+)$", text, re.MULTILINE) == list(SECTIONS)


@NAMED
def test_every_metric_and_phase_in_a_rule_exists(rule: dict[str, Any]) -> None:
    asked = set(re.findall(r"\bcafe_\w+", rule["expr"]))
    assert asked
    assert asked <= metrics()
    phases = set(re.findall(r'phase="(\w+)"', rule["expr"]))
    assert phases <= {STUCK, *(phase.value for phase in Phase)}


def test_every_page_is_of_an_alert_and_links_to_pages_that_exist() -> None:
    pages = {page.stem for page in RUNBOOKS.glob("*.md")}
    assert pages == {rule["alert"] for rule in RULES}
    for page in RUNBOOKS.glob("*.md"):
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
            assert (RUNBOOKS / link).exists(), f"{page.name}: {link}"
