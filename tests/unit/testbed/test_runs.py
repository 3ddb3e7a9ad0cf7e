import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from testbed.build import KUBE, binary, kubernetes_version
from testbed.errors import NotStarted
from testbed.images import Image, images_in
from testbed.processes import Child, run_tool
from testbed.runs import ProcessId, Run, processes
from testbed.waiting import TooLate, wait_for

ROOT = Path(__file__).parents[3]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run("test", 3, tmp_path / "test")


def test_a_process_is_itself_and_not_another_with_its_number() -> None:
    me = ProcessId.of(os.getpid())
    assert me is not None
    assert me.is_alive()
    assert not ProcessId(me.pid, me.started + 1).is_alive()


def test_a_process_that_ended_is_not_alive_even_before_it_is_buried() -> None:
    with subprocess.Popen(["/bin/sh", "-c", "exit 0"]) as child:
        wait_for("a zombie", lambda: ProcessId.of(child.pid) is None, timedelta(seconds=5))


def test_waiting_ends_with_what_was_seen() -> None:
    seen = iter([None, None, "there"])
    found = wait_for("it", lambda: next(seen), timedelta(seconds=5), every=timedelta(0))
    assert found == "there"


def test_waiting_in_vain_says_what_for() -> None:
    with pytest.raises(TooLate, match="the moon: not within 0 s"):
        wait_for("the moon", lambda: None, timedelta(0))


def test_a_program_that_ends_too_early_is_told_with_its_last_words(run: Run) -> None:
    child = Child(run, "victim", [sys.executable, "-c", "raise SystemExit('no port left')"]).start()
    with pytest.raises(NotStarted, match=r"victim ended\nno port left"):
        child.wait_ready(lambda: False, timedelta(seconds=10))


def test_a_program_is_noted_while_it_runs_and_can_be_started_again(run: Run) -> None:
    child = Child(run, "sleeper", ["/bin/sh", "-c", "read forever < /dev/zero"]).start()
    [noted] = processes(run.directory)
    assert noted.pid == child.pid
    child.kill()
    assert not noted.is_alive()
    child.start()
    [noted_again] = processes(run.directory)
    assert noted_again != noted
    child.stop()
    assert not child.is_running()


def test_a_tool_that_fails_is_told_with_its_command_and_words() -> None:
    with pytest.raises(NotStarted, match="exit 3: it hurts"):
        run_tool("/bin/sh", "-c", "echo it hurts >&2; exit 3")


def test_two_slots_share_no_network() -> None:
    networks = [n for slot in range(32) for r in [Run("x", slot, Path())] for n in _networks(r)]
    assert len(set(networks)) == len(networks)


def _networks(run: Run) -> tuple[str, str]:
    return run.service_network, run.pod_network


def test_logs_of_a_failed_run_are_kept_and_the_rest_is_not(run: Run) -> None:
    (run.make("logs") / "etcd.log").write_text("words")
    run.make("etcd")
    kept = run.remove(keep_logs=True)
    assert kept is not None
    assert (kept / "etcd.log").read_text() == "words"
    assert not run.directory.exists()


def test_an_image_is_called_after_its_reference() -> None:
    image = Image.of("docker.io/istio/examples-bookinfo-reviews-v1:1.20.1")
    assert (image.name, image.version) == ("examples-bookinfo-reviews-v1", "1.20.1")
    assert Image.of("cafe.test/web:v2-same", version="v2").version == "v2"


def test_all_images_of_a_manifest_are_found() -> None:
    found = {image.reference for image in images_in(ROOT / "samples" / "bookinfo.yaml")}
    assert "docker.io/istio/examples-bookinfo-productpage-v1:1.20.1" in found
    assert len(found) == 6


def test_an_image_listens_where_the_manifest_says_that_its_container_does() -> None:
    found = {image.name: image for image in images_in(ROOT / "samples" / "online-boutique.yaml")}
    assert (found["cartservice"].ports, found["redis"].ports) == ((7070,), (6379,))
    assert found["loadgenerator"].ports == ()
    assert b"ports" not in found["loadgenerator"].identity


def test_an_image_called_by_a_digest_gets_that_name_beside_its_tag() -> None:
    image = Image.of("busybox:1.38@sha256:abc")
    assert (image.tag, image.name, image.version) == ("busybox:1.38", "busybox", "1.38")
    assert image.names == ("docker.io/library/busybox:1.38", "docker.io/library/busybox@sha256:abc")
    assert Image.of("ghcr.io/some/thing:1@sha256:abc").names == (
        "ghcr.io/some/thing:1",
        "ghcr.io/some/thing@sha256:abc",
    )
    assert Image.of("busybox:1.38").names is None


def test_binaries_are_kept_under_a_name_of_their_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAFE_CACHE", "/somewhere")
    path = binary(KUBE)
    assert path.parent.parent == Path("/somewhere/testbed")
    assert path.name == "kube"
    assert kubernetes_version().startswith("v1.")
