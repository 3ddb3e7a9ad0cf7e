"""What people do: a release manager with a plan, an operator who confirms; and what they want in the end.

`Wishes` is what the oracle holds the world against: what the people last asked for, known without looking at
anything that the controllers wrote.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cafe.api.names import CONFIRM_ANNOTATION, SPECIFIED_DELETE_LABEL
from cafe_sim.contract import ApiError, DeleteOptions, Json
from cafe_sim.harness.carriers import install
from cafe_sim.harness.demands import DEMANDS, clear
from cafe_sim.harness.names import APP, APPS, PODS, SPACE
from cafe_sim.harness.plan import Shape

if TYPE_CHECKING:
    from cafe_sim.harness.world import World

MANAGER, OPERATOR = "release manager", "operator"
BROKEN = ("web:missing", "web:crash", "web:unready")
"""Images that never serve: not to be pulled, ending at once, never ready."""
AGAIN = "-again"
MOVING = {"enable": True, "initialDelaySeconds": 30, "retrySeconds": 60}
"""How pods that find no room are moved, if they are."""
SAME_CONTENT = {f"web:{number}{AGAIN}": f"web:{number}" for number in range(1, 20)}
"""Tags of one content: what a build pipeline makes when nothing but the commit changed."""


@dataclass
class Wishes:
    """What people want of the application.

    Attributes:
        image: Of its only container.
        written: Pods in all, as the manifest has it.
        bounds: The fewest and the most pods that an autoscaler keeps; None without one.
        environment: Value of its one variable: a change of it can't be made in place.
        note: Value of an annotation of its template: a change of it needs no restart.
        cpu: Thousandths of a CPU that each pod asks for; 0 for none.
        good: The last image that can serve.
        fitting: The last amount of CPU for which nodes have room.
    """

    image: str = "web:1"
    written: int = 0
    bounds: tuple[int, int] | None = None
    environment: str = "1"
    note: str = "1"
    cpu: int = 0
    good: str = "web:1"
    fitting: int = 0
    paused: bool = False
    batch: int = 1
    confirm: bool = False
    releases: int = field(default=1)

    @property
    def replicas(self) -> int:
        """Return how many pods there are to be in the end."""
        least, most = self.bounds or (self.written, self.written)
        return max(least, min(most, self.written))


def template_of(wishes: Wishes, shape: Shape) -> Json:
    """Return the pod template that is wished for."""
    container: Json = {
        "name": "app",
        "image": wishes.image,
        "env": [{"name": "SETTING", "value": wishes.environment}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 2, "failureThreshold": 1},
    }
    if wishes.cpu:
        container["resources"] = {"requests": {"cpu": f"{wishes.cpu}m"}}
        if shape.cold:
            container["resizePolicy"] = [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    meta = {"labels": {"app": APP}, "annotations": {"note": wishes.note}}
    return {"metadata": meta, "spec": spec}


def app_of(wishes: Wishes, shape: Shape, cells: list[str]) -> Json:
    """Return the application as its manifest has it."""
    strategy = {
        "upgradeType": "Beta" if shape.beta else "Batch",
        "batchSize": wishes.batch,
        "maxUnavailable": shape.unavailable,
        "needWaitingForConfirm": wishes.confirm,
        "gracePeriodSeconds": shape.grace,
        "minReadySeconds": shape.dwell,
        "podUpgradePolicy": shape.policy,
        "pause": wishes.paused,
        "maxSurge": shape.surge,
        "failureTolerance": shape.tolerance,
    }
    return {
        "apiVersion": "apps.cafe.sofastack.io/v1alpha1",
        "kind": "CafeDeployment",
        "metadata": {"name": APP, "namespace": SPACE},
        "spec": {
            "replicas": wishes.written,
            "podSetType": shape.kind,
            "selector": {"matchLabels": {"app": APP}},
            "topology": {
                "unitType": "Cell",
                "values": cells,
                "autoReschedule": MOVING if shape.moves else {},
            },
            "strategy": strategy,
            "template": template_of(wishes, shape),
        },
    }


class Manager:
    """Carries out the plan's steps."""

    def __init__(self, world: "World", wishes: Wishes) -> None:
        self._world = world
        self.wishes = wishes
        shape = world.plan.shape
        wishes.written, wishes.batch, wishes.confirm = shape.replicas, shape.batch, shape.confirm
        wishes.cpu = wishes.fitting = shape.cpu

    @property
    def world(self) -> "World":
        """Return where she works."""
        return self._world

    def come_to_an_end(self) -> None:
        """Want what can be had, once nothing fails any more: what serves, what fits, what is written."""
        wishes = self.wishes
        clear(self._world)
        if (wishes.image, wishes.cpu) != (wishes.good, wishes.fitting):
            self.do("go back", {})
        if wishes.paused:
            self.do("resume", {})
        elif wishes.bounds is not None:
            # An autoscaler whose bounds changed in haste has kept what its last bounds made of the number.
            self.submit()

    def do(self, name: str, args: dict[str, Any]) -> None:
        """Do one thing; what the API refuses stays undone."""
        self._world.tell(MANAGER, f"{name} {args}" if args else name)
        try:
            self._world.act(MANAGER, lambda: ACTIONS[name](self, args))
        except ApiError as error:
            self._world.tell(MANAGER, f"is refused: {error.message}")

    def submit(self) -> None:
        """Write what is wished for, whole, as `kubectl apply` of a manifest does."""
        world = self._world
        body = app_of(self.wishes, world.plan.shape, list(world.cells))
        if world.app() is None:
            world.server.create(APPS, SPACE, body)
        else:
            world.server.patch(APPS, SPACE, APP, {"spec": body["spec"]})

    def image(self, image: str) -> None:
        """Ask for an image, and remember whether it is one that can serve."""
        self.wishes.image = image
        if image not in BROKEN:
            self.wishes.good = image
        self.submit()

    def _deploy(self, _: dict[str, Any]) -> None:
        if self._world.app() is None:
            install(self._world)
        self.submit()

    def _release(self, _: dict[str, Any]) -> None:
        self.wishes.releases += 1
        self.image(f"web:{self.wishes.releases}")

    def _retag(self, _: dict[str, Any]) -> None:
        """Release the same content under another tag."""
        self.image(f"web:{self.wishes.releases}{'' if self.wishes.image.endswith(AGAIN) else AGAIN}")

    def _break(self, args: dict[str, Any]) -> None:
        self.image(BROKEN[args["which"]])

    def _go_back(self, _: dict[str, Any]) -> None:
        self.wishes.cpu = self.wishes.fitting
        self.image(self.wishes.good)

    def _scale(self, args: dict[str, Any]) -> None:
        self.wishes.written = args["replicas"]
        self.submit()

    def _pause(self, _: dict[str, Any]) -> None:
        self.wishes.paused = True
        self.submit()

    def _resume(self, _: dict[str, Any]) -> None:
        self.wishes.paused = False
        self.submit()

    def _rebatch(self, args: dict[str, Any]) -> None:
        self.wishes.batch = args["batch"]
        self.submit()

    def _annotate(self, _: dict[str, Any]) -> None:
        self.wishes.note = str(int(self.wishes.note) + 1)
        self.submit()

    def _set_environment(self, _: dict[str, Any]) -> None:
        if self._world.plan.shape.policy != "InPlaceOnly":
            self.wishes.environment = str(int(self.wishes.environment) + 1)
            self.submit()

    def _delete_pod(self, args: dict[str, Any]) -> None:
        pods = self._world.pods()
        if pods:
            name = pods[args["which"] % len(pods)]["metadata"]["name"]
            self._world.server.delete(PODS, SPACE, name, DeleteOptions())

    def _replace_pod(self, args: dict[str, Any]) -> None:
        pods = self._world.pods()
        if pods:
            name = pods[args["which"] % len(pods)]["metadata"]["name"]
            body = {"metadata": {"labels": {SPECIFIED_DELETE_LABEL: "true"}}}
            self._world.server.patch(PODS, SPACE, name, body)


ACTIONS: dict[str, Callable[[Manager, dict[str, Any]], None]] = {
    "deploy": Manager._deploy,  # noqa: SLF001 -- the table of its own methods
    "release": Manager._release,  # noqa: SLF001 -- as above
    "retag": Manager._retag,  # noqa: SLF001 -- as above
    "break": Manager._break,  # noqa: SLF001 -- as above
    "go back": Manager._go_back,  # noqa: SLF001 -- as above
    "scale": Manager._scale,  # noqa: SLF001 -- as above
    "pause": Manager._pause,  # noqa: SLF001 -- as above
    "resume": Manager._resume,  # noqa: SLF001 -- as above
    "rebatch": Manager._rebatch,  # noqa: SLF001 -- as above
    "annotate": Manager._annotate,  # noqa: SLF001 -- as above
    "set environment": Manager._set_environment,  # noqa: SLF001 -- as above
    "delete pod": Manager._delete_pod,  # noqa: SLF001 -- as above
    "replace pod": Manager._replace_pod,  # noqa: SLF001 -- as above
    **DEMANDS,
}
"""What a release manager can do. Each leaves `Wishes` as they are then."""


class Operator:
    """Looks at each group that waits, and confirms it once she has made up her mind."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._seen: tuple[int, str] | None = None

    def look(self) -> None:
        """Look at the status, as it is stored; plan to answer what waits."""
        app = self._world.app()
        waiting = ((app or {}).get("status") or {}).get("waiting") or {}
        if app is None or waiting.get("reason") != "WaitingForConfirm":
            self._seen = None
            return
        asked = (int(waiting.get("group", 0)), str(waiting["planHash"]))
        said = (app["metadata"].get("annotations") or {}).get(CONFIRM_ANNOTATION)
        if self._seen == asked and said != "false":
            return
        if self._seen != asked or said == "false":
            self._seen = asked
            mind = timedelta(seconds=self._world.plan.shape.mind)
            self._world.network.later(mind, lambda: self._answer(asked))

    def _answer(self, asked: tuple[int, str]) -> None:
        if self._seen == asked:
            self.confirm(f"{asked[0]}/{asked[1]}")

    def confirm(self, value: str) -> None:
        """Write a confirmation."""
        self._world.tell(OPERATOR, f"confirms {value}")
        body = {"metadata": {"annotations": {CONFIRM_ANNOTATION: value}}}
        self._world.act(OPERATOR, lambda: self._world.server.patch(APPS, SPACE, APP, body))
