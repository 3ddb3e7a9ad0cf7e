"""Online Boutique, whole: imported, released to a next version, then to a bad one and rolled back.

Twelve applications that no one here wrote. Every step is a command that a person could type. With
`--kubeconfig` the same is done on an existing cluster on which the controller runs.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
CAFE = str(Path(sys.executable).with_name("cafe"))
MANIFEST = ROOT / "samples/online-boutique.yaml"
NEXT, BAD = "v0.10.7", "missing"
FRONT = "frontend"
"""The application with several pods: its release has groups behind Beta."""
PATIENCE = "3m"


class Shop:
    """The shop, and who releases it."""

    def __init__(self, kubeconfig: str) -> None:
        self.environment = {**os.environ, **({"KUBECONFIG": kubeconfig} if kubeconfig else {})}
        self.images: dict[str, str] = {}
        for document in yaml.safe_load_all(MANIFEST.read_text()):
            if document["kind"] == "Deployment":
                container = document["spec"]["template"]["spec"]["containers"][0]
                self.images[document["metadata"]["name"]] = container["image"]

    def run(self, *words: str, wants: int = 0) -> str:
        """Give a command; return what it printed."""
        done = subprocess.run(
            [CAFE, *words], env=self.environment, check=False, text=True, capture_output=True
        )
        if done.returncode != wants:
            print(done.stdout + done.stderr, flush=True)
            raise SystemExit(f"error: cafe {' '.join(words)} ended with {done.returncode}")
        return done.stdout

    def read(self, *words: str) -> Any:  # noqa: ANN401 -- a document
        """Ask for a document."""
        return json.loads(self.run(*words, "-o", "json"))

    def each(self, *words: str) -> None:
        """Give a command for each application, two at a time; NAME stands for the application."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda app: self.run(*(app if w == "NAME" else w for w in words)), self.images))

    def complete(self) -> None:
        """Wait until each application is released whole."""
        self.each("app", "wait", "NAME", "--for", "complete", "--timeout", PATIENCE)

    def release(self, tag: str) -> None:
        """Release each application's image of that tag; Beta goes ahead, and a person is asked."""

        def one(app: str) -> None:
            image = f"{self.images[app].rpartition(':')[0]}:{tag}"
            self.run("app", "release", app, "--image", image, "--need-confirm", "--cause", tag, "--yes")

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(one, self.images))

    def confirm(self, app: str) -> None:
        """Confirm the group that waits."""
        self.run("app", "wait", app, "--for", "confirm", "--timeout", PATIENCE)
        waiting = self.read("app", "get", app)["status"]["waiting"]
        group = "beta" if waiting["group"] == 0 else str(waiting["group"])
        self.run("app", "confirm", app, "--group", group, "--plan", waiting["planHash"], "--yes")

    def pods(self) -> dict[str, tuple[str, str, str]]:
        """Return UID, node and image of each pod that stays."""
        found: dict[str, tuple[str, str, str]] = {}
        for app in self.images:
            for pod in self.read("app", "pods", app)["items"]:
                if "deletionTimestamp" not in pod["metadata"]:
                    container = pod["spec"]["containers"][0]
                    place = (pod["metadata"]["uid"], pod["spec"]["nodeName"], container["image"])
                    found[pod["metadata"]["name"]] = place
        return found


def check(promise: str, *, kept: bool) -> None:
    """Hold a promise against the cluster."""
    print(f"  {'✓' if kept else '✗'} {promise}", flush=True)
    if not kept:
        raise SystemExit(f"error: a promise was broken: {promise}")


def tags(pods: dict[str, tuple[str, str, str]]) -> set[str]:
    """Return the tags that run."""
    return {image.rpartition(":")[2] for _, _, image in pods.values()}


def places(pods: dict[str, tuple[str, str, str]]) -> set[tuple[str, str]]:
    """Return who is where, whatever the image."""
    return {(uid, node) for uid, node, _ in pods.values()}


def bad_pods(shop: Shop) -> dict[str, str]:
    """Wait until each application's release has stopped at its first pods; return what each says."""
    said: dict[str, str] = {}
    for app in shop.images:
        for _ in range(200):
            waiting = json.dumps(shop.read("app", "get", app)["status"].get("waiting") or {})
            if "ImagePull" in waiting or "ErrImage" in waiting:
                said[app] = waiting
                break
    return said


def story(shop: Shop) -> None:
    """Import, release, release a bad image, roll back."""
    options = ("--cells", "cell-a,cell-b", "--replicas", f"{FRONT}=6", "--batch-size", "2")
    print("Import Online Boutique", flush=True)
    shop.run("import", "-f", str(MANIFEST), *options)
    shop.complete()
    before = shop.pods()
    check("12 applications were imported whole", kept=len(shop.images) == 12 and len(before) == 17)

    print(f"Release {NEXT} of all of them", flush=True)
    shop.release(NEXT)
    for _ in range(2):
        shop.confirm(FRONT)
    shop.complete()
    after = shop.pods()
    check("all pods run the next version", kept=tags(after) == {NEXT})
    check("no pod moved", kept=places(after) == places(before))
    groups = ["+".join(map(str, group["units"].values())) for group in plan_of(shop)["groups"]]
    check("the frontend was released 1+1, 1+1, 1+1", kept=groups == ["1+1", "1+1", "1+1"])

    print("Release an image that doesn't exist, of all of them", flush=True)
    shop.release(BAD)
    said = bad_pods(shop)
    check("each release says that its image can't be pulled", kept=said.keys() == shop.images.keys())
    stopped = shop.pods()
    spared = [image for _, _, image in stopped.values() if image.endswith(f":{NEXT}")]
    check("4 pods of the frontend were not touched", kept=len(spared) == 4)

    print("Roll all of them back", flush=True)
    for app in shop.images:
        good = next(
            item["revision"]
            for item in shop.read("app", "history", app)["items"]
            if any(image.endswith(f":{NEXT}") for image in item["images"])
        )
        shop.run("app", "release", app, "--to-revision", str(good), "--no-need-confirm", "--yes")
    shop.complete()
    back = shop.pods()
    check("all pods run the good version again", kept=tags(back) == {NEXT})
    check("no pod moved", kept=places(back) == places(before))


def plan_of(shop: Shop) -> Any:  # noqa: ANN401 -- a plan
    """Return the plan of the frontend's last release."""
    return shop.read("app", "get", FRONT)["status"]["plan"]


def main() -> None:
    """Run the whole story."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", default="", help="an existing cluster on which the controller runs")
    options = parser.parse_args()
    shop = Shop(options.kubeconfig)
    if not options.kubeconfig:
        shop.run("up", "--background")
    try:
        story(shop)
    finally:
        if not options.kubeconfig:
            shop.run("down")


if __name__ == "__main__":
    main()
