"""Output formats. stdout is data only; JSON is the API's own object."""

from collections.abc import Callable, Sequence
from typing import Any

import click
import msgspec

from cafe.cli.lazy import Option
from cafe.cli.ports import Document
from cafe.cli.terminal import Terminal

FORMATS = ("wide", "json", "yaml", "name")


def output_option(formats: Sequence[str] = FORMATS) -> Callable[[Any], Any]:
    """Return the `-o` option."""
    return click.option(
        "-o", "--output", type=click.Choice(formats), cls=Option, help="option.output", default=None
    )


def structured(value: object, output: str) -> str:
    """Write any JSON value as JSON or YAML."""
    plain = msgspec.to_builtins(value)
    if output == "json":
        return msgspec.json.format(msgspec.json.encode(plain), indent=2).decode()
    import yaml  # noqa: PLC0415 -- 40 ms that JSON and tables need not pay

    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110).rstrip()


def name_of(document: Document) -> str:
    """Return `kind.group/name`, which kubectl takes as well."""
    group = str(document.get("apiVersion", "")).rpartition("/")[0]
    kind = str(document.get("kind", "")).lower()
    return (
        f"{kind}.{group}/{document['metadata']['name']}"
        if group
        else f"{kind}/{document['metadata']['name']}"
    )


def write_one(terminal: Terminal, document: Document, output: str) -> None:
    """Write one object as *output* asks."""
    terminal.write(name_of(document) if output == "name" else structured(document, output))


def write_many(terminal: Terminal, documents: Sequence[Document], output: str) -> None:
    """Write a collection as *output* asks."""
    if output == "name":
        for document in documents:
            terminal.write(name_of(document))
        return
    whole = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
    terminal.write(structured(whole, output))
