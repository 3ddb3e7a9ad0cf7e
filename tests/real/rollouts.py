"""The canonical rollout, driven over the API, and an observer that sees every state its pods are in."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from cafe.api.names import API_VERSION, CONFIRM_ANNOTATION, CONTROLLER_NAMESPACE, UNIT_LABEL, UPDATE_GATE
from cafe.kernel import SystemClock, SystemEntropy
from cafe.kube.client import Client as KubeClient
from cafe.kube.http import HttpTransport
from cafe.kube.kubeconfig import load_kubeconfig
from cafe.processes.crds import install
from testbed.client import MERGE, Client
from testbed.waiting import wait_for
from testbed.watching import watching
from tests.real.cluster import Object, condition, container

CELLS: Final = ("cell-a", "cell-b")
V1, V2, BAD = (f"cafe.test/bookinfo/productpage:{tag}" for tag in ("v1", "v2", "bad"))
PATIENCE: Final = timedelta(minutes=5)


def install_crds(kubeconfig: Path) -> None:
    """Install CAFE's kinds, as `--install-crds` does."""

    async def do() -> None:
        clock = SystemClock()
        transport = HttpTransport(load_kubeconfig([kubeconfig]).access(clock))
        try:
            await install(KubeClient(transport, clock, SystemEntropy()), CONTROLLER_NAMESPACE)
        finally:
            await transport.close()

    asyncio.run(do())


class App:
    """One CafeDeployment and those who release it."""

    def __init__(self, client: Client, namespace: str, name: str = "productpage") -> None:
        self.client = client
        self.name = name
        self.core = f"/api/v1/namespaces/{namespace}"
        self.revisions = f"/apis/apps/v1/namespaces/{namespace}/controllerrevisions"
        self.sets = f"/apis/{API_VERSION}/namespaces/{namespace}/inplacesets"
        self.apps = f"/apis/{API_VERSION}/namespaces/{namespace}/cafedeployments"
        self.path = f"{self.apps}/{name}"

    def create(
        self, kind: str, image: str = V1, spec: Mapping[str, object] | None = None, **strategy: object
    ) -> None:
        """Create it: 10 pods over two cells on nodes of that kind, Beta, groups of 4, confirmed by hand."""
        container = {"name": "app", "image": image, "imagePullPolicy": "IfNotPresent"}
        body: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": "CafeDeployment",
            "metadata": {"name": self.name},
            "spec": {
                "replicas": 10,
                "selector": {"matchLabels": {"app": self.name}},
                "topology": {"unitType": "Cell", "values": list(CELLS)},
                "strategy": {"batchSize": 4, "needWaitingForConfirm": True, "maxUnavailable": 1, **strategy},
                "template": {
                    "metadata": {"labels": {"app": self.name}},
                    "spec": {
                        "nodeSelector": {"cafe.test/node": kind},
                        "terminationGracePeriodSeconds": 1,
                        "containers": [container],
                    },
                },
            },
        }
        self.client.create(self.apps, body | {"spec": {**body["spec"], **(spec or {})}})

    def get(self) -> Any:  # noqa: ANN401 -- a CafeDeployment
        """Return it as it is now."""
        return self.client.get(self.path)

    def set_image(self, image: str) -> None:
        """Ask for another image."""
        template = self.get()["spec"]["template"]
        template["spec"]["containers"][0]["image"] = image
        self.client.patch(self.path, {"spec": {"template": template}}, MERGE)

    def wait_waiting(self, reason: str, group: int | None) -> Object:
        """Wait until the status says, of the newest spec, that this group waits for that reason."""

        def look() -> Object | None:
            found = self.get()
            status = found.get("status", {})
            waiting = status.get("waiting") or {}
            is_new = status.get("observedGeneration") == found["metadata"]["generation"]
            is_it = waiting.get("reason") == reason and waiting.get("group") == group
            return waiting if is_new and is_it else None

        return wait_for(f"{reason} of group {group}", look, PATIENCE)

    def waits_because(self, *words: str) -> str | None:
        """Return what is waited for, if one of *words* is in it."""
        message = str((self.get()["status"].get("waiting") or {}).get("message", ""))
        return message if any(word in message for word in words) else None

    def confirm(self, waiting: Object) -> None:
        """Confirm what is waited for."""
        value = f"{waiting['group']}/{waiting['planHash']}"
        self.client.patch(self.path, {"metadata": {"annotations": {CONFIRM_ANNOTATION: value}}}, MERGE)

    def wait_complete(self) -> None:
        """Wait until the newest spec is released whole."""

        def look() -> bool:
            found = self.get()
            status = found.get("status", {})
            is_new = status.get("observedGeneration") == found["metadata"]["generation"]
            return is_new and status.get("phase") == "Complete"

        wait_for("the release is complete", look, PATIENCE)

    def pods(self) -> list[Any]:
        """Return its pods, by name."""
        found = self.client.get(f"{self.core}/pods")["items"]
        return sorted(found, key=lambda pod: pod["metadata"]["name"])

    def updated(self, image: str) -> Counter[str]:
        """Count, per cell, the pods whose spec asks for *image*."""
        return Counter(unit_of(pod) for pod in self.pods() if image_of(pod) == image)


def release(app: App, image: str, updated: Callable[[App, str], Counter[str]] = App.updated) -> None:
    """Confirm group by group: 1+1, 2+2, 2+2 pods of *image*, as *updated* counts them per cell."""
    for group, count in ((0, 1), (1, 3)):
        waiting = app.wait_waiting("WaitingForConfirm", group)
        assert updated(app, image) == dict.fromkeys(CELLS, count)
        app.confirm(waiting)
    app.wait_complete()
    assert updated(app, image) == dict.fromkeys(CELLS, 5)


def unit_of(pod: Object) -> str:
    """Return the cell whose set the pod belongs to."""
    return str(pod["metadata"]["labels"][UNIT_LABEL])


def image_of(pod: Object) -> str:
    """Return the image that the pod asks for."""
    return str(pod["spec"]["containers"][0]["image"])


def is_available(pod: Object) -> bool:
    """Tell whether traffic may reach the pod; those of native sets have no gate of ours."""
    is_serving = condition(pod, "Ready") == "True" and condition(pod, UPDATE_GATE) in {"True", None}
    return is_serving and "deletionTimestamp" not in pod["metadata"]


@dataclass
class History:
    """What a watch saw of an application's pods: every state, in the order in which it was stored.

    Attributes:
        uids: Of every pod that ever was.
        lowest: Fewest available pods of a cell at any moment since `begin`.
        fewest: Fewest available pods of all at any moment since then.
        images: Each change of an image, as (pod, new image, gate before, gate with it).
    """

    now: dict[str, Object] = field(default_factory=dict)
    uids: set[str] = field(default_factory=set)
    lowest: dict[str, int] = field(default_factory=dict)
    fewest: int = 0
    images: list[tuple[str, str, str | None, str | None]] = field(default_factory=list)

    def saw(self, event: str, pod: Object) -> None:
        """Take in one event."""
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        before = self.now.get(uid)
        self.uids.add(uid)
        if event == "DELETED":
            del self.now[uid]
        else:
            self.now[uid] = pod
        if before is not None and image_of(before) != image_of(pod):
            gates = condition(before, UPDATE_GATE), condition(pod, UPDATE_GATE)
            self.images.append((name, image_of(pod), *gates))
        counts = self.available()
        self.fewest = min(self.fewest, sum(counts.values()))
        for unit, count in counts.items():
            if unit in self.lowest:
                self.lowest[unit] = min(self.lowest[unit], count)

    def available(self) -> dict[str, int]:
        """Count the available pods of each cell."""
        counts: dict[str, int] = defaultdict(int, dict.fromkeys(CELLS, 0))
        for pod in tuple(self.now.values()):
            counts[unit_of(pod)] += is_available(pod)
        return counts

    def begin(self) -> None:
        """Forget the lowest availability so far."""
        self.lowest = dict(self.available())
        self.fewest = sum(self.lowest.values())
        self.images = []


@contextmanager
def history_of(app: App) -> Iterator[History]:
    """Watch the application's pods while the block lasts."""
    history = History()
    with watching(app.client, f"{app.core}/pods", history.saw):
        yield history


def restarts(pod: Object) -> int:
    """Return how often the pod's container was restarted."""
    return int(container(pod).get("restartCount", 0))
