"""The demo on a real Kubernetes: the testbed's control plane, two kubelets, real containers.

Needs Go, and root for the nodes. The images carry Bookinfo's names and are built by the testbed itself, since
nodes ask no registry.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from testbed import Image, Lacking, control_plane, real_nodes

ROOT = Path(__file__).parents[1]
REGISTRY = "docker.io/istio/examples-bookinfo"
IMAGES = (
    *(f"{REGISTRY}-{name}-v1:1.20.1" for name in ("details", "ratings", "reviews", "productpage")),
    *(f"{REGISTRY}-reviews-{version}:1.20.1" for version in ("v2", "v3")),
    f"{REGISTRY}-productpage-v1:1.20.2",
)


def main() -> int:
    """Start everything, run the demo against it, take everything away."""
    try:
        with (
            tempfile.TemporaryDirectory() as home,
            control_plane() as plane,
            real_nodes(plane, images=[Image.of(name) for name in IMAGES]),
        ):
            environment = {**os.environ, "CAFE_HOME": home, "KUBECONFIG": str(plane.kubeconfig)}
            cafe = str(Path(sys.executable).with_name("cafe"))
            up = [cafe, "up", "--background", "--kubeconfig", str(plane.kubeconfig)]
            print(f"$ cafe {' '.join(up[1:])}", flush=True)
            subprocess.run(up, env=environment, check=True)
            try:
                demo = [sys.executable, str(ROOT / "tools/demo.py"), "--kubeconfig", str(plane.kubeconfig)]
                return subprocess.run(demo, env=environment, check=False).returncode
            finally:
                subprocess.run([cafe, "down"], env=environment, check=False)
    except Lacking as lacking:
        print(f"error: no real nodes can be started here.\nwhy: {lacking}\ndo: make demo", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
