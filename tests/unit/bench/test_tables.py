from collections import Counter
from collections.abc import Iterable

from bench.figures import Column, Figures, Rounds, conflicts, costs, to_pods
from bench.tables import compare, goals, ratios, round_line, writes_by_kind

PODS = 10


def figures(
    took: float, cpu: float = 0.1, writes: int = 30, shares: dict[str, float] | None = None
) -> Figures:
    names = ("InPlaceSet", "CloneSet", "Deployment", "kube-apiserver", "etcd")
    return Figures(
        took=took,
        settled=took,
        unavailable=0,
        cpu=shares or dict.fromkeys(names, cpu),
        writes=Counter({"patch pods 200": writes}),
        writes_of_all=0,
        busy=1,
        memory=50,
    )


def words(lines: Iterable[str]) -> list[str]:
    return [" ".join(line.split()) for line in lines]


SECONDS: dict[str, Column] = {"seconds": lambda f, _: f.took}


def test_each_row_has_medians_and_the_ratios_of_the_rounds_to_each_peer() -> None:
    rounds: Rounds = {
        "InPlaceSet": [figures(1), figures(2), figures(9)],
        "CloneSet": [figures(4), figures(4), figures(6)],
        "Deployment": [figures(1), figures(1), figures(1)],
    }
    lines = words(compare(rounds, SECONDS))
    assert lines[0] == "median of 3 rounds InPlaceSet CloneSet Deployment to CloneSet to Deployment"
    assert lines[1] == "seconds 2.00 4.00 1.00 0.50 (0.25-1.50) 2.00 (1.00-9.00)"
    assert lines[-1].startswith("seconds 1.00 : 4.00 : 1.00 (0.25, 1.00) | 2.00 : 4.00 : 1.00 (0.50, 2.00)")


def test_two_are_compared_as_well_as_three() -> None:
    rounds: Rounds = {"InPlaceSet": [figures(2)], "Deployment": [figures(1)]}
    assert words(compare(rounds, SECONDS))[1] == "seconds 2.00 1.00 2.00 (2.00-2.00)"


def test_there_is_no_ratio_to_nothing() -> None:
    assert ratios([1.0, 2.0], [0.0, 4.0]) == [0.5]
    rounds: Rounds = {"InPlaceSet": [figures(2)], "Deployment": [figures(0)]}
    assert words(compare(rounds, SECONDS))[1] == "seconds 2.00 0.00 -"


def test_a_round_is_told_in_pods_a_second() -> None:
    last = {"InPlaceSet": figures(1), "CloneSet": figures(2)}
    assert round_line(3, last, PODS) == "round 3   InPlaceSet : CloneSet   10.0 : 5.00 (2.00) pods/s"


def test_controllers_that_only_watch_are_counted_apart() -> None:
    cpu = {"InPlaceSet": 1.0, "CloneSet": 2.0, "Deployment": 4.0, "kube-apiserver": 8.0}
    assert costs(PODS)["CPU ms/pod, bystanders"](figures(1, shares=cpu), "CloneSet") == 500


def test_writes_are_told_per_pod_and_round_the_most_frequent_first() -> None:
    rounds: Rounds = {
        "InPlaceSet": [figures(1, writes=30), figures(1, writes=10)],
        "CloneSet": [figures(1, writes=0), figures(1, writes=10)],
    }
    rounds["CloneSet"][0].writes["update pods 409"] = 1
    assert words(writes_by_kind(rounds, PODS)) == [
        "writes/pod, means InPlaceSet CloneSet",
        "patch pods 200 2.000 0.500",
        "update pods 409 0.000 0.050",
    ]


def test_only_refusals_because_the_object_moved_are_conflicts() -> None:
    assert conflicts(Counter({"update pods 409": 2, "update pods 200": 5, "create events 404": 1})) == 2


def test_writes_to_pods_are_those_that_changed_one() -> None:
    writes = {"patch pods 200": 1, "update pods/status 200": 2, "create pods 201": 4, "update pods 409": 8}
    others = {"patch inplacesets/status 200": 16, "create podtemplates 201": 32}
    assert to_pods(Counter(writes | others)) == 7


def test_goals_are_judged_by_medians() -> None:
    rounds: Rounds = {
        "InPlaceSet": [figures(2, cpu=0.2, writes=31), figures(2, cpu=0.2, writes=29)],
        "CloneSet": [figures(3, cpu=0.1), figures(4, cpu=0.1)],
    }
    for figure in rounds["InPlaceSet"]:
        figure.writes["patch inplacesets/status 200"] = 1
    assert list(goals(rounds, "CloneSet", PODS)) == [
        "goal   writes/pod, to the pods: 3.00, at most 3: kept",
        "goal   writes/pod: 3.10, at most 3: MISSED",
        "goal   pods/s, InPlaceSet to CloneSet: 1.75, at least 1.5: kept",
        "goal   CPU ms/pod, controller: 20.00, at most the CloneSet's 10.0: MISSED",
    ]


def test_without_the_peer_no_ratio_is_told() -> None:
    told = list(goals({"InPlaceSet": [figures(1)]}, "CloneSet", PODS))
    assert told[-1] == "goal   pods/s and CPU ms/pod, controller: not told without a CloneSet"
