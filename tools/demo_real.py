"""The demo on a real Kubernetes: the testbed's control plane, two kubelets, real containers.

    tools/demo_real.py [--shop]

Needs Go, and root for the nodes. The images carry the names of Bookinfo, or with `--shop` of Online Boutique,
and are built by the testbed itself, since nodes ask no registry.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from testbed import Image, Lacking, control_plane, real_nodes
from testbed.images import images_in
from tools import demo_shop

ROOT = Path(__file__).parents[1]
REGISTRY = "docker.io/istio/examples-bookinfo"
IMAGES = (
    *(f"{REGISTRY}-{name}-v1:1.20.1" for name in ("details", "ratings", "reviews", "productpage")),
    *(f"{REGISTRY}-reviews-{version}:1.20.1" for version in ("v2", "v3")),
    f"{REGISTRY}-productpage-v1:1.20.2",
)


def shop_images() -> list[Image]:
    """Return the images of the shop, as released first and next."""
    now = images_in(demo_shop.MANIFEST)
    others = [
        Image.of(f"{image.tag.rpartition(':')[0]}:{demo_shop.NEXT}", ports=image.ports) for image in now
    ]
    return [*now, *others]


def main() -> int:
    """Start everything, run the demo against it, take everything away."""
    is_shop = "--shop" in sys.argv[1:]
    program = "tools/demo_shop.py" if is_shop else "tools/demo.py"
    images = shop_images() if is_shop else [Image.of(name) for name in IMAGES]
    try:
        with (
            tempfile.TemporaryDirectory() as home,
            control_plane() as plane,
            real_nodes(plane, images=images),
        ):
            environment = {**os.environ, "CAFE_HOME": home, "KUBECONFIG": str(plane.kubeconfig)}
            cafe = str(Path(sys.executable).with_name("cafe"))
            up = [cafe, "up", "--background", "--kubeconfig", str(plane.kubeconfig)]
            print(f"$ cafe {' '.join(up[1:])}", flush=True)
            subprocess.run(up, env=environment, check=True)
            try:
                demo = [sys.executable, str(ROOT / program), "--kubeconfig", str(plane.kubeconfig)]
                return subprocess.run(demo, env=environment, check=False).returncode
            finally:
                subprocess.run([cafe, "down"], env=environment, check=False)
    except Lacking as lacking:
        print(f"error: no real nodes can be started here.\nwhy: {lacking}\ndo: make demo", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
