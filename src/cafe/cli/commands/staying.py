"""What CAFE runs in a namespace: read as manifests are, so that it can be taken out again."""

from collections.abc import Sequence

from cafe.api.names import API_VERSION
from cafe.cli.errors import Exit, Problem
from cafe.cli.ports import Cluster, Document, Resource, SourceDocument
from cafe.cli.resources import APP_REVISIONS, APP_SERVICES, APPS, AUTOSCALERS

KIND_WORDS = {
    APP_SERVICES.kind: {"cafesvc", "cafeappservice", "cafeappservices"},
    APPS.kind: {"cafed", "cafedeployment", "cafedeployments"},
}
"""How people write a kind before a name, as kubectl takes it; the group may follow behind a dot."""


async def read_ours(cluster: Cluster, namespace: str, names: Sequence[str]) -> list[SourceDocument]:
    """Return the namespace's applications, all or those named, with what is needed to understand them.

    That is: of services the live revision and the application that they rendered, and what scales them.
    Services, ConfigMaps and the like that people wrote themselves need not be exported: they are plain.

    Raises:
        Problem: There is none, or one of those named is missing.
    """
    services = await cluster.list(APP_SERVICES, namespace)
    apps = await cluster.list(APPS, namespace)
    if names:
        chosen = [_one(namespace, name, services, apps) for name in dict.fromkeys(names)]
    else:
        chosen = [
            *(_whole(APP_SERVICES, service) for service in services),
            *(_whole(APPS, app) for app in apps if not _maker(app)),
        ]
    if not chosen:
        raise Problem(
            Exit.NOT_FOUND,
            "NothingLive",
            f"No application runs in {namespace}; nothing was written.",
            f"It has no {APP_SERVICES.kind} and no {APPS.kind}",
            "Name another namespace with -n, or give files with -f.",
        )
    of_services = {d["metadata"]["name"] for d in chosen if d["kind"] == APP_SERVICES.kind}
    found = [*chosen, *(_whole(APPS, app) for app in apps if _maker(app) in of_services)]
    if of_services:
        revisions = await cluster.list(APP_REVISIONS, namespace)
        found += [_whole(APP_REVISIONS, r) for r in revisions if r["spec"].get("service") in of_services]
    found += await _autoscalers(cluster, namespace, {(d["kind"], d["metadata"]["name"]) for d in chosen})
    source = f"namespace {namespace}"
    return [SourceDocument(source, number, 0, body) for number, body in enumerate(found, start=1)]


def _whole(resource: Resource, document: Document) -> Document:
    """Return a listed object with the kind that lists leave out."""
    return {"apiVersion": resource.api_version, "kind": resource.kind, **document}


def _maker(app: Document) -> str:
    """Return the name of the application service that made an application; empty if none did."""
    owners = app["metadata"].get("ownerReferences") or []
    return next((str(o["name"]) for o in owners if o.get("kind") == APP_SERVICES.kind), "")


def _one(namespace: str, said: str, services: Sequence[Document], apps: Sequence[Document]) -> Document:
    """Return the application of that name: a service before the application that it made.

    Raises:
        Problem: There is none, or it goes with its service only.
    """
    kind, _, name = said.rpartition("/")
    word = kind.lower().partition(".")[0]
    for resource, there in ((APP_SERVICES, services), (APPS, apps)):
        if kind and word not in KIND_WORDS[resource.kind]:
            continue
        found = next((d for d in there if d["metadata"]["name"] == name), None)
        if found is None:
            continue
        if resource is APPS and (maker := _maker(found)):
            raise Problem(
                Exit.CONFLICT,
                "Rendered",
                f"{APPS.kind} {name} goes with {APP_SERVICES.kind} {maker}; nothing was written.",
                "Its Services, ConfigMaps and budget are made from the same revision",
                f"cafe export {maker} -n {namespace}",
            )
        return _whole(resource, found)
    known = ", ".join(sorted({d["metadata"]["name"] for d in (*services, *apps)})) or "none"
    raise Problem(
        Exit.NOT_FOUND,
        "NotFound",
        f"There is no application {said} in {namespace}; nothing was written.",
        f"It has: {known}",
        f"cafe app list -n {namespace}",
    )


async def _autoscalers(cluster: Cluster, namespace: str, chosen: set[tuple[str, str]]) -> list[Document]:
    """Return the autoscalers of the chosen applications; a server that doesn't know the kind has none."""
    try:
        scalers = await cluster.list(AUTOSCALERS, namespace)
    except Problem as problem:
        if problem.code != "NoKind":
            raise
        return []
    found = []
    for scaler in scalers:
        target = (scaler.get("spec") or {}).get("scaleTargetRef") or {}
        is_ours = target.get("apiVersion") == API_VERSION
        if is_ours and (target.get("kind"), target.get("name")) in chosen:
            found.append(_whole(AUTOSCALERS, scaler))
    return found
