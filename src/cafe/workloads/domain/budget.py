"""How many pods may be unavailable, in numbers.

maxUnavailable holds twice: for the pods of each unit, so that no cell is emptied for the good of the others,
and for all pods of the application, so that its units don't add up to more than a person allowed.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from cafe.kernel import Refusal
from cafe.workloads.domain.crowd import Crowd
from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import PodFact

PERCENT = re.compile(r"(\d{1,3})%")


def count_of(value: int | str, total: int, *, name: str = "maxUnavailable", least: int = 1) -> int:
    """Return a count or a percentage of *total* as pods, rounded up and at least 1 where *total* is.

    Rounding up without surge follows apps/v1 StatefulSet (KEP-961): else small sets never move.

    Args:
        value: As in the spec.
        total: Pods of the set.
        name: Of the field under `strategy`, for the refusal.
        least: The smallest value that makes sense.

    Raises:
        Refusal: `InvalidMaxUnavailable` or the like; admission refuses such a value, a server without our
            rules may not.
    """
    if isinstance(value, int) and value >= least:
        return value
    if isinstance(value, str) and (match := PERCENT.fullmatch(value)) and least <= int(match[1]) <= 100:
        return -(-total * int(match[1]) // 100)
    raise Refusal(
        f"Invalid{name[0].upper()}{name[1:]}",
        f"strategy.{name} is {value!r}.",
        f"It is a count of at least {least} or a percentage from {least}% to 100%.",
        'Write for instance 2 or "25%".',
    )


@dataclass(frozen=True, slots=True)
class Budget:
    """What availability allows at one moment.

    Attributes:
        healthy: Available pods that may be made unavailable now.
        target: Further pods of the update revision that may be unavailable or under way; a bad image ends
            here, because its own sick pods use this up, and a size for which there is no room.
    """

    healthy: int
    target: int


@dataclass(frozen=True, slots=True)
class Use:
    """What one set takes of a budget; below 0 if there are more pods than wanted.

    Attributes:
        missing: Pods by which those that serve fall short of the number wanted.
        pending: Pods by which those that exist fall short of it, and those of the update revision that don't
            serve, or whose update is not done.
        hopeless: Those of the missing that are old, and won't serve soon: a release may have to mend them.
    """

    missing: int = 0
    pending: int = 0
    hopeless: int = 0

    @classmethod
    def of(
        cls,
        wanted: int,
        pods: Collection[PodFact],
        update_revision: str,
        dwell: Dwell,
        away: Collection[str] = (),
    ) -> "Use":
        """Return the use of a set of *wanted* pods; those that ended or are being deleted count as missing.

        Args:
            wanted: How many pods there should be.
            pods: All of the set.
            update_revision: What the set is updated to.
            dwell: The moment of judging.
            away: UIDs of pods that are being taken out of service, whether it can be seen yet or not.
        """
        crowd = Crowd.of(pods, dwell)
        unsettled = crowd.unsettled()
        live = len(unsettled) + crowd.calm_count()
        available = sum(dwell.is_available(p) for p in unsettled) + crowd.calm_count()
        sick_new = sum(not dwell.is_done(p) for p in unsettled if aims_at(p, update_revision))
        if away:
            # Those of the restless that serve no longer are counted already.
            hidden = len({*away}.difference(p.uid for p in crowd.restless if not dwell.is_available(p)))
            available, sick_new = available - hidden, sick_new + hidden
        hopeless = sum(is_hopeless(p, dwell) for p in unsettled if not aims_at(p, update_revision))
        return cls(wanted - available, wanted - live + sick_new, hopeless)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the other sets of an application take of the budget that all of them share.

    A set's surplus serves nobody but itself: it is on its way out, so it makes up for no other set's want.

    Attributes:
        replicas: Pods of the whole application.
        missing: As in `Use`, over all other sets.
        pending: The same.
        hopeless: The same.
        halt: Why no set may begin anything, for people; empty if nothing speaks against it.
    """

    replicas: int
    missing: int = 0
    pending: int = 0
    hopeless: int = 0
    halt: str = ""

    @classmethod
    def of(cls, replicas: int, uses: Iterable[Use], *, halt: str = "") -> "Elsewhere":
        """Add up the *uses* of the other sets."""
        found = list(uses)
        return cls(
            replicas,
            missing=sum(max(0, use.missing) for use in found),
            pending=sum(max(0, use.pending) for use in found),
            hopeless=sum(use.hopeless for use in found),
            halt=halt,
        )

    def left(self, most: int) -> Budget:
        """Return how many pods a set may have missing and pending, where all together may have *most*."""
        return Budget(max(0, most - self.missing), max(0, most - self.pending))

    def left_to_release(self, most: int) -> Budget:
        """Return the same for a release, which may go on by one pod if old pods alone hold it up.

        What is old and won't serve soon is what a release may have to mend. Its group may come only after
        that of a set which is whole; were the whole one to wait for it, the release would never get there.

        Nothing is begun for a revision that the application has left: a sibling that was told of it already
        no longer counts the bad pods of that revision as its own, and would seem to give room for more. And
        where one pod's traffic won't go, nobody knows why the next one's should.
        """
        if self.halt:
            return Budget(0, 0)
        left = self.left(most)
        is_stuck = self.pending <= 0 and self.missing <= self.hopeless
        return Budget(max(1, left.healthy), left.target) if is_stuck else left


def budget_within(use: Use, most: int, shared: Budget | None = None) -> Budget:
    """Return what a set may still take.

    Args:
        use: What it takes already.
        most: Pods that it may have unavailable by itself.
        shared: What its application leaves to it; None if it belongs to none.
    """
    healthy, target = (
        (most, most) if shared is None else (min(most, shared.healthy), min(most, shared.target))
    )
    return Budget(healthy=max(0, healthy - use.missing), target=max(0, target - use.pending))


def budget_now(
    wanted: int, max_unavailable: int, pods: Collection[PodFact], update_revision: str, dwell: Dwell
) -> Budget:
    """Return the budget of a set of *wanted* pods that shares it with no other."""
    return budget_within(Use.of(wanted, pods, update_revision, dwell), max_unavailable)


def is_hopeless(pod: PodFact, dwell: Dwell) -> bool:
    """Whether a pod doesn't serve, and won't soon."""
    return not dwell.is_available(pod) and pod.is_hopeless(dwell.now)


def aims_at(pod: PodFact, revision: str) -> bool:
    """Whether the pod runs *revision* or is on its way there.

    A pod whose gate fell for another revision, and whose target then moved back to its own, counts too: it is
    given back untouched, and no other pod may be changed in its stead.
    """
    return pod.revision == revision or (pod.state is not None and pod.state.revision == revision)
