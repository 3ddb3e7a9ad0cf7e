"""Small words for tests on a real API server: make a pod, look at it, wait for it."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from cafe.kernel.entropy import SystemEntropy
from testbed.client import Client, RequestFailed
from testbed.waiting import wait_for

Object = Mapping[str, Any]
SOON = timedelta(seconds=30)
GATE = "cafe.test/gate"


class Space:
    """A namespace of one test."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        self.pods = f"/api/v1/namespaces/{name}/pods"

    def run_pod(self, name: str, image: str, kind: str, **spec: object) -> Object:
        """Make a pod for nodes of that kind ("real" or "fake") and wait until it runs."""
        container = {"name": "app", "image": image, "imagePullPolicy": "IfNotPresent"}
        body: dict[str, Any] = {
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "nodeSelector": {"cafe.test/node": kind},
                "terminationGracePeriodSeconds": 1,
                "containers": [container],
                **spec,
            },
        }
        self.client.create(self.pods, body)
        return self.wait_pod(name, lambda pod: is_running(pod) and bool(pod["status"].get("podIP")))

    def pod(self, name: str) -> Object:
        """Return the pod as it is now."""
        found: Object = self.client.get(f"{self.pods}/{name}")
        return found

    def wait_pod(self, name: str, wanted: Callable[[Object], bool]) -> Object:
        """Wait until the pod is as wanted, and return it."""

        def look() -> Object | None:
            found = self.pod(name)
            return found if wanted(found) else None

        return wait_for(f"pod {name}", look, SOON)

    def wait_condition(self, name: str, kind: str, status: str) -> Object:
        """Wait until a condition of the pod has that status."""
        return self.wait_pod(name, lambda pod: condition(pod, kind) == status)

    def wait_gone(self, name: str) -> None:
        """Wait until there is no such pod."""

        def is_gone() -> bool:
            try:
                self.pod(name)
            except RequestFailed as failed:
                return failed.reason == "NotFound"
            return False

        wait_for(f"pod {name} is gone", is_gone, SOON)

    def set_image(self, name: str, image: str) -> Object:
        """Change the image of a pod's container in place."""
        patch = {"spec": {"containers": [{"name": "app", "image": image}]}}
        changed: Object = self.client.patch(f"{self.pods}/{name}", patch)
        return changed

    def set_gate(self, name: str, status: str) -> None:
        """Set the condition of the test's readiness gate."""
        patch = {"status": {"conditions": [{"type": GATE, "status": status}]}}
        self.client.patch(f"{self.pods}/{name}/status", patch)


def make_space(client: Client) -> Iterator[Space]:
    """Make a namespace with a name of its own, and have it deleted afterwards."""
    name = f"test-{SystemEntropy().suffix(5)}"
    client.create("/api/v1/namespaces", {"metadata": {"name": name}})
    client.wait_exists(f"/api/v1/namespaces/{name}/serviceaccounts/default", SOON)
    yield Space(client, name)
    client.delete(f"/api/v1/namespaces/{name}")


def container(pod: Object) -> Any:  # noqa: ANN401 -- a container status
    """Return the status of the pod's only container; empty while there is none."""
    return (pod["status"].get("containerStatuses") or [{}])[0]


def is_running(pod: Object) -> bool:
    """Tell whether the container runs."""
    return "running" in container(pod).get("state", {})


def is_waiting(pod: Object, *reasons: str) -> bool:
    """Tell whether the container waits for one of these reasons."""
    return container(pod).get("state", {}).get("waiting", {}).get("reason") in reasons


def condition(pod: Object, kind: str) -> str | None:
    """Return the status of a condition; None if there is none of that type."""
    return {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}.get(kind)
