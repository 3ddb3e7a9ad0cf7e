"""What the documents say of tests is true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(ROOT.glob("docs/**/*.md"))
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_test_that_a_page_names_exists(page: Path) -> None:
    lacking = []
    for file, test in NAMED.findall(page.read_text()):
        path = ROOT / file
        text = path.read_text() if path.exists() else ""
        if not text or (test and not re.search(rf"^(async )?def {test}\(", text, re.MULTILINE)):
            lacking.append(f"{file}::{test}")
    assert lacking == []
