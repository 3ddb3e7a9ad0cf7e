from bench.contestants import OURS
from bench.growth import PODS, app, row


def test_the_ratio_is_of_all_rounds_together_beside_the_range_of_each() -> None:
    told = " ".join(row("one more app, writes/pod", [1.0, 3.0], [2.0, 3.0]).split())
    assert told == "one more app, writes/pod 2.00 2.50 1.25 (1.00-2.00) goal 1.2: MISSED"


def test_the_goal_is_kept_at_its_bound() -> None:
    assert row("one more app, CPU ms/pod", [5.0], [6.0]).endswith("goal 1.2: kept")


def test_each_app_has_pods_of_its_own() -> None:
    first, second = app("a"), app("b")
    assert first["spec"]["selector"]["matchLabels"] == first["spec"]["template"]["metadata"]["labels"]
    assert first["spec"]["selector"] != second["spec"]["selector"]
    assert first["spec"]["replicas"] == PODS
    assert app("inplaceset") == OURS.workload(PODS, PODS)
