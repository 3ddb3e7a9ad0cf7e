"""`cafe export`: plain Kubernetes objects for what CAFE runs, so that a team can leave at any time."""

from collections.abc import Mapping, Sequence

import click

from cafe.cli.errors import Exit, Problem
from cafe.cli.lazy import Command, Option
from cafe.cli.manifests import broken, read_manifest
from cafe.cli.output import output_option, structured
from cafe.cli.ports import Cluster, Document, Exported, SourceDocument
from cafe.cli.resources import APP_REVISIONS, APP_SERVICES, APPS
from cafe.cli.session import Session
from cafe.kernel import Refusal

KINDS = {"CafeDeployment", "CafeAppService"}
OURS = {"InPlaceSet", "CafeAppRevision"}
"""Kinds that are made by CAFE: whoever leaves has no use for them."""


@click.command("export", cls=Command, help="help.export")
@click.argument("names", nargs=-1)
@click.option("-f", "--filename", "files", multiple=True, cls=Option, help="option.filename")
@output_option(("json", "yaml"))
@click.pass_obj
def export(session: Session, names: Sequence[str], files: Sequence[str], output: str | None) -> int:
    """Write what plain Kubernetes can say of applications."""
    if files:
        if names:
            raise Problem(
                Exit.USAGE, "Usage", "Names are for what is live.", "", "Leave them out, or leave out -f."
            )
        documents = [document for path in files for document in read_manifest(path)]
        if not documents:
            raise Problem(Exit.USAGE, "EmptyManifest", f"{', '.join(files)} holds no document.")
        return _write(session, [_converted(session, document) for document in documents], output)

    async def work(cluster: Cluster) -> int:
        namespace = session.namespace or cluster.place.namespace
        live = await _live(cluster, namespace, names)
        found = [session.wiring.exporter.leave(document, content) for document, content in live]
        return _write(session, found, output)

    return session.run(work)


def _converted(session: Session, document: SourceDocument) -> Exported:
    """Return what becomes of one document of a file; what isn't ours goes through as it is.

    Raises:
        Problem: It can't be understood; nothing was written of the others.
    """
    kind = document.body.get("kind")
    if kind in OURS:
        why = f"{kind} is made by CAFE itself and means nothing elsewhere"
        raise broken(document.source, document.number, document.line, why)
    if kind not in KINDS:
        return Exported(documents=(document.body,))
    try:
        return session.wiring.exporter.leave(document.body, None)
    except Refusal as refusal:
        raise broken(document.source, document.number, document.line, str(refusal)) from refusal


async def _live(
    cluster: Cluster, namespace: str, names: Sequence[str]
) -> list[tuple[Document, Document | None]]:
    """Return the applications that are meant, a service with the content that is live.

    Raises:
        Problem: There is none, or one of those named is missing.
    """
    services = {d["metadata"]["name"]: d for d in await cluster.list(APP_SERVICES, namespace)}
    apps = {d["metadata"]["name"]: d for d in await cluster.list(APPS, namespace)}
    wanted = list(dict.fromkeys(names)) or sorted(services.keys() | apps.keys())
    if missing := [name for name in wanted if name not in services and name not in apps]:
        raise Problem(
            Exit.NOT_FOUND,
            "NotFound",
            f"There is no application {', '.join(missing)} in {namespace}; nothing was written.",
            "",
            f"cafe app list -n {namespace}",
        )
    if not wanted:
        raise Problem(
            Exit.NOT_FOUND,
            "NothingLive",
            f"No application runs in {namespace}.",
            "",
            "Name another namespace with -n, or give files with -f.",
        )
    contents = await _contents(cluster, namespace, services)
    return [
        ({"kind": "CafeAppService", **services[name]}, contents.get(name))
        if name in services
        else ({"kind": "CafeDeployment", **apps[name]}, None)
        for name in wanted
    ]


async def _contents(
    cluster: Cluster, namespace: str, services: Mapping[str, Document]
) -> dict[str, Document]:
    """Return the content of each service's live revision."""
    if not services:
        return {}
    live = {name: (d.get("status") or {}).get("liveRevision", 0) for name, d in services.items()}
    return {
        r["spec"]["service"]: r["spec"]["content"]
        for r in await cluster.list(APP_REVISIONS, namespace)
        if r["spec"]["number"] == live.get(r["spec"]["service"])
    }


def _write(session: Session, found: Sequence[Exported], output: str | None) -> int:
    """Write all objects to stdout, and to stderr what they can't say."""
    documents = [document for one in found for document in one.documents]
    if output == "json":
        whole = {"apiVersion": "v1", "kind": "List", "items": documents}
        session.terminal.write(structured(whole, "json"))
    else:
        session.terminal.write("\n---\n".join(structured(document, "yaml") for document in documents))
    for one in found:
        for loss in one.losses:
            session.terminal.say("export.loss", what=one.title, loss=loss)
    return Exit.MET
