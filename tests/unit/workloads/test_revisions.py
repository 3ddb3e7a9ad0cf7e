"""Stored revisions: found again, made, remembered as long as someone runs them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cafe.workloads.domain.facts import RevisionFact
from cafe.workloads.domain.revisions import (
    MakeRevision,
    UseRevision,
    current_revision,
    find_revision,
    hash_of,
    outdated,
)
from tests.unit.workloads.facts import template


def stored(number: int, image: str = "", hash_: str = "") -> RevisionFact:
    content = template(image or f"app:v{number}")
    digest = hash_ or hash_of(content, 0)
    return RevisionFact(f"web-{digest}", digest, number, content)


def test_a_new_template_gets_the_next_number_and_a_name_from_its_hash() -> None:
    found = find_revision("web", template("app:v3"), [stored(1), stored(2)], 0)
    digest = hash_of(template("app:v3"), 0)
    assert found == MakeRevision(f"web-{digest}", digest, 3, template("app:v3"))


def test_the_newest_revision_is_used_as_it_is() -> None:
    assert find_revision("web", template("app:v2"), [stored(1), stored(2)], 0) == UseRevision(stored(2))


def test_going_back_gives_the_old_revision_a_new_number() -> None:
    assert find_revision("web", template("app:v1"), [stored(1), stored(2)], 0) == UseRevision(stored(1), 3)


def test_a_revision_made_after_a_collision_is_found_by_its_content() -> None:
    odd = RevisionFact("web-odd", "odd", 4, template("app:v9"))
    assert find_revision("web", template("app:v9"), [stored(1), odd], 0) == UseRevision(odd)


def test_a_collision_count_gives_another_hash() -> None:
    hashes = {hash_of(template(), n) for n in range(5)}
    assert len(hashes) == 5
    assert all(len(h) == 10 for h in hashes)


def test_a_known_template_has_the_hash_it_had_last_year() -> None:
    assert hash_of(template("app:v1"), 0) == "4f07e42081"


@given(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=4))
def test_the_order_of_a_templates_keys_makes_no_other_revision(spec: dict[str, Any]) -> None:
    known = RevisionFact("web-x", "x", 1, {"spec": spec})
    turned = {"spec": dict(reversed(spec.items()))}
    assert find_revision("web", turned, [known], 0) == UseRevision(known)
    assert hash_of(turned, 0) == hash_of({"spec": spec}, 0)


def test_pods_outside_the_partition_keep_what_the_status_remembers() -> None:
    assert current_revision("h1", "h2", [stored(1, hash_="h1"), stored(2, hash_="h2")], {"h2": 9}) == "h1"


def test_a_lost_status_is_made_good_by_what_most_pods_run() -> None:
    known = [stored(1, hash_="h1"), stored(2, hash_="h2"), stored(3, hash_="h3")]
    assert current_revision("", "h3", known, {"h1": 5, "h2": 1, "h3": 7}) == "h1"
    assert current_revision("gone", "h3", known, {"h1": 1, "h2": 5}) == "h2"


def test_a_lost_status_with_unknown_pods_falls_back_to_the_newest_before_the_update() -> None:
    known = [stored(1, hash_="h1"), stored(2, hash_="h2"), stored(3, hash_="h3")]
    assert current_revision("", "h3", known, {"strange": 5}) == "h2"


def test_a_first_revision_is_its_own_past() -> None:
    known = [stored(1, hash_="h1"), stored(2, hash_="h2")]
    assert current_revision("", "h1", [stored(1, hash_="h1")], {}) == "h1"
    assert current_revision("", "h2", known, {}) == "h2"
    assert current_revision("", "h2", known, {"h2": 3}) == "h2"


@given(st.sets(st.integers(1, 20), max_size=10), st.sets(st.integers(1, 20)), st.integers(0, 5))
def test_only_idle_revisions_go_the_oldest_first(numbers: set[int], live: set[int], limit: int) -> None:
    known = [stored(n, hash_=f"h{n}") for n in sorted(numbers, reverse=True)]
    gone = [r.number for r in outdated(known, {f"h{n}" for n in live}, limit)]
    idle = sorted(numbers - live)
    assert gone == idle[: len(gone)]
    assert len(idle) - len(gone) == min(limit, len(idle))
