"""How the pods behind Beta are cut into groups: one function for each strategy.

Each takes what is left to do per unit and yields the groups in order, as pods per unit. Together the groups
hold exactly what was left; none is empty. Units keep their order.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from cafe.api.strategy import Grouping, GroupStrategy
from cafe.kernel import Refusal

Left = Mapping[str, int]
Taken = dict[str, int]


@dataclass(frozen=True, slots=True)
class Rules:
    """How a release is cut.

    Attributes:
        sizes: Quota of each unit, of which percentages are taken.
        begun: How many groups behind Beta are open already: Explicit batches go on behind them.
    """

    batch_size: int
    grouping: Grouping = field(default_factory=Grouping)
    sizes: Mapping[str, int] = field(default_factory=dict)
    begun: int = 0


def cut(order: Sequence[str], left: Left, rules: Rules) -> list[Taken]:
    """Cut what is left into groups.

    Args:
        order: All units.
        left: Pods to do of each unit that has any.
        rules: How.
    """
    return [taken for taken in CUTS[rules.grouping.strategy](order, left, rules) if taken]


def level(order: Sequence[str], left: Left, sizes: Iterable[int]) -> Iterator[Taken]:
    """Cut groups of the given sizes, pod by pod from the unit with the most left: units stay level."""
    heap = [(-left[name], place, name) for place, name in enumerate(order) if left.get(name)]
    heapq.heapify(heap)
    for size in sizes:
        if not heap:
            return
        taken: Taken = {}
        for _ in range(size):
            if not heap:
                break
            count, place, name = heapq.heappop(heap)
            taken[name] = taken.get(name, 0) + 1
            if count < -1:
                heapq.heappush(heap, (count + 1, place, name))
        yield {n: taken[n] for n in order if n in taken}


def _by_batch_size(order: Sequence[str], left: Left, rules: Rules) -> Iterator[Taken]:
    return level(order, left, repeat(rules.batch_size))


def _each_one(order: Sequence[str], left: Left, _: Rules) -> Iterator[Taken]:
    return level(order, left, repeat(1))


def _all_one(order: Sequence[str], left: Left, _: Rules) -> Iterator[Taken]:
    yield {name: left[name] for name in order if left.get(name)}


def _by_unit(order: Sequence[str], left: Left, rules: Rules) -> Iterator[Taken]:
    for name in order:
        for size in _sizes(left.get(name, 0), rules.grouping.count):
            yield {name: size}


def _by_percentage(order: Sequence[str], left: Left, rules: Rules) -> Iterator[Taken]:
    rest = dict(left)
    while any(rest.values()):
        shares = {n: -(-rules.sizes.get(n, rest[n]) * rules.grouping.percent // 100) for n in rest}
        taken = {n: min(rest[n], max(1, shares[n])) for n in order if rest.get(n)}
        rest |= {n: rest[n] - count for n, count in taken.items()}
        yield taken


def _by_count(order: Sequence[str], left: Left, rules: Rules) -> Iterator[Taken]:
    total, most = sum(left.values()), rules.grouping.max_capacity
    groups = max(1, rules.grouping.count - rules.begun, -(-total // most) if most else 0)
    return level(order, left, _sizes(total, groups))


def _sizes(total: int, groups: int) -> list[int]:
    """Part *total* into so many nearly equal groups, or fewer; what goes wrong shall go wrong for few."""
    groups = min(groups, total)
    if not groups:
        return []
    small, more = divmod(total, groups)
    return [small] * (groups - more) + [small + 1] * more


def _explicit(order: Sequence[str], left: Left, rules: Rules) -> Iterator[Taken]:
    rest = dict(left)
    for batch in rules.grouping.batches[rules.begun :]:
        taken = {n: min(batch.get(n, 0), rest.get(n, 0)) for n in order}
        taken = {n: count for n, count in taken.items() if count > 0}
        rest |= {n: rest[n] - count for n, count in taken.items()}
        yield taken
    yield {n: rest[n] for n in order if rest.get(n)}


CUTS: Mapping[GroupStrategy, Callable[[Sequence[str], Left, Rules], Iterator[Taken]]] = {
    GroupStrategy.BATCH_SIZE: _by_batch_size,
    GroupStrategy.EACH_ONE: _each_one,
    GroupStrategy.ALL_ONE: _all_one,
    GroupStrategy.CELL: _by_unit,
    GroupStrategy.CELL_PERCENTAGE: _by_percentage,
    GroupStrategy.COUNT: _by_count,
    GroupStrategy.EXPLICIT: _explicit,
}


def demand_known_units(grouping: Grouping, units: Sequence[str]) -> None:
    """Refuse batches that name a unit which the application doesn't have, or no pods at all.

    Raises:
        Refusal: `BadBatches`.
    """
    for number, batch in enumerate(grouping.batches, start=1):
        strange = sorted(set(batch) - set(units))
        if strange:
            raise Refusal(
                "BadBatches",
                f"Batch {number} of strategy.grouping names {', '.join(strange)}.",
                f"The units are: {', '.join(units) or 'none'}.",
                "Correct strategy.grouping.batches.",
            )
        if any(count < 0 for count in batch.values()) or not any(batch.values()):
            raise Refusal(
                "BadBatches",
                f"Batch {number} of strategy.grouping holds no pods, or fewer.",
                f"It says {batch}.",
                "Give each batch at least one pod.",
            )
