"""A small cluster on virtual time, and words for looking at it."""

from dataclasses import dataclass
from datetime import timedelta
from random import Random  # noqa: TID251 -- seeded: the tests' own chance

from cafe.kernel.entropy import NAME_ALPHABET, uuid4_from
from cafe_sim.apiserver.server import ApiServer
from cafe_sim.cluster import ClusterOptions, SimCluster
from cafe_sim.contract import DeleteOptions, Json, StoreEvent
from cafe_sim.machinery.conditions import find_condition
from cafe_sim.machinery.kinds import BUILT_IN
from cafe_sim.machinery.pods import is_ready
from tests.unit.sim_cluster.timeline import VirtualTimeline

APP = {"app": "web"}


class SeededEntropy:
    def __init__(self, seed: int = 1) -> None:
        self._random = Random(seed)  # noqa: S311 -- a test's chance, not a secret

    def fraction(self) -> float:
        return self._random.random()

    def suffix(self, length: int) -> str:
        return "".join(self._random.choice(NAME_ALPHABET) for _ in range(length))

    def uid(self) -> str:
        return uuid4_from(self._random.getrandbits(128))


def container(name: str = "app", image: str = "web:1", **more: object) -> Json:
    return {"name": name, "image": image, **more}


def pod_spec(*containers: Json, **more: object) -> Json:
    return {"containers": list(containers or (container(),)), "terminationGracePeriodSeconds": 30, **more}


def template(spec: Json | None = None, labels: dict[str, str] | None = None) -> Json:
    return {"metadata": {"labels": labels or APP}, "spec": spec or pod_spec()}


@dataclass
class World:
    """The cluster, its API and its time."""

    timeline: VirtualTimeline
    api: ApiServer
    cluster: SimCluster
    commits: list[tuple[str, StoreEvent]]

    def run(self, seconds: float) -> None:
        self.timeline.run(timedelta(seconds=seconds))

    def pods(self, namespace: str | None = "default") -> list[Json]:
        return self.api.list("pods", namespace)

    def pod(self, name: str = "p") -> Json:
        found = self.api.get("pods", "default", name)
        assert found is not None, f"there is no pod {name}"
        return found

    def one(self, resource: str, name: str, namespace: str = "default") -> Json:
        found = self.api.get(resource, namespace, name)
        assert found is not None, f"there is no {resource} {name}"
        return found

    def create_pod(self, name: str = "p", spec: Json | None = None, **meta: object) -> Json:
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **meta}}
        return self.api.create("pods", "default", {**body, "spec": spec or pod_spec()})

    def create_apps(self, kind: str, name: str, spec: Json) -> Json:
        body = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}}
        resource = f"{kind.lower()}s.apps"
        spec = {"selector": {"matchLabels": APP}, "template": template(), **spec}
        return self.api.create(resource, "default", {**body, "spec": spec})

    def set_image(self, image: str, pod: str = "p", index: int = 0) -> None:
        containers = [dict(c) for c in self.pod(pod)["spec"]["containers"]]
        containers[index]["image"] = image
        self.api.patch("pods", "default", pod, {"spec": {"containers": containers}})

    def patch(self, resource: str, name: str, patch: Json, subresource: str = "") -> Json:
        return self.api.patch(resource, "default", name, patch, subresource)

    def delete(
        self, resource: str, name: str, namespace: str = "default", options: DeleteOptions | None = None
    ) -> None:
        self.api.delete(resource, namespace, name, options or DeleteOptions())

    def condition(self, obj: Json, kind: str) -> Json:
        found = find_condition(obj["status"], kind)
        assert found is not None, f"no condition {kind}"
        return found

    def until_ready(self, *names: str) -> None:
        self.timeline.run_until(lambda: all(is_ready(self.pod(name)) for name in names))

    def events(self, reason: str | None = None) -> list[Json]:
        return [e for e in self.api.list("events") if reason is None or e["reason"] == reason]


def record(api: ApiServer, resource: str, commits: list[tuple[str, StoreEvent]]) -> None:
    api.subscribe(resource, lambda event: commits.append((resource, event)))


def build_world(
    nodes: int = 2, options: ClusterOptions | None = None, seed: int = 1, **capacity: str
) -> World:
    timeline = VirtualTimeline()
    entropy = SeededEntropy(seed)
    api = ApiServer(timeline, entropy)
    commits: list[tuple[str, StoreEvent]] = []
    for kind in BUILT_IN:
        record(api, kind.resource, commits)
    cluster = SimCluster(api, timeline, entropy, options)
    for number in range(nodes):
        cluster.add_node(f"node-{number}", {"topology.kubernetes.io/zone": f"z{number % 2}"}, capacity)
    cluster.start()
    timeline.settle()
    return World(timeline, api, cluster, commits)
