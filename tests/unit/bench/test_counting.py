import json
from pathlib import Path

from bench.counting import Audit, requests_between
from bench.machine import cpu_of, exact_cpu_of


def entry(agent: str, verb: str, resource: str, code: int, subresource: str = "") -> str:
    of = {"resource": resource, "subresource": subresource}
    return json.dumps({"userAgent": agent, "verb": verb, "objectRef": of, "responseStatus": {"code": code}})


def test_the_audit_counts_by_the_first_word_of_the_agent_what_came_since_the_last_look(
    tmp_path: Path,
) -> None:
    audit = Audit(tmp_path)
    with (tmp_path / "audit.log").open("a") as log:
        log.write(entry("kruise-manager", "update", "pods", 200, "status") + "\n")
        log.flush()
        assert audit.news() == {"kruise-manager": {"update pods/status 200": 1}}
        log.write(entry("kruise-manager/cloneset-controller", "update", "pods", 409) + "\n")
        log.write(entry("cafe/1.0 (linux)", "patch", "pods", 200) + "\n")
        log.flush()
    assert audit.news() == {"kruise-manager": {"update pods 409": 1}, "cafe": {"patch pods 200": 1}}
    assert audit.news() == {}


def test_our_own_count_is_of_writes_alone() -> None:
    def sample(verb: str) -> tuple[str, tuple[tuple[str, str], ...]]:
        return "cafe_api_requests_total", (("code", "200"), ("resource", "pods"), ("verb", verb))

    before = {sample("PATCH"): 1.0}
    assert requests_between(before, {sample("PATCH"): 4.0, sample("GET"): 9.0}) == {"PATCH pods 200": 3}


def test_both_counts_of_a_process_agree() -> None:
    pid = int(Path("/proc/self").resolve().name)
    sum(number * number for number in range(2_000_000))
    rounded, exact = cpu_of(pid), exact_cpu_of(pid)
    assert abs((exact - rounded).total_seconds()) < 0.5
