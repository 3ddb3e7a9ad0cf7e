"""Write everything that is generated from the declarations; with `--check`, only say what has drifted."""

import os
import sys
from pathlib import Path

import yaml

from cafe.api.crd import DECLARATIONS, crd_of
from tools.reference import commands_page, kinds_page, metrics_page

ROOT = Path(__file__).parents[1]
HEADER = "# Generated from src/cafe/api by `make generate`; change it there.\n"


def wanted() -> dict[Path, str]:
    """Return what each generated file should hold."""
    pages = {
        ROOT / "docs/reference/kinds.md": kinds_page(),
        ROOT / "docs/reference/commands.md": commands_page(),
        ROOT / "docs/reference/metrics.md": metrics_page(),
    }
    return pages | {
        ROOT / "deploy/crds" / f"{declaration.plural}.yaml": HEADER
        + yaml.safe_dump(crd_of(declaration), sort_keys=False, width=110)
        for declaration in DECLARATIONS
    }


def main() -> int:
    """Write, or check and tell."""
    os.environ |= {"LC_ALL": "C.UTF-8", "COLUMNS": "100", "TERM": "dumb"}  # The pages are in English.
    drifted = [path for path, text in wanted().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in drifted:
            print(f"error: {path.relative_to(ROOT)} differs from its declaration\ndo: make generate")
        return 1 if drifted else 0
    for path in drifted:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted()[path])
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
