"""Building the Go programs, each once per content of its sources.

A cold build of Kubernetes takes minutes (about 2,650 packages), so progress is shown and the result
is kept outside the work tree, under the hash of what it was built from. A program of somebody else needs
no source here: its module is required by one of ours, whose go.mod and go.sum say all there is to say.
"""

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from cafe.kernel.clock import SystemClock
from testbed.errors import Lacking, NotStarted

HERE: Final = Path(__file__).parent
KEPT_BUILDS: Final = 3
SAY_EVERY: Final = timedelta(seconds=10)
"""How often progress is said where it can't be shown in place."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Program:
    """One Go program of the testbed.

    Attributes:
        name: Name of the binary.
        module: Directory of its Go module.
        package: Its main package as `go build` takes it: `./` and its directory, or an import path.
        is_kubernetes: Whether it calls itself by Kubernetes' version.
    """

    name: str
    module: Path
    package: str
    is_kubernetes: bool = True

    def sources(self) -> list[Path]:
        """Return the files that decide what the binary is."""
        directory = self.module / self.package
        files = [self.module / "go.mod", self.module / "go.sum", *directory.glob("*.go")]
        return sorted(file for file in files if file.exists())


KUBE: Final = Program("kube", HERE / "kube", ".")
FAKE_NODES: Final = Program("fakenodes", HERE / "kube", "./fakenodes")
APP: Final = Program("app", HERE / "app", ".")
KRUISE: Final = Program("kruise", HERE / "kruise", "github.com/openkruise/kruise", is_kubernetes=False)
PROGRAMS: Final = (APP, FAKE_NODES, KUBE)
"""What every testbed needs; the others are built when they are asked for."""


def kubernetes_version() -> str:
    """Return the version of Kubernetes that the module asks for, such as "v1.36.3"."""
    return _required(KUBE, "k8s.io/kubernetes")


def kruise_version() -> str:
    """Return the version of OpenKruise that the module asks for, such as "v1.8.0"."""
    return _required(KRUISE, KRUISE.package)


def _required(program: Program, module: str) -> str:
    found = re.search(rf"{re.escape(module)} (v\S+)", (program.module / "go.mod").read_text())
    if found is None:
        raise ValueError(f"{program.module}/go.mod does not require {module}")
    return found[1]


def cache_directory() -> Path:
    """Return where binaries are kept: $CAFE_CACHE/testbed, by default ~/.cache/cafe/testbed."""
    cache = os.environ.get("CAFE_CACHE") or Path.home() / ".cache" / "cafe"
    return Path(cache) / "testbed"


def binary(program: Program) -> Path:
    """Return where the binary of the present sources is or will be."""
    digest = hashlib.sha256(" ".join(_flags(program)).encode() + platform.machine().encode())
    for source in program.sources():
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return cache_directory() / f"{program.name}-{digest.hexdigest()[:16]}" / program.name


def is_built(program: Program) -> bool:
    """Tell whether the present sources are built."""
    return binary(program).exists()


def lacking_go(programs: Sequence[Program] = PROGRAMS) -> list[str]:
    """Return what is lacking to build: nothing if everything is built or Go is new enough."""
    if all(is_built(program) for program in programs):
        return []
    wanted = max(_wanted_go(program) for program in programs)
    names = ", ".join(program.name for program in programs)
    name = f"Go {wanted[0]}.{wanted[1]} or newer, to build {names} (https://go.dev/dl)"
    go = shutil.which("go")
    if go is None:
        return [name]
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"go(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < wanted:
        return [f"{name}; {go} is {said.strip() or 'broken'}"]
    return []


def build(program: Program, say: Say | None = None) -> Path:
    """Return the program's binary, built if the present sources are not built yet.

    Several processes may ask at once: one builds, the others wait for it.

    Args:
        program: What to build.
        say: Takes a line of progress; by default it goes to standard error.

    Raises:
        Lacking: Go is missing or too old.
        NotStarted: It does not compile; with what the compiler said.
    """
    target = binary(program)
    if target.exists():
        return target
    lacking = lacking_go((program,))
    if lacking:
        raise Lacking(lacking)
    with _lock(program.name):
        if not target.exists():
            _compile(program, target, say or _Line())
            _forget_old(program)
    return target


@contextlib.contextmanager
def _lock(name: str) -> Iterator[None]:
    cache_directory().mkdir(parents=True, exist_ok=True)
    with (cache_directory() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _compile(program: Program, target: Path, say: Say) -> None:
    say(f"building {program.name}")
    environment = {**os.environ, "CGO_ENABLED": "0"}
    total = _count_packages(program, environment)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}")
    command = ["go", "build", "-v", *_flags(program), "-o", str(partial), program.package]
    clock = SystemClock()
    began, done, said = clock.monotonic(), 0, []
    with subprocess.Popen(
        command, cwd=program.module, env=environment, text=True, stderr=subprocess.PIPE
    ) as compiler:
        for line in compiler.stderr or ():
            if re.fullmatch(r"[\w./~-]+\n", line):  # -v names each package as it is compiled.
                done += 1
                say(f"building {program.name}: {done} of at most {total} packages")
            elif not line.startswith("go: downloading"):
                said.append(line)
    if compiler.returncode:
        partial.unlink(missing_ok=True)
        raise NotStarted(f"{program.name} does not build:\n{''.join(said[-20:])}")
    partial.rename(target)
    say(f"built {program.name} in {(clock.monotonic() - began).total_seconds():.0f} s: {target}\n")


def _count_packages(program: Program, environment: dict[str, str]) -> int:
    listed = subprocess.run(
        ["go", "list", "-deps", program.package],
        cwd=program.module,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        raise NotStarted(f"go list failed in {program.module}:\n{listed.stderr.strip()[-2000:]}")
    return len(listed.stdout.splitlines())


def _flags(program: Program) -> list[str]:
    """Link the version in, or the server calls itself v0.0.0-master+$Format."""
    if not program.is_kubernetes:
        return ["-trimpath", "-ldflags", "-s -w"]
    version = kubernetes_version()
    major, minor = version.removeprefix("v").split(".")[:2]
    facts = {
        "gitVersion": version,
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": "testbed",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    settings = [f"-X {package}.{name}={value}" for package in packages for name, value in facts.items()]
    return ["-trimpath", "-ldflags", " ".join(["-s", "-w", *settings])]


def _wanted_go(program: Program) -> tuple[int, int]:
    found = re.search(r"^go (\d+)\.(\d+)", (program.module / "go.mod").read_text(), re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else (1, 0)


def _forget_old(program: Program) -> None:
    builds = [d for d in cache_directory().glob(f"{program.name}-*") if d.is_dir()]
    for old in sorted(builds, key=lambda d: d.stat().st_mtime)[:-KEPT_BUILDS]:
        shutil.rmtree(old, ignore_errors=True)


class _Line:
    """One line on a terminal, rewritten in place; elsewhere a line now and then."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._last = timedelta(0)

    def __call__(self, text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
            return
        now = self._clock.monotonic()
        if text.endswith("\n") or now - self._last >= SAY_EVERY:
            self._last = now
            print(text.rstrip("\n"), file=sys.stderr, flush=True)
