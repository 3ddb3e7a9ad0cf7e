"""``python -m testbed``: a real Kubernetes for a person to try things on."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, NoReturn

import click

from cafe.kernel.clock import SystemClock
from testbed.build import PROGRAMS, build, kubernetes_version, lacking_go
from testbed.controlplane import ControlPlane
from testbed.errors import Lacking, NotStarted
from testbed.fakenodes import FakeNodes
from testbed.images import Image, images_in, write_archive
from testbed.install import install
from testbed.leftovers import sweep
from testbed.metrics import MetricsApi
from testbed.nodes import RealNodes, import_images
from testbed.requirements import requirements
from testbed.runs import ProcessId, base_directory, directories, live_runs, owner, read_note
from testbed.waiting import TooLate, wait_for

ROOT: Final = Path(__file__).parents[1]
STARTS_WITHIN: Final = timedelta(minutes=30)
"""A first start builds Kubernetes."""
STOPS_WITHIN: Final = timedelta(seconds=60)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A real Kubernetes on this machine, thrown away afterwards."""


@main.command()
@click.option("--nodes", type=click.Choice(["real", "fake"]), help="Default: real as root, else fake.")
@click.option("--fake-nodes", type=click.IntRange(0), help="Fake nodes; beside real ones too.")
@click.option("--cells", default="cell-a,cell-b", show_default=True, help="Cells; one real node in each.")
@click.option("--background", is_flag=True, help="Return when it is up; `down` stops it.")
def up(nodes: str | None, fake_nodes: int | None, cells: str, background: bool) -> None:  # noqa: FBT001 -- click
    """Start a cluster and say how to use it; Ctrl-C stops it and removes every trace."""
    nodes = nodes or _choose()
    names = [cell for cell in cells.split(",") if cell]
    count = fake_nodes if fake_nodes is not None else (10 if nodes == "fake" else 0)
    try:
        if nodes == "real" and os.geteuid() == 0:
            install()
        lacking = requirements(real_nodes=nodes == "real")
        if lacking:
            raise Lacking(lacking)  # noqa: TRY301 -- told like what later steps lack
        _build_all()
        if background:
            _detach(nodes, count, cells)
        else:
            _hold(nodes, count, names)
    except (Lacking, NotStarted, TooLate) as problem:
        raise click.ClickException(str(problem)) from problem


@main.command()
@click.argument("names", nargs=-1)
def down(names: Sequence[str]) -> None:
    """Stop what `up` started, all or by NAMES, and clear away what killed runs left."""
    for directory in live_runs():
        note, holder = read_note(directory), owner(directory)
        is_meant = directory.name in names if names else note.get("up", False)
        if not is_meant or holder is None:
            continue
        os.kill(holder.pid, signal.SIGTERM)
        _wait_end(directory.name, holder)
        click.echo(f"stopped {directory.name}")
    for name in sweep():
        click.echo(f"cleared away {name}")


@main.command()
def status() -> None:
    """List what is up on this machine, and what a killed run left."""
    alive = live_runs()
    for directory in directories():
        note, holder = read_note(directory), owner(directory)
        state = (
            "left over: python -m testbed down" if directory not in alive else note.get("says", "starting")
        )
        pid = holder.pid if holder is not None else "-"
        click.echo(f"{directory.name}  process {pid}  KUBECONFIG={note.get('kubeconfig', '-')}  {state}")
    if not directories():
        click.echo("nothing is up; start it: make testbed")


@main.command("build")
def build_all() -> None:
    """Build the programs; minutes the first time, then nothing until their sources change."""
    for path in _build_all():
        click.echo(path)


@main.command("install")
def install_all() -> None:
    """Install what real nodes need (Debian, as root)."""
    try:
        installed = install()
    except (Lacking, NotStarted) as problem:
        raise click.ClickException(str(problem)) from problem
    click.echo(f"installed {', '.join(installed)}" if installed else "nothing is lacking")


@main.command()
def prepare() -> None:
    """Install and build what this machine allows, so that tests find all they can.

    What is still lacking is told, and is no error: the tests that need it say so by name.
    """
    with contextlib.suppress(Lacking):  # Not root or not Debian: told below with all the rest.
        install()
    lacking = requirements(real_nodes=True)
    for name in lacking:
        click.echo(f"lacking for tests on a real Kubernetes: {name}", err=True)
    if not lacking_go():
        _build_all()


@main.command()
@click.option("-f", "manifests", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("references", nargs=-1)
def load(manifests: Sequence[Path], references: Sequence[str]) -> None:
    """Give the running real nodes test images called REFERENCES, or all that manifests (-f) name.

    NAME:TAG=VERSION gives the image the content of another version, so that two tags can be one image.
    """
    images = [image for path in manifests for image in images_in(path)]
    for reference in references:
        name, _, version = reference.partition("=")
        images.append(Image.of(name, version or None))
    sockets = [socket for directory in live_runs() for socket in directory.glob("node-*/containerd.sock")]
    if not sockets:
        raise click.ClickException("no real node is up; start some as root: make testbed")
    with tempfile.TemporaryDirectory() as scratch:
        archive = write_archive(Path(scratch) / "images.tar", images)
        for socket in sockets:
            import_images(socket, archive, images)
    click.echo(f"{len(images)} images on {len(sockets)} nodes")


def _build_all() -> list[Path]:
    try:
        return [build(program) for program in PROGRAMS]
    except (Lacking, NotStarted) as problem:
        raise click.ClickException(str(problem)) from problem


def _wait_end(name: str, holder: ProcessId) -> None:
    wait_for(f"{name} stops", lambda: not holder.is_alive(), STOPS_WITHIN)


def _choose() -> str:
    if os.geteuid() == 0:
        return "real"
    click.echo("not root: fake nodes, which run no containers (real ones: sudo make testbed)", err=True)
    return "fake"


def _hold(nodes: str, count: int, cells: list[str]) -> None:
    """Start, wait for the end that someone asks for, stop."""
    signal.signal(signal.SIGTERM, _interrupt)
    clock = SystemClock()
    began = clock.monotonic()
    plane: ControlPlane | None = None
    try:
        plane = ControlPlane()
        plane.run.note(up=True)
        if nodes == "real":
            RealNodes(plane, cells)
        if count:
            FakeNodes(plane, count, cells)
        MetricsApi(plane)
        real = len(cells) if nodes == "real" else 0
        says = f"Kubernetes {kubernetes_version()}, {real} real and {count} fake nodes in {', '.join(cells)}"
        plane.run.note(says=says)
        click.echo(f"{says}: up after {(clock.monotonic() - began).total_seconds():.1f} s")
        click.echo(how_to_use(plane.kubeconfig, real=real > 0))
        click.echo("Ctrl-C stops it and removes every trace.")
        _watch(plane)
    except KeyboardInterrupt:
        click.echo("stopping")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Stopping takes seconds and ends by itself.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if plane is not None:
            plane.stop()


def _watch(plane: ControlPlane) -> None:
    """Say which program ends by itself, until someone interrupts."""
    told: set[str] = set()
    rest = threading.Event()
    while not rest.wait(1):
        for name, child in plane.children.items():
            if not child.is_running() and name not in told:
                told.add(name)
                click.echo(f"{name} ended by itself:\n{child.log_end()}", err=True)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _detach(nodes: str, count: int, cells: str) -> None:
    """Run `up` in a process of its own and return when it is up."""
    log = base_directory() / "background.log"
    arguments = ["up", f"--nodes={nodes}", f"--fake-nodes={count}", f"--cells={cells}"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "testbed", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def is_up() -> Path | None:
        if process.poll() is not None:
            raise NotStarted(log.read_text().strip())
        mine = [d for d in live_runs() if (o := owner(d)) is not None and o.pid == process.pid]
        return mine[0] if mine and "says" in read_note(mine[0]) else None

    directory = wait_for("the testbed is up", is_up, STARTS_WITHIN)
    click.echo(f"{read_note(directory)['says']}: up, process {process.pid}")
    click.echo(how_to_use(directory / "kubeconfig", real=nodes == "real"))
    click.echo("`python -m testbed down` stops it and removes every trace.")
    process.returncode = 0  # It goes on without us; there is nothing to warn about.


def how_to_use(kubeconfig: Path, *, real: bool) -> str:
    """Return the commands that a person wants next."""
    image = "cafe.test/bookinfo/productpage:v1"
    lines = [
        f"  export KUBECONFIG={kubeconfig}",
        "  .venv/bin/kubectl get nodes -L cafe.sofastack.io/cell",
        f"  .venv/bin/kubectl create deployment productpage --image={image} --replicas=4",
    ]
    if real:
        lines += [
            "  .venv/bin/kubectl logs deployment/productpage",
            "  .venv/bin/python -m testbed load -f samples/bookinfo.yaml   # test images by those names",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main(prog_name="python -m testbed")
