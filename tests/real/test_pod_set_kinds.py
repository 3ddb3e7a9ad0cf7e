"""Native ReplicaSets and StatefulSets through Beta, groups and confirmations, on a real control plane."""

from collections import Counter

import pytest

from cafe.api.names import API_VERSION
from testbed import ControlPlane
from testbed.client import MERGE, RequestFailed
from testbed.nodes import ask
from testbed.waiting import wait_for
from tests.real.cluster import SOON, Object
from tests.real.rollouts import (
    BAD,
    CELLS,
    V1,
    V2,
    App,
    history_of,
    image_of,
    install_crds,
    is_available,
    release,
    unit_of,
)

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


def in_cell(cell: str, **box: object) -> Object:
    return {"units": [cell], "containers": [{"name": "app", **box}]}


def demand_refused(app: App, path: str, body: Object, words: str) -> None:
    with pytest.raises(RequestFailed) as refused:
        app.client.create(path, body)
    assert refused.value.status == 422
    assert words in refused.value.message


@pytest.mark.usefixtures("real_nodes", "controller")
@pytest.mark.parametrize("kind", ["InPlaceSet", "ReplicaSet", "StatefulSet"])
def test_what_one_cell_has_otherwise_is_released_there_alone(app: App, kind: str) -> None:
    app.create("real", spec={"podSetType": kind}, needWaitingForConfirm=False)
    app.wait_complete()
    elsewhere = {p["metadata"]["uid"] for p in live(app) if unit_of(p) == CELLS[1]}

    def override(*entries: Object) -> None:
        app.client.patch(app.path, {"spec": {"topology": {"overrides": [*entries]}}}, MERGE)

    for entry, words in (
        (in_cell("cell-z", image=V2), "names a unit that topology.values"),
        ({"units": ["cell-a"]}, "has an entry that sets nothing"),
        (in_cell("cell-a"), "names a container and sets nothing of it"),
        (in_cell("cell-a", env=[{"name": "A"}, {"name": "A"}]), "Duplicate value"),
    ):
        with pytest.raises(RequestFailed, match=words):
            override(entry)
    override(in_cell("cell-a", image=V2))
    app.wait_complete()
    assert updated(app, V2) == {"cell-a": 5}
    assert {p["metadata"]["uid"] for p in live(app) if unit_of(p) == CELLS[1]} == elsewhere
    ahead = {p["metadata"]["uid"] for p in live(app) if unit_of(p) == CELLS[0]}
    app.client.patch(app.path, {"spec": {"topology": {"overrides": []}}}, MERGE)
    app.wait_complete()
    assert updated(app, V1) == {"cell-a": 5, "cell-b": 5}
    assert {p["metadata"]["uid"] for p in live(app) if unit_of(p) == CELLS[1]} == elsewhere
    assert (ahead == {p["metadata"]["uid"] for p in live(app) if unit_of(p) == CELLS[0]}) == (
        kind == "InPlaceSet"
    )


def test_a_service_says_what_only_a_stateful_set_has_and_what_cells_have_otherwise(
    app: App, control_plane: ControlPlane
) -> None:
    install_crds(control_plane.kubeconfig)
    path = app.apps.replace("cafedeployments", "cafeappservices")
    topology = {"unitType": "Cell", "values": list(CELLS)}
    labels = {"app": "shop"}

    def service(name: str, *overrides: Object, kind: str = "StatefulSet", **spec: object) -> Object:
        whole = {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": V1}]},
            },
            "deploy": {"podSetType": kind, "topology": {**topology, "overrides": [*overrides]}},
            **spec,
        }
        return {
            "apiVersion": API_VERSION,
            "kind": "CafeAppService",
            "metadata": {"name": name},
            "spec": whole,
        }

    claim = {"metadata": {"name": "data"}}
    for more in (
        {"serviceName": "shop"},
        {"volumeClaimTemplates": [claim]},
        {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}},
    ):
        demand_refused(app, path, service("no", kind="InPlaceSet", **more), "podSetType StatefulSet")
    wrong = service("no", in_cell("cell-z", image=V2))
    demand_refused(app, path, wrong, "names a unit that deploy.topology.values")
    app.client.create(
        path, service("shop", in_cell("cell-a", image=V2), serviceName="shop", volumeClaimTemplates=[claim])
    )
    for edit in ({"serviceName": "other"}, {"volumeClaimTemplates": []}):
        with pytest.raises(RequestFailed, match="are immutable"):
            app.client.patch(f"{path}/shop", {"spec": edit}, MERGE)
    app.client.patch(
        f"{path}/shop",
        {"spec": {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}}},
        MERGE,
    )
