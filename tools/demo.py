"""CAFE's main job, as an engineer would do it: Bookinfo goes out in groups, and a bad image comes back.

Every step is a command that a person could type; it is printed before it runs. What CAFE promises is checked
against the cluster after each release, and the demo fails if a promise is broken. With `--kubeconfig` the
same is done on an existing cluster on which the controller runs.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
CAFE = str(Path(sys.executable).with_name("cafe"))
APP = "productpage-v1"


class Place(NamedTuple):
    """What must not change while a pod is updated in place."""

    uid: str
    ip: str
    node: str


class Demo:
    """One run: the options, and the commands it gives."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.images: list[str] = options.images
        self.bad: str = options.bad_image
        self.manifest: str = options.manifest
        self.container: str = options.container
        self.started = time.perf_counter()
        self.environment = dict(os.environ)
        if options.kubeconfig:
            self.environment["KUBECONFIG"] = options.kubeconfig
        self.is_embedded = not options.kubeconfig

    def say(self, sentence: str) -> None:
        """Head a chapter."""
        print(f"\n\033[1m── {sentence}\033[0m" if sys.stdout.isatty() else f"\n== {sentence}", flush=True)

    def run(self, *words: str) -> None:
        """Give one command as a person would, and show it and what it prints."""
        print(f"$ cafe {' '.join(words)}", flush=True)
        done = subprocess.run([CAFE, *words], env=self.environment, check=False)
        if done.returncode:
            raise SystemExit(f"error: cafe {words[0]} ended with {done.returncode}")

    def read(self, *words: str) -> dict[str, Any]:
        """Ask for a document, without showing it."""
        done = subprocess.run(
            [CAFE, *words, "-o", "json"], env=self.environment, check=True, stdout=subprocess.PIPE
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def app(self) -> dict[str, Any]:
        """Read the application."""
        return self.read("app", "get", APP)

    def places(self) -> dict[str, Place]:
        """Return where each pod of the application is."""
        pods = self.read("app", "pods", APP)["items"]
        return {
            p["metadata"]["name"]: Place(p["metadata"]["uid"], p["status"]["podIP"], p["spec"]["nodeName"])
            for p in pods
        }

    def images_by_pod(self) -> dict[str, str]:
        """Return which image each pod asks for."""
        pods = self.read("app", "pods", APP)["items"]
        return {p["metadata"]["name"]: p["spec"]["containers"][0]["image"] for p in pods}

    def confirm(self) -> None:
        """Confirm the group that waits, as the status names it."""
        waiting = self.app()["status"]["waiting"]
        group = "beta" if waiting["group"] == 0 else str(waiting["group"])
        self.run("app", "confirm", APP, "--group", group, "--plan", waiting["planHash"], "--yes")

    def check(self, promise: str, *, kept: bool) -> None:
        """Hold a promise against the cluster."""
        print(f"  {'✓' if kept else '✗'} {promise}", flush=True)
        if not kept:
            raise SystemExit(f"error: a promise was broken: {promise}")


def first_deployment(demo: Demo) -> None:
    """Import the application and have it run."""
    demo.say("Import Bookinfo: each Deployment becomes a CafeDeployment, an InPlaceSet per cell")
    cells = ("--cells", "cell-a,cell-b", "--replicas", f"{APP}=10", "--batch-size", "4")
    demo.run("import", "-f", demo.manifest, *cells)
    demo.run("app", "wait", APP, "--for", "complete", "--timeout", "90s")
    demo.run("app", "list")


def good_release(demo: Demo) -> None:
    """Release an image group by group, and see that no pod moved."""
    before = demo.places()
    demo.say("Release the next image: Beta first, then groups of 4 over both cells, each confirmed")
    image = f"{demo.container}={demo.images[0]}"
    demo.run("app", "release", APP, "--image", image, "--need-confirm", "--yes")
    for number, expected in enumerate(("1+1", "2+2"), start=1):
        demo.run("app", "wait", APP, "--for", "confirm", "--timeout", "60s")
        demo.run("app", "get", APP)
        shape = "+".join(str(u["updatedAvailable"]) for u in demo.app()["status"]["units"])
        demo.check(
            f"stop {number}: {shape} pods updated, the rest untouched",
            kept=shape == {"1+1": "1+1", "2+2": "3+3"}[expected],
        )
        demo.confirm()
    demo.run("app", "wait", APP, "--for", "complete", "--timeout", "60s")
    demo.run("app", "get", APP)
    groups = ["+".join(str(n) for n in g["units"].values()) for g in demo.app()["status"]["plan"]["groups"]]
    demo.check(f"the groups were {', '.join(groups)}", kept=groups == ["1+1", "2+2", "2+2"])
    demo.check("all 10 pods run the new image", kept=set(demo.images_by_pod().values()) == {demo.images[0]})
    demo.check("no pod changed its name, UID, IP or node", kept=demo.places() == before)


def bad_release(demo: Demo) -> None:
    """Release an image that cannot be pulled, see it stop in Beta, and go back."""
    before = demo.places()
    demo.say("Release an image that doesn't exist: it stops in Beta")
    demo.run("app", "release", APP, "--image", f"{demo.container}={demo.bad}", "--yes")
    wait_until(lambda: "ImagePull" in json.dumps(demo.app()["status"].get("waiting")), "the pull to fail")
    demo.run("app", "get", APP)
    images = list(demo.images_by_pod().values())
    demo.check(
        "2 pods got the bad image, 8 were not touched",
        kept=(images.count(demo.bad), images.count(demo.images[0])) == (2, 8),
    )
    demo.say("The way back, as it was printed")
    history = demo.read("app", "history", APP)["items"]
    good = next(r["revision"] for r in history if demo.images[0] in r["images"])
    demo.run("app", "release", APP, "--to-revision", str(good), "--no-need-confirm", "--yes")
    demo.run("app", "wait", APP, "--for", "complete", "--timeout", "60s")
    demo.run("app", "get", APP)
    demo.check("all 10 pods run the good image", kept=set(demo.images_by_pod().values()) == {demo.images[0]})
    demo.check("no pod changed its name, UID, IP or node", kept=demo.places() == before)


def wait_until(holds: Any, what: str) -> None:  # noqa: ANN401 -- any callable
    """Poll the cluster until *holds*; give up after a minute."""
    deadline = time.perf_counter() + 60
    while not holds():
        if time.perf_counter() > deadline:
            raise SystemExit(f"error: waited a minute for {what}")


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    registry = "docker.io/istio/examples-bookinfo-productpage-v1"
    parser.add_argument("--kubeconfig", help="an existing cluster on which the controller runs")
    parser.add_argument("--manifest", default=str(ROOT / "samples/bookinfo.yaml"))
    parser.add_argument("--container", default="productpage")
    parser.add_argument("--images", nargs="+", default=[f"{registry}:1.20.2"])
    parser.add_argument("--bad-image", default=f"{registry}:missing")
    return parser.parse_args()


def main() -> None:
    """Run the whole story."""
    demo = Demo(options())
    if demo.is_embedded:
        demo.say("Start a cluster of two cells in this machine, with the CAFE controller")
        demo.run("up", "--background")
    try:
        first_deployment(demo)
        good_release(demo)
        bad_release(demo)
        print(f"\nDone in {time.perf_counter() - demo.started:.0f} s. Every promise was kept.")
    finally:
        if demo.is_embedded:
            demo.run("down")


if __name__ == "__main__":
    main()
