"""The list of ablations keeps up with the code, and the harness finds what it is made to find."""

import subprocess
import sys
from pathlib import Path

import pytest

from cafe_sim.harness.ablations import PRODUCT, Ablation, Drifted, Edit, load_ablations, switch_off
from cafe_sim.harness.faults.catalogue import CATALOGUE
from cafe_sim.harness.people import ACTIONS
from cafe_sim.harness.plan import Shape

LISTED = load_ablations()


@pytest.mark.parametrize("one", LISTED.values(), ids=lambda one: one.name)
def test_each_ablation_still_fits_the_code(one: Ablation) -> None:
    sources = {edit.file: (PRODUCT / edit.file).read_text() for edit in one.edits}
    for edit in one.edits:
        sources[edit.file] = edit.apply(sources[edit.file])
    for file, source in sources.items():
        compile(source, file, "exec")


@pytest.mark.parametrize("one", LISTED.values(), ids=lambda one: one.name)
def test_each_ablation_draws_from_what_there_is(one: Ablation) -> None:
    assert set(one.kinds) <= CATALOGUE.keys()
    assert set(one.steps) <= ACTIONS.keys()
    assert set(one.shape) <= set(Shape.__struct_fields__)


def test_there_are_at_least_twenty_ablations() -> None:
    assert len(LISTED) >= 20


def test_a_text_that_is_gone_is_told() -> None:
    with pytest.raises(Drifted, match="occurs 0 times in kube"):
        Edit("kube/cache.py", "no such text", "").apply("something else")


def test_a_safeguard_cannot_be_switched_off_once_its_module_is_loaded() -> None:
    loaded = Edit("kernel/clock.py", "Clock", "Clock")
    with pytest.raises(Drifted, match=r"cafe\.kernel\.clock was imported before"):
        switch_off(Ablation(name="late", protects="", source="", edits=(loaded,)))


def ablations(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "cafe_sim.harness.ablations", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path.cwd())


@pytest.mark.slow
def test_an_unknown_name_is_refused() -> None:
    done = ablations("no such safeguard")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no ablation is called no such safeguard" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "rule"),
    [
        ("the image is written with the gate up", "gate before image"),
        ("partition: is ignored", "partition holds"),
        ("nobody waits for a confirmation", "groups open by confirmation"),
    ],
)
def test_the_harness_finds_what_is_missing(word: str, rule: str) -> None:
    done = ablations(word, "--seeds", "20")
    assert done.returncode == 0, done.stderr
    assert rule in done.stdout
