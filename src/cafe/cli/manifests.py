"""Manifest files: YAML with several documents, each remembered with its number and line."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from cafe.cli.errors import Exit, Problem
from cafe.cli.ports import SourceDocument


def read_manifest(path: str) -> list[SourceDocument]:
    """Read a file, or stdin for `-`.

    Raises:
        Problem: It can't be read, or one of its documents is broken; that one is named.
    """
    if path == "-":
        return documents_in(sys.stdin.read(), "stdin")
    try:
        return documents_in(Path(path).read_text(), path)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "It is no UTF-8 text"
        raise Problem(
            Exit.USAGE,
            "NoManifest",
            f"{path} cannot be read.",
            why,
            "Name a file, or - for the standard input.",
        ) from error


def documents_in(text: str, source: str) -> list[SourceDocument]:
    """Return the documents of a manifest; empty ones are left out, the items of a List are taken apart.

    Raises:
        Problem: A document is broken. Nothing is returned of the others, so that nothing is half done.
    """
    found: list[SourceDocument] = []
    loader = yaml.SafeLoader(text)
    number = 0
    try:
        while True:
            number += 1
            if not loader.check_node():
                break
            node = loader.get_node()
            line = node.start_mark.line + 1 if node else 0
            _refuse_twins(node, source, number)
            body = loader.construct_document(node)
            if body is None:
                continue
            found += _taken_apart(body, source, number, line)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        raise broken(source, number, mark.line + 1 if mark else 0, _said(error)) from error
    finally:
        loader.dispose()
    return found


def _said(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error)


def broken(source: str, number: int, line: int, why: str) -> Problem:
    """Return the problem of one broken document."""
    where = f", line {line}" if line else ""
    return Problem(
        Exit.USAGE,
        "BrokenDocument",
        f"Document {number} of {source}{where} is broken; nothing was applied.",
        why,
        "Correct it and repeat; all documents are applied, or none.",
    )


def _refuse_twins(node: Any, source: str, number: int) -> None:  # noqa: ANN401 -- PyYAML has no types for nodes
    """Refuse keys that appear twice: PyYAML would silently drop the first."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise broken(
                        source, number, key.start_mark.line + 1, f"The key {key.value} appears twice"
                    )
                seen.add(key.value)
            _refuse_twins(value, source, number)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_twins(value, source, number)


def _taken_apart(body: object, source: str, number: int, line: int) -> Iterator[SourceDocument]:
    if not isinstance(body, dict):
        raise broken(source, number, line, f"It is no mapping but {type(body).__name__}")
    items = body.get("items")
    if body.get("kind") == "List" and isinstance(items, list):
        for item in items:
            yield from _taken_apart(item, source, number, line)
        return
    yield SourceDocument(source, number, line, body)
