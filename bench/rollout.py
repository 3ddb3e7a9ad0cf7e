"""The same rollout by an InPlaceSet and by a native Deployment, in turn, on one real API server.

    python -m bench.rollout [--pods 400] [--nodes 50] [--rounds 3]

Both are there all the time; a round gives one of them another image and measures until every pod runs it
and is available. Fake nodes play the kubelets; see docs/reference/benchmarks.md for what the figures mean.
"""

import argparse
from collections.abc import Iterator

from bench.contest import (
    IMAGES,
    KINDS,
    OURS,
    PEER,
    Column,
    Figures,
    compare,
    conflicts,
    costs,
    in_turn,
    staged,
)
from bench.counting import passes_between, quantile_between, requests_between
from bench.machine import machine


def rows(pods: int) -> dict[str, Column]:
    """Return what is told of each round."""
    return {
        **costs(pods),
        "conflicts": lambda f, _: conflicts(f.writes),
        "unavailable pod-s": lambda f, _: f.unavailable,
    }


def details(ours: Figures, peer: Figures) -> Iterator[str]:
    """Tell more of the last round of each."""
    for name, of in (("a pass", "reconcile"), ("loop lag", "loop_lag"), ("a request", "api_request")):
        p99 = quantile_between(ours.before, ours.after, f"cafe_{of}_seconds", 0.99)
        yield f"{f'p99 of {name}, s':24}{p99}"
    yield f"passes                  {dict(passes_between(ours.before, ours.after))}"
    yield f"writes by our client    {dict(requests_between(ours.before, ours.after))}"
    yield f"writes by the audit     {dict(ours.writes)}"
    yield f"the peer's by the audit {dict(peer.writes)}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=400)
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(machine(), flush=True)
    rounds: dict[str, list[Figures]] = {kind: [] for kind in KINDS}
    with staged(options.nodes) as stage:
        for kind in KINDS:
            stage.create(kind, options.pods, options.pods)
        for number in range(options.rounds):
            for kind in in_turn(number):
                rounds[kind].append(stage.release(kind, IMAGES[(number + 1) % 2]))
                print(f"round {number + 1}   {kind}: {rounds[kind][-1].took:.1f} s", flush=True)
    print("\n".join(compare(rounds, rows(options.pods))))
    print("\n".join(details(rounds[OURS][-1], rounds[PEER][-1])))


if __name__ == "__main__":
    main()
