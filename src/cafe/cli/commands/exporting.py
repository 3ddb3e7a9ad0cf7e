"""`cafe export`: plain Kubernetes objects back, so that a team can leave at any time."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from cafe.cli.commands.staying import read_ours
from cafe.cli.errors import Exit, Problem
from cafe.cli.lazy import Command, Option
from cafe.cli.manifests import read_manifest
from cafe.cli.output import output_option, structured
from cafe.cli.ports import Cluster, Exported, SourceDocument
from cafe.cli.session import Session


@click.command("export", cls=Command, help="help.export")
@click.argument("names", nargs=-1)
@click.option("-f", "--filename", "files", multiple=True, cls=Option, help="option.filename")
@output_option(("json", "yaml"))
@click.pass_obj
def export(session: Session, names: tuple[str, ...], files: tuple[str, ...], output: str | None) -> int:
    """Write plain Kubernetes objects."""
    if files and names:
        raise Problem(
            Exit.USAGE,
            "Usage",
            "Names are for what is live; nothing was written.",
            "Files are exported whole",
            "Leave out the names, or -f.",
        )
    if files:
        # Nothing is asked of a cluster: there may be none any more.
        documents = [document for path in files for document in read_manifest(path, "written")]
        if not documents:
            raise Problem(Exit.USAGE, "EmptyManifest", f"{', '.join(files)} holds no document.")
        return _write(session, documents, session.namespace, output or "yaml", is_live=False)

    async def work(cluster: Cluster) -> int:
        namespace = session.namespace or cluster.place.namespace
        found = await read_ours(cluster, namespace, names)
        return _write(session, found, namespace, output or "yaml", is_live=True)

    return session.run(work)


def _write(
    session: Session, documents: Sequence[SourceDocument], namespace: str, output: str, *, is_live: bool
) -> int:
    """Convert all, and only then write: data to stdout, what is lost to stderr."""
    found = session.wiring.exporter.export(documents, namespace, is_live=is_live)
    plain = [document for one in found for document in one.documents]
    if plain:
        session.terminal.write(_text(plain, output))
    _warn(session, found)
    left_out = sum(one.is_left_out for one in found)
    session.terminal.say("export.done", count=len(plain), left=left_out)
    return Exit.PARTIAL if left_out else Exit.MET


def _text(documents: Sequence[Mapping[str, Any]], output: str) -> str:
    """Write all objects: as YAML documents, or as a List."""
    if output == "json":
        return structured({"apiVersion": "v1", "kind": "List", "items": list(documents)}, output)
    return "\n---\n".join(structured(document, output) for document in documents)


def _warn(session: Session, found: Sequence[Exported]) -> None:
    """Say what is lost: each loss once, with all objects that it concerns."""
    words = session.terminal.words
    concerned: dict[tuple[str, str], list[str]] = {}
    for one in found:
        for loss in one.losses:
            said = words(f"export.loses.{loss.code}", **loss.values)
            concerned.setdefault((loss.field, said), []).append(f"{one.kind}/{one.name}")
    for (where, said), objects in concerned.items():
        named = ", ".join(dict.fromkeys(objects))
        session.terminal.say("export.warning", field=where, said=said, objects=named)
