"""Native ReplicaSets and StatefulSets through Beta, groups and confirmations, on a real control plane."""

from collections import Counter

import pytest

from testbed.nodes import ask
from testbed.waiting import wait_for
from tests.real.cluster import SOON, Object
from tests.real.rollouts import BAD, CELLS, V1, V2, App, history_of, image_of, is_available, release, unit_of

pytestmark = [pytest.mark.real, pytest.mark.slow]


def live(app: App) -> list[Object]:
    return [pod for pod in app.pods() if "deletionTimestamp" not in pod["metadata"]]


def updated(app: App, image: str) -> Counter[str]:
    return Counter(unit_of(pod) for pod in live(app) if image_of(pod) == image)


def uids(app: App, image: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in live(app) if image_of(pod) == image}


def ordinals(app: App, image: str) -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in live(app) if image_of(pod) == image)


@pytest.mark.usefixtures("real_nodes", "controller")
@pytest.mark.parametrize("kind", ["ReplicaSet", "StatefulSet"])
def test_native_sets_go_through_the_same_groups_and_back_from_a_bad_image(app: App, kind: str) -> None:
    with history_of(app) as history:
        app.create("real", spec={"podSetType": kind})
        release(app, V1, updated)
        before = uids(app, V1)

        history.begin()
        app.set_image(V2)
        waiting = app.wait_waiting("WaitingForConfirm", 0)
        untouched = uids(app, V1)
        assert len(untouched) == 8
        assert untouched < before
        app.confirm(waiting)
        app.confirm(app.wait_waiting("WaitingForConfirm", 1))
        app.wait_complete()
        assert {ask(pod["status"]["podIP"])["version"] for pod in live(app)} == {"v2"}
        assert min(history.lowest.values()) >= 4
        released = uids(app, V2)
        assert not released & before

        history.begin()
        app.set_image(BAD)
        wait_for("a bad pod", lambda: sum(updated(app, BAD).values()) == 1, SOON)
        wait_for("the reason", lambda: app.waits_because("ErrImageNeverPull", "ImagePull"), SOON)
        good = {p["metadata"]["uid"] for p in live(app) if image_of(p) == V2 and is_available(p)}
        assert len(good) == 9
        app.set_image(V2)
        app.wait_complete()
        assert good < uids(app, V2)
        assert history.fewest >= 9


@pytest.mark.usefixtures("real_nodes", "controller")
def test_ordinals_go_from_the_top_and_come_back_from_mid_release(app: App) -> None:
    app.create("real", spec={"podSetType": "StatefulSet"})
    release(app, V1, updated)
    app.set_image(V2)
    app.confirm(app.wait_waiting("WaitingForConfirm", 0))
    app.wait_waiting("WaitingForConfirm", 1)
    name = app.name
    top = sorted(f"{name}-{cell}-{ordinal}" for cell in CELLS for ordinal in (2, 3, 4))
    assert ordinals(app, V2) == top
    low = uids(app, V1)
    app.set_image(V1)
    app.wait_complete()
    assert low < uids(app, V1)
    assert len(uids(app, V1)) == 10
