"""Who wrote what: by our own metrics, and by the API server's audit log."""

import http.client
import json
import re
from collections import Counter
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

WRITES = {"POST", "PUT", "PATCH", "DELETE"}

AUDIT_POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [create, update, patch, delete]
- level: None
"""

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(port: int) -> Samples:
    """Read the metrics that a process of ours serves."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def requests_between(before: Samples, after: Samples) -> Counter[str]:
    """Count the writes by verb, resource and code, as our client counted them."""
    counts: Counter[str] = Counter()
    for (name, labels), value in after.items():
        of = dict(labels)
        if name == "cafe_api_requests_total" and of["verb"] in WRITES:
            count = int(value - before.get((name, labels), 0))
            if count:
                counts[f"{of['verb']} {of['resource']} {of['code']}"] += count
    return counts


def quantile_between(before: Samples, after: Samples, name: str, quantile: float) -> str:
    """Return the bucket of a histogram, in seconds, in which a quantile lies; over all label values."""
    buckets: Counter[float] = Counter()
    for (sample, labels), value in after.items():
        if sample == f"{name}_bucket":
            buckets[float(dict(labels)["le"])] += int(value - before.get((sample, labels), 0))
    bounds = sorted(buckets)
    total = buckets[bounds[-1]]
    below = 0.0
    for bound in bounds:
        if buckets[bound] >= quantile * total:
            return f"{below:g}-{bound:g}"
        below = bound
    return "?"


def passes_between(before: Samples, after: Samples) -> Counter[str]:
    """Count passes by controller and result."""
    counts: Counter[str] = Counter()
    for (name, labels), value in after.items():
        of = dict(labels)
        if name == "cafe_reconciles_total" and (count := int(value - before.get((name, labels), 0))):
            counts[f"{of['controller']} {of['result']}"] += count
    return counts


class Audit:
    """The API server's log of writes, read from where it was left."""

    def __init__(self, directory: Path) -> None:
        self._log = directory / "audit.log"
        self._policy = directory / "audit-policy.yaml"
        self._policy.write_text(AUDIT_POLICY)
        self._read = 0

    @property
    def flags(self) -> tuple[str, ...]:
        """Return the API server's flags that make it write the log."""
        return (f"--audit-policy-file={self._policy}", f"--audit-log-path={self._log}")

    def news(self) -> dict[str, Counter[str]]:
        """Return, by program, how often it wrote what since the last call."""
        found: dict[str, Counter[str]] = {}
        with self._log.open() as log:
            log.seek(self._read)
            for line in log:
                entry = json.loads(line)
                program = re.split(r"[/ ]", entry.get("userAgent", ""), maxsplit=1)[0]
                of = entry.get("objectRef", {})
                what = "/".join(part for part in (of.get("resource"), of.get("subresource")) if part)
                code = entry.get("responseStatus", {}).get("code", 0)
                found.setdefault(program, Counter())[f"{entry['verb']} {what} {code}"] += 1
            self._read = log.tell()
        return found
