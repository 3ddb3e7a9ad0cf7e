"""The main job on real nodes: containers restart in groups, in pods that stay where they are."""

import pytest

from testbed.nodes import ask
from testbed.waiting import wait_for
from tests.real.cluster import SOON, Object
from tests.real.rollouts import (
    BAD,
    CELLS,
    V1,
    V2,
    App,
    History,
    history_of,
    image_of,
    is_available,
    release,
    restarts,
)

pytestmark = [pytest.mark.real, pytest.mark.slow]


def places(pods: list[Object]) -> dict[str, tuple[str, ...]]:
    """Return by name what an update in place must not change: UID, node, IP."""
    return {
        p["metadata"]["name"]: (p["metadata"]["uid"], p["spec"]["nodeName"], p["status"]["podIP"])
        for p in pods
    }


def versions(pods: list[Object]) -> set[str]:
    """Return the versions that the pods' servers answer with."""
    return {ask(pod["status"]["podIP"])["version"] for pod in pods}


def assert_gates_fell_first(history: History) -> None:
    """Each image changed while the gate was False already."""
    assert {change[2:] for change in history.images} == {("False", "False")}


@pytest.mark.usefixtures("real_nodes", "controller")
def test_bookinfo_goes_out_in_groups_and_a_bad_image_ends_in_beta(app: App) -> None:
    with history_of(app) as history:
        app.create("real")
        release(app, V1)
        before = app.pods()
        assert versions(before) == {"v1"}

        history.begin()
        app.set_image(V2)
        release(app, V2)
        after = app.pods()
        assert places(after) == places(before)
        assert [restarts(pod) for pod in after] == [1] * 10
        assert versions(after) == {"v2"}
        assert_gates_fell_first(history)
        assert history.lowest == dict.fromkeys(CELLS, 4)
        assert history.fewest == 9, "the cells share one budget"

        history.begin()
        app.set_image(BAD)
        stuck = app.wait_waiting("WaitingForPods", 0)
        # Beta is a pod of each cell, but one of all may be away: the other cell is spared.
        wait_for("a bad pod", lambda: sum(app.updated(BAD).values()) == 1, SOON)
        told = wait_for("the reason", lambda: app.waits_because("ErrImageNeverPull", "ImagePull"), SOON)
        assert stuck["planHash"] == app.get()["status"]["plan"]["hash"], told
        good = [pod for pod in app.pods() if image_of(pod) == V2]
        assert len(good) == 9
        assert all(is_available(pod) and restarts(pod) == 1 for pod in good)
        assert versions(good) == {"v2"}

        app.set_image(V2)
        app.wait_complete()
        back = app.pods()
        assert places(back) == places(before)
        assert versions(back) == {"v2"}
        untouched = {pod["metadata"]["name"] for pod in good}
        assert {p["metadata"]["name"] for p in back if restarts(p) == 1} >= untouched
        assert_gates_fell_first(history)
        assert history.fewest == 9
        assert len(history.uids) == 10
