"""The demo is a promise: it runs, and it holds each promise against the cluster itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import need

ROOT = Path(__file__).parents[2]

KEPT = [
    "✓ stop 1: 1+1 pods updated, the rest untouched",
    "✓ stop 2: 3+3 pods updated, the rest untouched",
    "✓ the groups were 1+1, 2+2, 2+2",
    "✓ all 10 pods run the new image",
    "✓ no pod changed its name, UID, IP or node",
    "✓ 2 pods got the bad image, 8 were not touched",
    "✓ all 10 pods run the good image",
    "✓ no pod changed its name, UID, IP or node",
]


SHOP_KEPT = [
    "✓ 12 applications were imported whole",
    "✓ all pods run the next version",
    "✓ no pod moved",
    "✓ the frontend was released 1+1, 1+1, 1+1",
    "✓ each release says that its image can't be pulled",
    "✓ 4 pods of the frontend were not touched",
    "✓ all pods run the good version again",
    "✓ no pod moved",
]


def run(program: str, home: Path, *options: str) -> list[str]:
    """Run a demo and return the promises that it saw kept."""
    environment = {k: v for k, v in os.environ.items() if k != "KUBECONFIG"}
    done = subprocess.run(
        [sys.executable, program, *options],
        cwd=ROOT,
        env=environment | {"CAFE_HOME": str(home), "PYTHONPATH": str(ROOT)},
        check=False,
        text=True,
        capture_output=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return [line.strip() for line in done.stdout.splitlines() if line.startswith("  ✓")]


@pytest.mark.slow
def test_the_demo_releases_bookinfo_in_groups_and_comes_back_from_a_bad_image(tmp_path: Path) -> None:
    assert run("tools/demo.py", tmp_path) == KEPT


@pytest.mark.real
def test_real_kubelets_keep_the_same_promises(tmp_path: Path) -> None:
    need(real_nodes=True)
    assert run("tools/demo_real.py", tmp_path) == KEPT


@pytest.mark.slow
def test_twelve_applications_of_somebody_elses_are_imported_released_and_rolled_back(tmp_path: Path) -> None:
    assert run("tools/demo_shop.py", tmp_path) == SHOP_KEPT


@pytest.mark.real
def test_real_kubelets_run_somebody_elses_applications_through_the_same_releases(tmp_path: Path) -> None:
    need(real_nodes=True)
    assert run("tools/demo_real.py", tmp_path, "--shop") == SHOP_KEPT
