"""The controller is killed at each of its writes, and the rollout ends as if nothing had happened."""

import sys
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cafe.kernel import SystemClock
from testbed import ControlPlane
from tests.real.cluster import Object, make_space
from tests.real.deaths import Kill, mortal_controller
from tests.real.rollouts import (
    CELLS,
    V1,
    V2,
    App,
    History,
    history_of,
    image_of,
    install_crds,
    is_available,
    restarts,
)

pytestmark = [pytest.mark.real, pytest.mark.slow]

GROUPS = (1, 3, 5)
"""Updated pods of each cell once Beta, group 1 and group 2 are done."""


class Story(NamedTuple):
    """What was seen of one whole run."""

    end: Object
    pods: list[Any]
    before: list[Any]
    history: History
    lives: int
    writes: Counter[str]
    took: timedelta


def tell(plane: ControlPlane, kill: Kill, directory: Path) -> Story:
    """Deploy v1 in groups, release v2 in groups, and look at every state in between."""
    with contextmanager(make_space)(plane.client) as space:
        app, clock = App(plane.client, space.name), SystemClock()
        start = clock.monotonic()
        server = (plane.server, plane.client)
        with mortal_controller(*server, kill, directory) as lives, history_of(app) as history:
            app.create("fake")
            release(app, V1)
            before = app.pods()
            history.begin()
            app.set_image(V2)
            release(app, V2)
            end = end_state(app)
            writes = Counter(line.split()[0] for line in lives.writes)
            took = clock.monotonic() - start
            return Story(end, app.pods(), before, history, lives.count, writes, took)


def release(app: App, image: str) -> None:
    """Confirm group by group; at each stop exactly the pods of the open groups may be new."""
    for group in (0, 1):
        waiting = app.wait_waiting("WaitingForConfirm", group)
        assert app.updated(image) == dict.fromkeys(CELLS, GROUPS[group])
        app.confirm(waiting)
    app.wait_complete()
    assert app.updated(image) == dict.fromkeys(CELLS, GROUPS[2])


def end_state(app: App) -> Object:
    """Return all that must not depend on how often the controller died: no times, UIDs or random names."""
    sets = app.client.get(app.sets)["items"]
    revisions = app.client.get(app.revisions)["items"]
    return {
        "status": timeless(app.get()["status"]),
        "annotations": app.get()["metadata"].get("annotations", {}),
        "sets": {s["metadata"]["name"]: (timeless(s["status"]), s["spec"]) for s in sets},
        "revisions": sorted((r["metadata"]["name"], r["revision"]) for r in revisions),
    }


def timeless(status: dict[str, Any]) -> dict[str, Any]:
    """Return a status without the times of its conditions and of its progress."""
    status.pop("progressTime", None)
    for one in status["conditions"]:
        del one["lastTransitionTime"]
    return status


@pytest.fixture(scope="module")
def undisturbed(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Story:
    install_crds(control_plane.kubeconfig)
    return tell(control_plane, Kill.NEVER, tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.usefixtures("fake_nodes")
@pytest.mark.parametrize("kill", [Kill.BEFORE_THE_ANSWER, Kill.AFTER_THE_ANSWER], ids=lambda k: k.value)
def test_a_controller_killed_at_each_of_its_writes_ends_where_an_undisturbed_one_does(
    control_plane: ControlPlane, undisturbed: Story, kill: Kill, tmp_path: Path
) -> None:
    story = tell(control_plane, kill, tmp_path)
    for one in (undisturbed, story):
        writes = f"{sum(one.writes.values())} writes {dict(one.writes)}"
        sys.stdout.write(f"\n{one.lives} lives, {writes}, {one.took.total_seconds():.1f} s\n")
    assert story.lives > 100
    assert story.end == undisturbed.end
    for one in (undisturbed, story):
        assert [restarts(pod) for pod in one.pods] == [1] * 10
        assert {identity(pod) for pod in one.pods} == {identity(pod) for pod in one.before}
        assert one.history.uids == {pod["metadata"]["uid"] for pod in one.pods}
        assert all(is_available(pod) for pod in one.pods)
        assert {image_of(pod) for pod in one.pods} == {V2}
        assert one.history.lowest == dict.fromkeys(CELLS, 4)
        assert len(one.history.images) == 10
        assert {change[2:] for change in one.history.images} == {("False", "False")}


def identity(pod: Object) -> tuple[str, ...]:
    """Return what an update in place must not change."""
    meta = pod["metadata"]
    return meta["name"], meta["uid"], pod["spec"]["nodeName"], pod["status"]["podIP"]
