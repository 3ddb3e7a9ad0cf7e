from typing import Any

from bench.contestants import IMAGES
from bench.pods import Pods

V1, V2 = IMAGES


def pod(uid: str, image: str, *, is_ready: bool = True, running: str = "") -> dict[str, Any]:
    return {
        "metadata": {"uid": uid},
        "spec": {"containers": [{"image": image}]},
        "status": {
            "conditions": [{"type": "Ready", "status": str(is_ready)}],
            "containerStatuses": [{"image": running or image, "state": {"running": {}}}],
        },
    }


def three_pods() -> Pods:
    pods = Pods(3)
    for uid in "abc":
        pods.saw("ADDED", pod(uid, V1))
    pods.want(3, V2)
    return pods


def test_a_lull_between_waves_is_not_the_end() -> None:
    pods = three_pods()
    pods.saw("MODIFIED", pod("a", V1, is_ready=False))
    pods.saw("MODIFIED", pod("a", V2))
    assert not pods.done.is_set()


def test_it_is_done_once_all_run_the_image_and_are_available() -> None:
    pods = three_pods()
    for uid in "ab":
        pods.saw("MODIFIED", pod(uid, V2))
    pods.saw("MODIFIED", pod("c", V2, is_ready=False))
    assert not pods.done.is_set()
    pods.saw("MODIFIED", pod("c", V2))
    assert pods.done.is_set()


def test_a_pod_that_is_still_ready_with_the_old_container_is_not_done() -> None:
    pods = three_pods()
    for uid in "abc":
        pods.saw("MODIFIED", pod(uid, V2, running=V1))
    assert not pods.done.is_set()


def test_going_back_counts_as_new_what_was_new_before_the_last_change() -> None:
    pods = three_pods()
    for uid in "abc":
        pods.saw("MODIFIED", pod(uid, V2))
    pods.want(3, V1)
    pods.saw("MODIFIED", pod("a", V1))
    assert not pods.done.is_set()


def test_scaled_to_none_it_is_done_when_the_last_is_gone() -> None:
    pods = three_pods()
    pods.want(0, V1)
    for uid in "ab":
        pods.saw("DELETED", pod(uid, V1))
    assert not pods.done.is_set()
    pods.saw("DELETED", pod("c", V1))
    assert pods.done.is_set()


def test_a_pod_changed_in_place_is_not_counted_as_made_anew() -> None:
    pods = three_pods()
    pods.saw("MODIFIED", pod("a", V2))
    assert pods.created == 0
    pods.saw("DELETED", pod("b", V1))
    pods.saw("ADDED", pod("d", V2))
    assert pods.created == 1
