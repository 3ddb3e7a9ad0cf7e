"""Each listed mutant still fits the code: one whose text is gone switches nothing off."""

import pytest

from tools.mutants import LIST, ROOT, Mutant, listed


@pytest.mark.parametrize("mutant", listed(), ids=lambda m: m.name)
def test_each_mutant_still_fits_the_code(mutant: Mutant) -> None:
    assert (ROOT / "src/cafe" / mutant.file).read_text().count(mutant.old) == 1, f"mend {LIST.name}"
    assert mutant.new != mutant.old
    for path in mutant.tests:
        assert (ROOT / path).exists()
