"""What the packages offer is pinned: a new public name is a decision, not an accident."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/public-surface.txt"


def surface() -> str:
    """List the public names of the doors: the kernel, the contracts, the ports, the transport seam."""
    doors = [ROOT / "src/cafe/kernel/__init__.py", ROOT / "src/cafe/kube/transport.py"]
    doors += sorted((ROOT / "src").rglob("contract.py")) + sorted((ROOT / "src").rglob("ports.py"))
    lines: list[str] = []
    for door in doors:
        lines.append(str(door.relative_to(ROOT / "src")))
        for node in ast.parse(door.read_text()).body:
            lines += [f"  {name}" for name in names_of(node) if not name.startswith("_")]
    return "\n".join(lines) + "\n"


def names_of(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.List):
        return [item.value for item in node.value.elts if isinstance(item, ast.Constant)]
    return []


def test_no_door_offers_a_name_that_nobody_decided_on() -> None:
    assert surface() == GOLDEN.read_text(), "do: make golden, and look at what it changed"
