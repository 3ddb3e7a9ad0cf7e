"""How fast, and how far: from what metrics propose to what is asked of the target.

    proposed ── stabilized by recent proposals ── limited by rate, min and max ──▶ wanted

Scaling down follows the highest proposal of a while, five minutes unless told otherwise, so that a short calm
takes no pods away. Scaling up follows at once, to twice as many or to four, unless `behavior` says otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any, NamedTuple

_UNLIMITED = 2**31 - 1
READY = ("ReadyForNewScale", "recommended size matches current size")
DOWN_STABILIZED = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
UP_STABILIZED = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")
TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
TOO_FAST_UP = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
TOO_FAST_DOWN = (
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
)
Told = tuple[str, str]
"""A condition's reason and message."""


class Past(NamedTuple):
    """Something that was so many, at a time: a proposal, or a change of size."""

    number: int
    at: datetime


@dataclass(frozen=True, slots=True)
class History:
    """What an autoscaler remembers: proposals, and sizes by which it has grown and shrunk (both positive)."""

    proposals: tuple[Past, ...] = ()
    grown: tuple[Past, ...] = ()
    shrunk: tuple[Past, ...] = ()

    def proposed(self, count: int, now: datetime, keep: timedelta) -> "History":
        """Remember a proposal, and forget those older than *keep*."""
        recent = tuple(past for past in self.proposals if past.at >= now - keep)
        return replace(self, proposals=(*recent, Past(count, now)))

    def scaled(self, before: int, after: int, now: datetime, behavior: "Behavior") -> "History":
        """Remember a change of size for as long as a policy may ask for it."""
        name, rules = ("grown", behavior.up) if after > before else ("shrunk", behavior.down)
        keep = max((policy.period for policy in rules.policies), default=timedelta())
        recent = tuple(past for past in getattr(self, name) if past.at >= now - keep)
        return replace(self, **{name: (*recent, Past(abs(after - before), now))})


@dataclass(frozen=True, slots=True)
class Policy:
    """So many pods, or so many percent of them, in a while."""

    is_percent: bool
    value: int
    period: timedelta


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """One direction of a behavior; *select* is `Max` (the boldest policy), `Min` or `Disabled`."""

    window: timedelta
    select: str
    policies: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class Behavior:
    """Both directions."""

    up: ScalingRules
    down: ScalingRules


def behavior_of(spec: Mapping[str, Any], window: timedelta) -> Behavior | None:
    """Read `spec.behavior`, None if there is none; *window* is how long scaling down waits by default."""
    behavior = spec.get("behavior")
    if behavior is None:
        return None
    return Behavior(_rules(behavior["scaleUp"], timedelta()), _rules(behavior["scaleDown"], window))


def _rules(rules: Mapping[str, Any], window: timedelta) -> ScalingRules:
    seconds = rules.get("stabilizationWindowSeconds")
    policies = tuple(
        Policy(one["type"] == "Percent", one["value"], timedelta(seconds=one["periodSeconds"]))
        for one in rules.get("policies") or ()
    )
    held = window if seconds is None else timedelta(seconds=seconds)
    return ScalingRules(held, rules.get("selectPolicy") or "Max", policies)


class Sizes(NamedTuple):
    """What there is now, and between what it has to stay."""

    current: int
    least: int
    most: int


class Verdict(NamedTuple):
    """How many are wanted.

    Attributes:
        replicas: Between the least and the most.
        able: Whether recent proposals held it back.
        limited: What limited it, or `WITHIN`.
        is_limited: Whether anything did.
    """

    replicas: int
    able: Told
    limited: Told
    is_limited: bool


def settle(proposed: int, sizes: Sizes, history: History, now: datetime, window: timedelta) -> Verdict:
    """Return how many are wanted of an autoscaler without a behavior.

    Args:
        proposed: The largest proposal of its metrics.
        sizes: Now, and the bounds.
        history: What was proposed before.
        now: The world's time.
        window: How long scaling down waits.
    """
    recent = (past.number for past in history.proposals if past.at >= now - window)
    stable = max((proposed, *recent))
    able = READY if stable == proposed else DOWN_STABILIZED
    most = min(sizes.most, max(2 * sizes.current, 4))
    wanted, told = stable, WITHIN
    if stable < sizes.least:
        wanted, told = sizes.least, TOO_FEW
    elif stable > most:
        wanted, told = most, TOO_FAST_UP if most < sizes.most else TOO_MANY
    return Verdict(wanted, able, told, wanted != stable)


def settle_by(proposed: int, sizes: Sizes, history: History, now: datetime, behavior: Behavior) -> Verdict:
    """Return how many are wanted of an autoscaler with a *behavior*; for the rest see `settle`."""
    stable = _stabilized(proposed, sizes.current, history.proposals, now, behavior)
    able = READY
    if stable != proposed:
        able = UP_STABILIZED if proposed >= sizes.current else DOWN_STABILIZED
    wanted, told = _limited(stable, sizes, history, now, behavior)
    return Verdict(wanted, able, told, wanted != stable)


def _stabilized(proposed: int, current: int, past: Sequence[Past], now: datetime, behavior: Behavior) -> int:
    """Keep the current size between the lowest proposal of one window and the highest of the other."""
    lowest = min((proposed, *(p.number for p in past if p.at > now - behavior.up.window)))
    highest = max((proposed, *(p.number for p in past if p.at > now - behavior.down.window)))
    return min(max(current, lowest), highest)


def _limited(
    stable: int, sizes: Sizes, history: History, now: datetime, behavior: Behavior
) -> tuple[int, Told]:
    if stable > sizes.current:
        fast = max(sizes.current, rate_limit(sizes.current, history, now, behavior.up, is_up=True))
        most, told = (fast, TOO_FAST_UP) if sizes.most > fast else (sizes.most, TOO_MANY)
        if stable > most:
            return most, told
    elif stable < sizes.current:
        fast = min(sizes.current, rate_limit(sizes.current, history, now, behavior.down, is_up=False))
        least, told = (fast, TOO_FAST_DOWN) if sizes.least < fast else (sizes.least, TOO_FEW)
        if stable < least:
            return least, told
    return stable, WITHIN


def rate_limit(current: int, history: History, now: datetime, rules: ScalingRules, *, is_up: bool) -> int:
    """Return the furthest that *rules* allow to go now.

    Each policy counts from the size at the beginning of its period.
    """
    if rules.select == "Disabled":
        return current
    limits = []
    for policy in rules.policies:
        start = now - policy.period
        grown = sum(past.number for past in history.grown if past.at > start)
        shrunk = sum(past.number for past in history.shrunk if past.at > start)
        limits.append(_reach(current - grown + shrunk, policy, is_up=is_up))
    is_highest = is_up == (rules.select != "Min")
    if is_highest:
        return max(limits, default=-_UNLIMITED)
    return min(limits, default=_UNLIMITED)


def _reach(begin: int, policy: Policy, *, is_up: bool) -> int:
    if not policy.is_percent:
        return begin + policy.value if is_up else begin - policy.value
    # Upwards it is rounded up, or one pod would never become two.
    share = policy.value / 100
    return ceil(begin * (1 + share)) if is_up else int(begin * (1 - share))
