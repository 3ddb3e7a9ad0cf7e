"""The command line's cluster, made real: whole documents over `cafe.kube.Client`."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

from cafe.cli.errors import Exit, Problem
from cafe.cli.ports import Document, Place, Resource, Sighting, Whereabouts
from cafe.kernel import Clock, Entropy, ObjectKey, Refusal, Unavailable
from cafe.kube.access import Access
from cafe.kube.backoff import Backoff
from cafe.kube.client import Client
from cafe.kube.codec import decode_json, encode, key_of
from cafe.kube.errors import Expired, Forbidden, NotFound, Unauthorized
from cafe.kube.http import HttpTransport
from cafe.kube.kubeconfig import load_kubeconfig
from cafe.kube.patches import ApplyPatch
from cafe.kube.resources import Kind
from cafe.kube.transport import Request
from cafe.kube.watching import Bookmark, WatchOptions

NO_NAMESPACE = re.compile(r'namespaces "([^"]+)" not found')
"""What a server says of an object whose namespace is missing: it is not the object that is."""

FIELD_MANAGER = "cafe-cli"
"""Who a person's changes are recorded as: not the controller."""

RENEWED = timedelta(minutes=4)
"""A watch is opened anew after this time, so that one which fell silent is noticed."""

BACKOFF = Backoff(first=timedelta(milliseconds=200), longest=timedelta(seconds=5))


@asynccontextmanager
async def reach(whereabouts: Whereabouts, clock: Clock, entropy: Entropy) -> AsyncIterator["RemoteCluster"]:
    """Open the cluster that *whereabouts* names; leaving the context closes it."""
    access = find_access(whereabouts, clock)
    transport = HttpTransport(access)
    try:
        client = Client(transport, clock, entropy, field_manager=FIELD_MANAGER)
        yield RemoteCluster(client, place_of(whereabouts, access))
    finally:
        await transport.close()


def find_access(whereabouts: Whereabouts, clock: Clock) -> Access:
    """Read the kubeconfig.

    Raises:
        Refusal: It can't be used; the message says who named it.
    """
    try:
        loaded = load_kubeconfig(whereabouts.paths, is_explicit=whereabouts.is_explicit)
        return loaded.access(clock, context=whereabouts.context)
    except Refusal as refusal:
        said = _said_by(whereabouts)
        why = f"{refusal.why.rstrip('.')}; {said}" if refusal.why else said
        raise Refusal(refusal.code, refusal.what, why, refusal.remedy) from refusal


def _said_by(whereabouts: Whereabouts) -> str:
    if whereabouts.source.startswith("~"):
        return "it is the last resort: no --kubeconfig, no $KUBECONFIG and no running `cafe up`"
    return f"{whereabouts.source} names it"


def place_of(whereabouts: Whereabouts, access: Access) -> Place:
    """Return what messages say of where we are."""
    files = ", ".join(str(path) for path in whereabouts.paths)
    where = (
        files if files.endswith(whereabouts.source.removeprefix("~")) else f"{files} ({whereabouts.source})"
    )
    return Place(context=access.name, server=access.server, namespace=access.namespace, where=where)


class RemoteCluster:
    """An API server, for the command line.

    Args:
        client: Speaks to it.
        place: Where it is.
    """

    def __init__(self, client: Client, place: Place) -> None:
        self._client = client
        self._place = place
        self._kinds: dict[tuple[str, str], Kind[Document]] = {}

    @property
    def place(self) -> Place:
        """Where we are."""
        return self._place

    async def get(self, resource: Resource, key: ObjectKey) -> Document:
        """Read one object."""
        with self._explained(f"{resource.kind} {key}"):
            return await self._client.get(kind_of(resource), key)

    async def list(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Sequence[Document]:
        """Read a collection, page by page."""
        kind = kind_of(resource)
        with self._explained(resource.plural):
            items = await self._client.list_all(kind, namespace, label_selector=labels, field_selector=fields)
        # Items of a list come without their type; a document that is shown or applied needs it.
        return [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in items]

    async def replace(self, resource: Resource, document: Document, *, dry_run: bool = False) -> Document:
        """Write a whole object, guarded by its resourceVersion."""
        with self._explained(f"{resource.kind} {key_of(document)}"):
            return await self._client.replace(kind_of(resource), document, dry_run=dry_run)

    async def apply(self, document: Document, *, dry_run: bool = False, force: bool = False) -> Document:
        """Apply an object of any kind that the server knows."""
        key = key_of(document)
        with self._explained(f"{document['kind']} {key}"):
            kind = await self._discover(document["apiVersion"], document["kind"])
            return await self._client.patch(kind, key, ApplyPatch(document, force=force), dry_run=dry_run)

    async def read(self, path: str) -> Any:  # noqa: ANN401 -- any JSON document
        """Read any JSON document."""
        with self._explained(path):
            return await self._client.read(path)

    async def post(self, path: str, document: Document) -> Document:
        """Post a question."""
        with self._explained(path):
            answer = await self._client.send(Request("POST", path, body=encode(document)), "")
        found: Document = decode_json(answer.body)
        return found

    async def follow(self, resource: Resource, key: ObjectKey) -> AsyncGenerator[Sighting, None]:
        """Yield the object now and after each change; say while the connection is broken."""
        last: Document | None = None
        failures = 0
        while True:
            try:
                async with aclosing(self._states(kind_of(resource), key)) as states:
                    async for document in states:
                        if (
                            document is None
                            or failures
                            or last is None
                            or _version(document) != _version(last)
                        ):
                            yield Sighting(document)
                        if document is None:
                            return
                        last, failures = document, 0
            except NotFound as error:
                if last is None:
                    raise self._missing(f"{resource.kind} {key}", error) from error
                yield Sighting(None)
                return
            except Expired:
                continue
            except Unavailable as error:
                if last is None:
                    raise
                failures += 1
                yield Sighting(last, str(error))
                await self._client.clock.sleep(BACKOFF.delay(failures, self._client.entropy))

    async def _states(self, kind: Kind[Document], key: ObjectKey) -> AsyncGenerator[Document | None, None]:
        """Yield the states of one watch, the present one first and None for a deletion."""
        document = await self._client.get(kind, key)
        yield document
        options = WatchOptions(
            resource_version=_version(document),
            field_selector=f"metadata.name={key.name}",
            lasting=RENEWED,
        )
        async with self._client.watch(kind, key.namespace, options) as watch:
            async for event in watch:
                if isinstance(event, Bookmark):
                    continue
                yield None if event.type == "DELETED" else event.object
                if event.type == "DELETED":
                    return

    async def _discover(self, api_version: str, kind: str) -> Kind[Document]:
        """Ask the server how a kind is addressed; once per version of a group."""
        if (api_version, kind) not in self._kinds:
            path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
            group, _, version = api_version.rpartition("/")
            for entry in (await self._client.read(path)).get("resources") or []:
                name = entry["name"]
                if "/" not in name:
                    found: Kind[Document] = Kind(
                        group, version, name, entry["kind"], entry["namespaced"], dict
                    )
                    self._kinds[api_version, entry["kind"]] = found
        if (api_version, kind) not in self._kinds:
            raise Problem(
                Exit.NOT_FOUND,
                "NoKind",
                f"The server knows no {kind} of {api_version}.",
                f"Asked: {self._place.server}",
                "cafe doctor",
            )
        return self._kinds[api_version, kind]

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Give the errors that a person meets their exit code and the way out."""
        try:
            yield
        except NotFound as error:
            raise self._missing(what, error) from error
        except Unauthorized as error:
            raise Problem(
                Exit.LOGIN,
                "Unauthorized",
                f"{self._place.server} does not know who we are.",
                f"The credentials of {self._place.where} were refused",
                "Renew them, or name another --kubeconfig or --context.",
            ) from error
        except Forbidden as error:
            raise Problem(
                Exit.FORBIDDEN,
                "Forbidden",
                f"We may not: {error.message}",
                f"The rights belong to {self._place.where}, context {self._place.context}",
                "cafe doctor lists the rights that are needed.",
            ) from error

    def _missing(self, what: str, error: NotFound) -> Problem:
        if error.reason == "NotFound" and "could not find the requested resource" not in error.message:
            where = f"Looked in {self._place.where}, context {self._place.context}"
            if (lacking := NO_NAMESPACE.match(error.message)) and not what.startswith("Namespace"):
                name = lacking.group(1)
                do = f"kubectl create namespace {name}"
                return Problem(Exit.NOT_FOUND, "NoNamespace", f"There is no namespace {name}.", where, do)
            return Problem(Exit.NOT_FOUND, "NotFound", f"There is no {what}.", where, "cafe app list -A")
        why = f"{self._place.server} says: {error.message}"
        return Problem(Exit.NOT_FOUND, "NoKind", f"The server does not know {what}.", why, "cafe doctor")


def kind_of(resource: Resource) -> Kind[Document]:
    """Return how the client addresses a resource, with whole documents as its objects."""
    group, _, version = resource.api_version.rpartition("/")
    return Kind(group, version, resource.plural, resource.kind, resource.is_namespaced, dict)


def _version(document: Document) -> str:
    return str(document["metadata"].get("resourceVersion") or "")
