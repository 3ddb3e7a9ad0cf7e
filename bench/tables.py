"""Figures side by side: medians of all rounds, ours to each peer's in each round, who wrote what."""

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median

from bench.figures import Column, Figures, Rounds, costs

NAME, WIDTH, RATIO = 30, 12, 22
MOST_WRITES, FASTER = 3.0, 1.5
"""Goals of a rollout in place: the controller's writes per pod, and pods/s to those of the best peer."""


def compare(rounds: Rounds, columns: dict[str, Column]) -> Iterator[str]:
    """Tell medians side by side, the ratios of the rounds, and after them every round."""
    names = list(rounds)
    count = len(rounds[names[0]])
    heads = "".join(f"{f'to {name}':>{RATIO}}" for name in names[1:])
    yield f"{f'median of {count} rounds':{NAME}}{''.join(f'{name:>{WIDTH}}' for name in names)}{heads}"
    for title, of in columns.items():
        values = {name: [of(figures, name) for figures in rounds[name]] for name in names}
        cells = "".join(f"{short(median(values[name])):>{WIDTH}}" for name in names)
        spans = "".join(f"{_span(ratios(values[names[0]], values[name])):>{RATIO}}" for name in names[1:])
        yield f"{title:{NAME}}{cells}{spans}"
    yield ""
    yield f"{'each round':{NAME}}{' : '.join(names)} (ours to each peer's)"
    for title, of in columns.items():
        each = (_round([of(rounds[name][number], name) for name in names]) for number in range(count))
        yield f"{title:{NAME}}{' | '.join(each)}"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return ours to theirs in each round in which theirs is not nothing."""
    return [a / b for a, b in zip(ours, theirs, strict=True) if b]


def _span(of_rounds: Sequence[float]) -> str:
    """Tell the median and, in brackets, the least and the greatest."""
    if not of_rounds:
        return "-"
    return f"{median(of_rounds):.2f} ({min(of_rounds):.2f}-{max(of_rounds):.2f})"


def _round(values: Sequence[float]) -> str:
    to_peers = ", ".join(f"{values[0] / value:.2f}" if value else "-" for value in values[1:])
    return f"{' : '.join(short(value) for value in values)} ({to_peers})"


def short(figure: float) -> str:
    """Return a figure with as many digits as mean something."""
    return f"{figure:.2f}" if figure < 10 else f"{figure:.1f}"


def round_line(number: int, last: dict[str, Figures], pods: int) -> str:
    """Tell a round as soon as it is over."""
    return f"round {number}   {' : '.join(last)}   {_round([pods / f.took for f in last.values()])} pods/s"


def writes_by_kind(rounds: Rounds, pods: int) -> Iterator[str]:
    """Tell writes per pod by verb, resource and code, means of all rounds: the most frequent first."""
    totals = {name: sum((f.writes for f in figures), Counter[str]()) for name, figures in rounds.items()}
    overall = sum(totals.values(), Counter[str]())
    yield f"{'writes/pod, means':40}{''.join(f'{name:>{WIDTH}}' for name in totals)}"
    for what, _ in overall.most_common():
        cells = (totals[name][what] / pods / len(rounds[name]) for name in totals)
        yield f"{what:40}{''.join(f'{cell:{WIDTH}.3f}' for cell in cells)}"


def goals(rounds: Rounds, peer: str, pods: int) -> Iterator[str]:
    """Tell the goals of a rollout in place, each beside what was measured: medians of the rounds."""
    columns = costs(pods)

    def of(title: str, name: str) -> list[float]:
        return [columns[title](figures, name) for figures in rounds[name]]

    ours = next(iter(rounds))
    speed, cpu = "pods/s", "CPU ms/pod, controller"
    for title in ("writes/pod, to the pods", "writes/pod"):
        writes = median(of(title, ours))
        yield _goal(title, writes, writes <= MOST_WRITES, f"at most {MOST_WRITES:g}")
    if peer not in rounds:
        yield f"goal   {speed} and {cpu}: not told without a {peer}"
        return
    ratio = median(ratios(of(speed, ours), of(speed, peer)))
    yield _goal(f"{speed}, {ours} to {peer}", ratio, ratio >= FASTER, f"at least {FASTER:g}")
    used, allowed = median(of(cpu, ours)), median(of(cpu, peer))
    yield _goal(cpu, used, used <= allowed, f"at most the {peer}'s {short(allowed)}")


def _goal(title: str, value: float, is_kept: bool, bound: str) -> str:  # noqa: FBT001 -- a word of the line
    return f"goal   {title}: {value:.2f}, {bound}: {'kept' if is_kept else 'MISSED'}"
