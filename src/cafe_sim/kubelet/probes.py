"""When probes change their mind: computed, not polled.

A probe ticks `initialDelaySeconds` after the container's start and then every `periodSeconds`. As the image
says when it begins to answer and when it stops, all changes can be told in advance.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from cafe_sim.kubelet.runtime import Container

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Failure:
    """A probe that fails: which (`Readiness`, `Liveness`, `Startup`), and when first."""

    kind: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Outlook:
    """A container's future as its probes will see it; None: never.

    Attributes:
        started_at: The startup probe has passed (at once without one).
        ready_at: It becomes ready.
        unready_at: It ceases to be.
        killed_at: Its liveness or startup probe has it killed.
        kill_reason: By which, as the kubelet words it.
        failures: First failures, for events.
    """

    started_at: datetime | None
    ready_at: datetime | None
    unready_at: datetime | None
    killed_at: datetime | None
    kill_reason: str
    failures: tuple[Failure, ...]

    def is_started(self, now: datetime) -> bool:
        """Tell whether the startup probe has passed by *now*."""
        return self.started_at is not None and self.started_at <= now

    def is_ready(self, now: datetime) -> bool:
        """Tell whether the container is ready at *now*."""
        if self.ready_at is None or self.ready_at > now:
            return False
        return self.unready_at is None or now < self.unready_at

    def next_change(self, now: datetime) -> datetime | None:
        """Return the next instant after *now* at which anything changes."""
        instants = [self.started_at, self.ready_at, self.unready_at, self.killed_at]
        instants += [failure.at for failure in self.failures]
        return min((at for at in instants if at is not None and at > now), default=None)


def outlook(spec: Mapping[str, Any], container: Container) -> Outlook:
    """Tell a running container's future from its probes and its image."""
    begin, image = container.started_at, container.behaviour
    answers = begin + image.ready_after if image.ready_after is not None else None
    failures: list[Failure] = []
    started_at: datetime | None = begin
    killed_at, kill_reason = None, ""
    startup = spec.get("startupProbe")
    if startup is not None:
        passes = _passes(startup, begin, answers)
        deadline = _tick(startup, begin, begin) + (_threshold(startup) - 1) * _period(startup)
        if answers is None or answers > _tick(startup, begin, begin):
            failures.append(Failure("Startup", _tick(startup, begin, begin)))
        started_at = passes if passes is not None and passes <= deadline else None
        if started_at is None:
            killed_at, kill_reason = deadline, "startup probe"
    ready_at, unready_at = started_at, None
    readiness = spec.get("readinessProbe")
    if readiness is not None and started_at is not None:
        first = _tick(readiness, begin, started_at)
        passes = _passes(readiness, begin, max(answers, started_at) if answers else None)
        ready_at = passes
        if answers is None or answers > first:
            failures.append(Failure("Readiness", first))
        if container.hung_at is not None:
            fails = _tick(readiness, begin, max(container.hung_at, started_at))
            failures.append(Failure("Readiness", fails))
            unready_at = fails + (_threshold(readiness) - 1) * _period(readiness)
            ready_at = None if ready_at is not None and ready_at >= fails else ready_at
    liveness = spec.get("livenessProbe")
    if liveness is not None and started_at is not None:
        sick = _sick_since(container, answers)
        if sick is not None:
            fails = _tick(liveness, begin, max(sick, started_at))
            failures.append(Failure("Liveness", fails))
            killed_at = fails + (_threshold(liveness) - 1) * _period(liveness)
            kill_reason = "liveness probe"
    return Outlook(started_at, ready_at, unready_at, killed_at, kill_reason, tuple(failures))


def _sick_since(container: Container, answers: datetime | None) -> datetime | None:
    if answers is None:
        return container.started_at
    return container.hung_at


def _period(probe: Mapping[str, Any]) -> timedelta:
    return int(probe.get("periodSeconds") or 10) * SECOND


def _threshold(probe: Mapping[str, Any]) -> int:
    return int(probe.get("failureThreshold") or 3)


def _tick(probe: Mapping[str, Any], begin: datetime, not_before: datetime) -> datetime:
    """Return the probe's first tick at or after *not_before*."""
    first = begin + int(probe.get("initialDelaySeconds") or 0) * SECOND
    if not_before <= first:
        return first
    return first + ceil((not_before - first) / _period(probe)) * _period(probe)


def _passes(probe: Mapping[str, Any], begin: datetime, answers: datetime | None) -> datetime | None:
    if answers is None:
        return None
    successes = int(probe.get("successThreshold") or 1)
    return _tick(probe, begin, answers) + (successes - 1) * _period(probe)
