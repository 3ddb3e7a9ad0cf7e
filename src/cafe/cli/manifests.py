"""Manifest files: YAML with several documents, each remembered with its number and line."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from cafe.cli.errors import Exit, Problem
from cafe.cli.ports import SourceDocument


class Flaw(ValueError):
    """What is wrong with a document, and on which line."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


def read_manifest(path: str, done: str = "applied") -> list[SourceDocument]:
    """Read a file, or stdin for `-`.

    Args:
        path: Of the file.
        done: What is not done with any of them if one is broken.

    Raises:
        Problem: It can't be read, or one of its documents is broken; that one is named.
    """
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "It is no UTF-8 text"
        raise Problem(
            Exit.USAGE,
            "NoManifest",
            f"{path} cannot be read.",
            why,
            "Name a file, or - for the standard input.",
        ) from error
    return documents_in(text, "stdin" if path == "-" else path, done)


def documents_in(text: str, source: str, done: str = "applied") -> list[SourceDocument]:
    """Return the documents of a manifest; empty ones are left out, the items of a List are taken apart.

    Raises:
        Problem: A document is broken. Nothing is returned of the others, so that nothing is half done.
    """
    found: list[SourceDocument] = []
    loader = None
    number = 0
    try:
        loader = yaml.SafeLoader(text)  # Refuses control characters at once.
        while True:
            number += 1
            if not loader.check_node():
                break
            node = loader.get_node()
            line = node.start_mark.line + 1 if node else 0
            _refuse_twins(node)
            body = loader.construct_document(node)
            if body is None:
                continue
            found += _taken_apart(body, source, number, line)
    except (yaml.YAMLError, ValueError) as error:
        line = error.line if isinstance(error, Flaw) else _line_of(error)
        raise broken(source, number, line, _said(error), done) from error
    finally:
        if loader is not None:
            loader.dispose()
    return found


def _said(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error).partition("\n")[0]


def _line_of(error: Exception) -> int:
    """Return where the parser gave up; 0 if it doesn't say."""
    mark = getattr(error, "problem_mark", None)
    return mark.line + 1 if mark else 0


def broken(source: str, number: int, line: int, why: str, done: str = "applied") -> Problem:
    """Return the problem of one broken document; *number* is 0 if none could be told from the others."""
    where = f"Document {number} of {source}" if number else source
    where += f", line {line}" if line else ""
    return Problem(
        Exit.USAGE,
        "BrokenDocument",
        f"{where} is broken; nothing was {done}.",
        why,
        f"Correct it and repeat; all documents are {done}, or none.",
    )


def _refuse_twins(node: Any) -> None:  # noqa: ANN401 -- PyYAML has no types for nodes
    """Refuse keys that appear twice: PyYAML would silently drop the first."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise Flaw(key.start_mark.line + 1, f"The key {key.value} appears twice")
                seen.add(key.value)
            _refuse_twins(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_twins(value)


def _taken_apart(body: object, source: str, number: int, line: int) -> Iterator[SourceDocument]:
    if not isinstance(body, dict):
        raise Flaw(line, f"It is no mapping but {type(body).__name__}")
    items = body.get("items")
    if body.get("kind") == "List" and isinstance(items, list):
        for item in items:
            yield from _taken_apart(item, source, number, line)
        return
    yield SourceDocument(source, number, line, body)
