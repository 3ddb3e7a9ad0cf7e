"""Which pods are changed, one write at a time, and when a change is over."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.workloads.domain.dwell import Dwell
from cafe.workloads.domain.facts import ContainerBefore, ContainerFact, Doubt, PodFact, UpdateState
from cafe.workloads.domain.pods import read_state, write_state
from cafe.workloads.domain.scaling import SetGoal
from cafe.workloads.domain.steps import LowerGate, MarkForDeletion, NoteDoubt, RaiseGate, Step, WriteChange
from cafe.workloads.domain.templates import InPlace
from cafe.workloads.domain.updating import (
    Progress,
    UpdateRules,
    decide_update,
    is_complete,
    is_of_image,
    write_change,
)
from tests.unit.workloads.facts import (
    DWELL,
    LONG_AGO,
    NEW,
    NEWER,
    NOW,
    OLD,
    budget,
    changing,
    container,
    goal,
    new_environment,
    new_image,
    new_label,
    pod,
    rules,
    sick,
    withheld,
)


def update(
    wanted: SetGoal, pods: list[PodFact], by: UpdateRules | None = None, dwell: Dwell = DWELL
) -> Progress:
    return decide_update(wanted, pods, budget(wanted, pods, dwell), dwell, by or rules())


def told(progress: Progress) -> list[tuple[type[Step], str]]:
    return [(type(s), s.pod.name) for s in progress.steps]


def lowered(progress: Progress) -> list[str]:
    return [s.pod.name for s in progress.steps if isinstance(s, LowerGate | MarkForDeletion)]


def restarted(image: str = "app:v2", number: int = 2) -> dict[str, object]:
    return {"containers": {"app": container(image, number)}, "is_observed": True}


# Beginning

FIT, ILL = st.just(pod), st.just(sick)
PODS = st.lists(
    st.one_of(
        st.builds(
            lambda make, r, m: (make, {"revision": r, "is_delete_wanted": m}),
            FIT | ILL,
            st.sampled_from([OLD, NEW]),
            st.booleans(),
        ),
        st.just((withheld, {})),
        st.just((changing, {})),
    ),
    max_size=8,
).map(lambda made: [make(f"web-{n}", **changes) for n, (make, changes) in enumerate(made)])
GOALS = st.builds(goal, st.integers(0, 8), st.integers(0, 8), st.integers(1, 4))
WAYS = st.sampled_from([new_image, new_label, new_environment])


@given(GOALS, PODS, WAYS)
def test_what_is_begun_leaves_enough_pods_available(
    wanted: SetGoal, pods: list[PodFact], way: object
) -> None:
    begun = {
        s.pod.name
        for s in update(wanted, pods, rules(way)).steps
        if isinstance(s, LowerGate | MarkForDeletion)
    }
    serving = {p.name for p in pods if DWELL.is_available(p)}
    assert not begun & serving or len(serving - begun) >= wanted.replicas - wanted.max_unavailable


@given(GOALS, PODS, WAYS)
def test_never_more_pods_head_for_the_new_revision_than_the_partition_says(
    wanted: SetGoal, pods: list[PodFact], way: object
) -> None:
    steps = update(wanted, pods, rules(way)).steps
    begun = [
        s
        for s in steps
        if isinstance(s, LowerGate | MarkForDeletion | WriteChange)
        and s.pod.revision == OLD
        and not s.pod.state
    ]
    new = sum(p.revision == NEW or p.state is not None for p in pods)
    assert not begun or new + len(begun) <= wanted.partition


@given(GOALS, PODS, WAYS)
def test_a_pass_takes_one_step_a_pod_and_says_why(wanted: SetGoal, pods: list[PodFact], way: object) -> None:
    progress = update(wanted, pods, rules(way))
    names = [s.pod.name for s in progress.steps]
    assert len(set(names)) == len(names)
    assert progress.reason.isalpha()
    assert progress.message
    assert progress == update(wanted, pods, rules(way))


def test_a_bad_image_stops_once_its_own_sick_pods_have_used_up_the_budget() -> None:
    pods = [sick("a", NEW), sick("b", NEW), *(pod(f"old-{i}") for i in range(8))]
    progress = update(goal(10, 10, 2), pods)
    assert (progress.steps, progress.reason) == ((), "BudgetSpent")
    assert "a (app: CrashLoopBackOff), b (app: CrashLoopBackOff) are not available" in progress.message


def test_a_bad_image_may_not_eat_sick_pods_one_after_the_other() -> None:
    """They cost no capacity, but they too may only be changed as far as the new revision is believed."""
    pods = [*(sick(f"old-{i}") for i in range(4)), sick("new", NEW)]
    assert lowered(update(goal(5, 5, 2), pods)) == ["old-0"]
    assert lowered(update(goal(5, 5, 1), pods)) == []


def test_sick_pods_go_first() -> None:
    assert lowered(update(goal(3, 3, 1), [pod("a"), pod("b"), sick("c")])) == ["c"]


def test_pods_marked_for_deletion_go_before_others_that_serve() -> None:
    assert lowered(update(goal(3, 3, 1), [pod("a"), pod("b", is_delete_wanted=True), pod("c")])) == ["b"]


def test_a_marked_pod_that_the_budget_holds_does_not_hold_up_a_sick_one() -> None:
    pods = [pod("a", is_delete_wanted=True), pod("b"), sick("c")]
    assert lowered(update(goal(3, 3, 1), pods)) == ["c"]
    assert lowered(update(goal(3, 1, 1), pods)) == ["c"]


def test_a_paused_set_begins_nothing_and_gives_withheld_pods_back() -> None:
    progress = update(goal(3, 3, 2), [pod("a"), pod("b"), withheld("c")], rules(grace=30, is_paused=True))
    assert (told(progress), progress.reason) == ([(RaiseGate, "c")], "Paused")


def test_a_paused_set_still_ends_what_the_kubelet_has_restarted() -> None:
    progress = update(goal(2, 2), [pod("a"), changing("b", **restarted())], rules(is_paused=True))
    assert told(progress) == [(RaiseGate, "b")]


def test_labels_alone_are_written_into_all_pods_at_once_without_a_gate() -> None:
    progress = update(goal(3, 3, 1), [pod("a"), pod("b"), sick("c")], rules(new_label))
    assert sorted(told(progress)) == sorted((WriteChange, n) for n in "abc")
    assert all(isinstance(s, WriteChange) and s.before is None for s in progress.steps)


def test_labels_alone_still_keep_to_the_partition() -> None:
    assert len(update(goal(3, 2, 1), [pod("a"), pod("b"), pod("c")], rules(new_label)).steps) == 2


# Replacing


def test_k263_a_pod_is_replaced_only_if_the_change_needs_it() -> None:
    assert told(update(goal(2, 2, 1), [pod("a"), pod("b")], rules(new_environment))) == [
        (MarkForDeletion, "a")
    ]
    assert told(update(goal(2, 2, 1), [pod("a"), pod("b")], rules(new_image))) == [(LowerGate, "a")]
    always = rules(new_image, is_always_recreated=True)
    assert told(update(goal(2, 2, 1), [pod("a"), pod("b")], always)) == [(MarkForDeletion, "a")]


def test_a_change_that_needs_new_pods_is_refused_where_only_in_place_is_allowed() -> None:
    progress = update(goal(2, 2, 1), [pod("a"), pod("b")], rules(new_environment, is_in_place_only=True))
    assert (progress.steps, progress.reason) == ((), "InPlaceImpossible")
    assert "spec.containers[app].env" in progress.message
    assert "InPlaceIfPossible" in progress.message


def test_a_withheld_pod_serves_again_if_its_way_in_place_was_lost() -> None:
    """Its old revision went out of the history, say: no one may delete it under InPlaceOnly."""
    by = rules(new_environment, is_in_place_only=True)
    assert told(update(goal(1, 1), [withheld("a", since=LONG_AGO)], by)) == [(RaiseGate, "a")]
    assert told(update(goal(1, 1), [withheld("a", since=LONG_AGO)], rules(new_environment))) == [
        (MarkForDeletion, "a")
    ]


def test_pods_marked_already_count_against_the_budget() -> None:
    pods = [pod("a", is_delete_wanted=True), pod("b"), pod("c")]
    assert lowered(update(goal(3, 3, 1), pods, rules(new_environment))) == []


# The grace period


def test_k2276_the_image_is_never_written_while_the_gate_is_up() -> None:
    progress = update(goal(1, 1), [pod("a")], rules(grace=0))
    assert told(progress) == [(LowerGate, "a")]
    assert told(update(goal(1, 1), [sick("a")], rules(grace=0))) == [(LowerGate, "a")]


def test_the_image_is_withheld_until_the_grace_period_is_over() -> None:
    waiting = withheld("a", since=NOW - timedelta(seconds=20))
    progress = update(goal(1, 1), [waiting], rules(grace=30))
    assert (progress.steps, progress.recheck) == ((), timedelta(seconds=10))
    assert told(update(goal(1, 1), [waiting], rules(grace=20))) == [(WriteChange, "a")]


def test_what_ran_before_is_written_with_the_image() -> None:
    (step,) = update(goal(1, 1), [withheld("a")]).steps
    assert isinstance(step, WriteChange)
    assert step.before == {"app": ContainerBefore("sha256:app:v1", "containerd://1")}


def test_a_pod_whose_target_moved_during_the_grace_period_serves_again_or_begins_anew() -> None:
    moved = withheld("a", target=NEW, since=LONG_AGO)
    assert told(update(goal(1, 0, update=NEWER), [moved])) == [(RaiseGate, "a")]
    assert told(update(goal(1, 1, update=NEWER), [moved])) == [(LowerGate, "a")]
    back = withheld("a", target=NEW, revision=OLD)
    assert told(update(goal(1, 1, update=OLD), [back])) == [(RaiseGate, "a")]


def test_no_pod_is_changed_in_the_stead_of_one_that_is_given_back_untouched() -> None:
    back = withheld("b", target=NEWER, revision=NEW)
    assert told(update(goal(2, 1, 2), [sick("a"), back])) == [(RaiseGate, "b")]


def test_a_gate_that_somebody_raised_falls_again_and_the_grace_period_begins_anew() -> None:
    """The harness found it: the image was written into a pod that a script had given back to traffic."""
    raised = replace(withheld("a", since=LONG_AGO), is_gated=False)
    assert told(update(goal(1, 1), [raised], rules(grace=30))) == [(LowerGate, "a")]


def test_a_pod_whose_group_was_closed_again_during_the_grace_period_serves_again() -> None:
    pods = [withheld("a"), withheld("b"), pod("c", NEW)]
    assert told(update(goal(3, 2, 3), pods, rules(grace=60))) == [(RaiseGate, "b")]
    assert told(update(goal(3, 1, 3), pods, rules(grace=60))) == [(RaiseGate, "a"), (RaiseGate, "b")]
    assert told(update(goal(3, 3, 3), pods, rules(grace=60))) == []


# Completion


def test_k2109_pods_being_deleted_or_ended_are_left_alone() -> None:
    pods = [
        pod("a", is_deleting=True),
        pod("b", phase="Failed"),
        withheld("c", is_deleting=True, since=LONG_AGO),
    ]
    assert update(goal(0, 0), pods).steps == ()


def test_a_new_image_id_completes_the_change() -> None:
    assert told(update(goal(1, 1), [changing("a", **restarted())])) == [(RaiseGate, "a")]


def test_k635_a_new_tag_with_the_same_digest_completes_by_its_new_container() -> None:
    same = container("app:v1", number=2)
    assert is_complete(changing(is_observed=True, containers={"app": same}))


NEW_APP = container("app:v2", 2)
TWO_CHANGED = UpdateState(
    NEW,
    NOW,
    {
        "app": ContainerBefore("sha256:app:v1", "containerd://1"),
        "log": ContainerBefore("sha256:log:v1", "containerd://7"),
    },
)


@pytest.mark.parametrize(
    ("why_not", "facts"),
    [
        ("the kubelet has not seen the image", {"is_observed": False, "containers": {"app": NEW_APP}}),
        ("the old container still runs", {}),
        ("the new one has not started", {"containers": {"app": container("app:v2", 2, running=False)}}),
        ("nothing is reported", {"containers": {}}),
        (
            "only one of two restarted",
            {"state": TWO_CHANGED, "containers": {"app": NEW_APP, "log": container("log:v1", 7)}},
        ),
    ],
)
def test_a_change_is_not_complete_while(why_not: str, facts: dict[str, object]) -> None:
    assert not is_complete(changing(**{"is_observed": True, **facts})), why_not


def test_a_container_that_crashed_before_the_kubelet_saw_the_image_completes_nothing() -> None:
    assert not is_complete(changing(containers={"app": container("app:v1", 2)}))


def test_a_container_without_a_report_is_still_waited_for() -> None:
    blank = withheld("a", containers={})
    written = write_change(blank, NEW, InPlace(images={"app": "app:v2"}))
    assert written.before == {"app": ContainerBefore("", "")}
    after = replace(blank, revision=NEW, state=UpdateState(NEW, NOW, written.before))
    assert not is_complete(after)
    assert is_complete(replace(after, containers={"app": container("app:v2", 2)}))


def test_a_new_pod_gets_its_gate() -> None:
    assert told(update(goal(1, 1), [pod("a", NEW, is_gated=True, ready_since=None)])) == [(RaiseGate, "a")]


def test_a_labelled_pod_whose_gate_had_fallen_gets_it_back() -> None:
    assert told(update(goal(1, 1), [withheld("a", revision=NEW)])) == [(RaiseGate, "a")]


# Moving the target of a pod that is being restarted


def test_a_pod_is_not_changed_anew_before_the_kubelet_took_up_the_first_change() -> None:
    """Else the restart that is still owed would be taken for the completion of the second change."""
    wanted = goal(1, 1, update=NEWER)
    assert update(wanted, [changing("a")]).steps == ()
    assert update(wanted, [changing("a", is_observed=True)]).steps == ()
    broken = {"app": container("app:v2", 1, running=False, problem="ImagePullBackOff")}
    assert told(update(wanted, [changing("a", is_observed=True, containers=broken)])) == [(LowerGate, "a")]


def test_a_pod_that_cannot_be_changed_yet_uses_up_the_budget_but_holds_up_nobody() -> None:
    pods = [changing("a"), pod("b")]
    assert lowered(update(goal(2, 2, 1, update=NEWER), pods)) == []
    assert lowered(update(goal(2, 2, 2, update=NEWER), pods)) == ["b"]


def test_k1156_going_back_begins_with_the_pods_that_the_bad_image_broke() -> None:
    broken = {"app": container("app:v2", 1, running=False, problem="ImagePullBackOff")}
    pods = [pod("a"), changing("b", is_observed=True, containers=broken), pod("c")]
    assert told(update(goal(3, 3, 1, update=OLD, current=OLD), pods)) == [(LowerGate, "b")]


def test_a_label_written_into_a_pod_that_is_restarting_does_not_end_the_restart() -> None:
    """The record of what ran before must stay, or the gate would rise while the old container still runs."""
    begun = changing("a", **restarted())
    (step,) = update(goal(1, 1, update=NEWER), [begun], rules(new_label)).steps
    assert isinstance(step, WriteChange)
    assert begun.state is not None
    assert step.before == begun.state.before


# Telling


@pytest.mark.parametrize(
    ("wanted", "pods", "reason"),
    [
        (goal(2, 2), [pod("a", NEW), pod("b", NEW)], "Complete"),
        (goal(2, 1), [pod("a", NEW), pod("b")], "PartitionReached"),
        (goal(2, 2), [pod("a", NEW), sick("b", NEW)], "WaitingForPods"),
        (goal(2, 1), [sick("a", NEW), pod("b")], "WaitingForPods"),
        (goal(2, 2), [pod("a", NEW), pod("b")], "Updating"),
        (goal(3, 3), [pod("a", NEW), pod("b")], "BudgetSpent"),
        (goal(2, 2), [sick("a", NEW), pod("b")], "BudgetSpent"),
    ],
)
def test_the_reason_says_what_is_waited_for(wanted: SetGoal, pods: list[PodFact], reason: str) -> None:
    assert update(wanted, pods).reason == reason


def test_missing_pods_are_told_when_nobody_is_sick() -> None:
    assert update(goal(3, 3), [pod("a", NEW), pod("b")]).message.endswith("1 are missing")


def test_many_sick_pods_are_told_in_one_short_line() -> None:
    pods = [sick(f"web-{i}", NEW) for i in range(9, 0, -1)]
    message = update(goal(9, 9), pods).message
    assert message.startswith("web-1 (app: CrashLoopBackOff), web-2")
    assert message.endswith("and 7 more are not available yet")


def test_a_pod_on_its_way_says_how_far_it_is() -> None:
    def told(one: PodFact, dwell: Dwell = DWELL) -> str:
        return update(goal(1, 1), [one], rules(grace=60), dwell).message

    assert told(withheld("a")) == "a (out of traffic, in its grace period) is not available yet"
    assert told(changing("a")) == "a (being updated) is not available yet"
    fresh = pod("a", NEW, ready_since=NOW)
    assert told(fresh, Dwell(NOW, timedelta(seconds=9))) == (
        "a (ready, but not for minReadySeconds) is not available yet"
    )


def test_a_pod_that_must_still_dwell_says_when_to_look_again() -> None:
    dwell = Dwell(NOW, timedelta(seconds=60))
    progress = update(goal(1, 1), [pod("a", NEW, ready_since=NOW - timedelta(seconds=45))], dwell=dwell)
    assert (progress.reason, progress.recheck) == ("WaitingForPods", timedelta(seconds=15))


# Doubt


@pytest.mark.parametrize(
    ("asked", "reported", "image_id", "is_proven"),
    [
        ("web:2", "docker.io/library/web:2", "web@sha256:b", True),
        ("bank/web", "docker.io/bank/web:latest", "web@sha256:b", True),
        ("host:5000/web:2", "host:5000/web:2", "web@sha256:a", True),
        ("web:2", "docker.io/library/web:1", "web@sha256:a", False),
        ("web:2", "docker.io/library/web:1", "web@sha256:b", False),
        ("web@sha256:b", "sha256:0123", "web@sha256:b", True),
        ("web@sha256:b", "web@sha256:a", "web@sha256:a", False),
        ("web:2", "sha256:0123", "web@sha256:b", True),
        ("web:2", "sha256:0123", "web@sha256:a", False),
    ],
)
def test_a_report_proves_the_image_by_its_name_or_its_digest(
    asked: str,
    reported: str,
    image_id: str,
    is_proven: bool,  # noqa: FBT001 -- a column of the table
) -> None:
    container = ContainerFact(asked, image_id, "containerd://2", is_running=True, reported=reported)
    assert is_of_image(container, ContainerBefore("web@sha256:a", "containerd://1")) is is_proven


def test_a_container_of_another_image_is_noted_and_believed_once_it_outlived_its_end() -> None:
    """A node that was cut off restarted the old image; the kubelet tells of that before it replaces it."""
    again = replace(container("app:v1", 2), image="app:v2", reported="docker.io/library/app:v1")
    restless = changing("a", containers={"app": again}, is_observed=True, farewell=timedelta(seconds=30))
    (noted,) = update(goal(1, 1), [restless]).steps
    assert noted == NoteDoubt(restless, {"app": "containerd://2"})
    assert restless.state is not None
    doubt = Doubt({"app": "containerd://2"}, NOW - timedelta(seconds=34))
    waiting = replace(restless, state=replace(restless.state, doubted=doubt))
    progress = update(goal(1, 1), [waiting])
    assert (progress.steps, progress.recheck) == ((), timedelta(seconds=1))
    outlived = replace(doubt, since=NOW - timedelta(seconds=35))
    believed = replace(restless, state=replace(restless.state, doubted=outlived))
    assert told(update(goal(1, 1), [believed])) == [(RaiseGate, "a")]
    other = replace(outlived, containers={"app": "containerd://9"})
    another = replace(restless, state=replace(restless.state, doubted=other))
    assert told(update(goal(1, 1), [another])) == [(NoteDoubt, "a")]


def test_a_doubt_is_kept_in_the_annotation() -> None:
    state = UpdateState(NEW, NOW, {"app": ContainerBefore("i", "c")}, Doubt({"app": "containerd://2"}, NOW))
    assert read_state(write_state(state)) == state
