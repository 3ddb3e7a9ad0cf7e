"""Whether a confirmation counts.

It counts only for the group, revision and plan that were shown: the status must have said, before this pass,
that exactly this group of this plan waits. Everything else changes nothing and is told.
"""

import re
from dataclasses import dataclass

from cafe.api.cafedeployment import Waiting
from cafe.kernel import Digest
from cafe.workloads.contract import Confirmation
from cafe.workloads.domain.groups import group_name

WAITING = "WaitingForConfirm"
NOT_CONFIRMED = "false"
BARE = "true"
FORM = re.compile(r"([0-9]{1,6})/([0-9a-f]{12})")


@dataclass(frozen=True, slots=True)
class Accepted:
    """The next group may open."""

    group: int


@dataclass(frozen=True, slots=True)
class Ignored:
    """The value changes nothing; *reason* and *message* become an Event."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the release stands when a confirmation is judged.

    Attributes:
        shown: What the stored status says is waited for; None before it was shown.
        waiting_group: The group that waits now; None if none does.
        plan_hash: The plan that is followed now; empty if none is.
        confirmed: The last group confirmed in this plan.
    """

    shown: Waiting | None
    waiting_group: int | None
    plan_hash: str
    confirmed: int | None


def parse(value: str) -> Confirmation | None:
    """Read `<group>/<planHash>`; None if it is anything else."""
    match = FORM.fullmatch(value.strip())
    return Confirmation(int(match[1]), Digest(match[2])) if match else None


def judge(value: str | None, standing: Standing) -> Accepted | Ignored | None:
    """Judge the annotation's *value*; None if there is nothing to judge."""
    if value is None or value == NOT_CONFIRMED:
        return None
    shown = standing.shown
    is_shown = (
        shown is not None
        and shown.reason == WAITING
        and shown.group == standing.waiting_group
        and shown.plan_hash == standing.plan_hash
    )
    if value == BARE:
        if is_shown and standing.waiting_group is not None:
            return Accepted(standing.waiting_group)
        return Ignored("ConfirmEarly", f"No group waits for a confirmation; {_now(standing)}")
    said = parse(value)
    asked = 1 if standing.waiting_group is None else standing.waiting_group
    if said is None:
        return Ignored(
            "ConfirmMalformed",
            f"{value[:40]!r} is no confirmation; write <group>/<planHash>, for instance "
            f"{asked}/{standing.plan_hash or '7f3a91c0d2e4'}",
        )
    return _judge_named(said, standing, is_shown=is_shown)


def _judge_named(said: Confirmation, standing: Standing, *, is_shown: bool) -> Accepted | Ignored:
    name = group_name(said.group)
    if said.plan_hash != standing.plan_hash:
        return Ignored(
            "ConfirmStale",
            f"{name} of plan {said.plan_hash} was confirmed, but the plan is now "
            f"{standing.plan_hash or 'not made yet'}: look at it and confirm again",
        )
    if standing.confirmed is not None and said.group <= standing.confirmed:
        return Ignored("ConfirmRepeated", f"{name} was confirmed before; {_now(standing)}")
    if said.group == standing.waiting_group and is_shown:
        return Accepted(said.group)
    return Ignored("ConfirmEarly", f"{name} does not wait for a confirmation; {_now(standing)}")


def _now(standing: Standing) -> str:
    if standing.waiting_group is None:
        return "nothing waits now"
    return f"{group_name(standing.waiting_group)} of plan {standing.plan_hash} waits"
