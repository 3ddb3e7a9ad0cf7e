"""How a command is run in tests: whole, in this process, with its output as text."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from cafe.cli.main import run
from tests.unit.cli.world import SmallCluster, SmallWiring


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Cafe = Callable[..., Result]


@pytest.fixture
def cafe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Cafe:
    """Run `cafe …` against a small cluster. The environment is bare, so that goldens hold everywhere."""
    for name in (
        "KUBECONFIG",
        "NO_COLOR",
        "FORCE_COLOR",
        "CAFE_ACCESSIBLE",
        "LC_ALL",
        "LC_MESSAGES",
        "COLUMNS",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CAFE_HOME", f"{tmp_path}/cafe")

    def call(cluster: SmallCluster | SmallWiring, *arguments: str, program: str = "cafe") -> Result:
        wiring = cluster if isinstance(cluster, SmallWiring) else SmallWiring(cluster)
        capsys.readouterr()
        code = run(wiring, arguments, program)
        said = capsys.readouterr()
        return Result(code, said.out, said.err)

    return call
