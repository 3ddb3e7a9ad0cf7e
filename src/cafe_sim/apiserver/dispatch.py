"""One HTTP request in, one answer out: a whole response, an open watch, or a log."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from cafe.kube.transport import Request, Response
from cafe_sim.apiserver import errors
from cafe_sim.apiserver.bodies import read_body, read_object, read_twice, read_yaml
from cafe_sim.apiserver.changes import JSON_PATCH, Changes
from cafe_sim.apiserver.context import Context, Target, User
from cafe_sim.apiserver.discovery import Discovery
from cafe_sim.apiserver.duplicates import added_up
from cafe_sim.apiserver.errors import FieldError, StatusError, status_of
from cafe_sim.apiserver.listing import ExpiredTokenError, as_list, check_version, listed
from cafe_sim.apiserver.logs import LogSource, LogStream, open_log
from cafe_sim.apiserver.operations import Operations
from cafe_sim.apiserver.parameters import (
    ListOptions,
    Query,
    check_dry_run,
    delete_options,
    is_true,
    list_options,
)
from cafe_sim.apiserver.registry import Registry
from cafe_sim.apiserver.representation import Representation, wanted_representation
from cafe_sim.apiserver.reviews import Reviewer
from cafe_sim.apiserver.routing import Route, find_route
from cafe_sim.apiserver.steps import Steps
from cafe_sim.apiserver.store import Store
from cafe_sim.apiserver.values import Value
from cafe_sim.apiserver.watching import DEFAULT_TIMEOUT, Selection, Start, Watch
from cafe_sim.apiserver.writing import check_kind
from cafe_sim.contract import ApiError, DeleteOptions, Json, Timeline

Answer: TypeAlias = "Response | Watch | LogStream"
_JSON = {"content-type": "application/json"}
_encode = msgspec.json.Encoder().encode
_APPLY = ("application/apply-patch+yaml", "application/apply-patch+cbor")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request."""

    user: User = field(default_factory=User)
    agent: str = "unknown"


class Dispatcher:
    """Serves requests on one set of resources."""

    def __init__(
        self, store: Store, registry: Registry, operations: Operations, changes: Changes, timeline: Timeline
    ) -> None:
        self._store = store
        self._registry = registry
        self._operations = operations
        self._changes = changes
        self._timeline = timeline
        self._discovery = Discovery(registry)
        self._reviewer = Reviewer()
        self.log_source: LogSource | None = None

    def serve(self, request: Request, caller: Caller) -> Steps[Answer]:
        """Answer *request*; whatever is refused becomes a Status."""
        try:
            return (yield from self._serve(request, caller))
        except ApiError as error:
            return _refusal(error)

    def _serve(self, request: Request, caller: Caller) -> Steps[Answer]:
        known = self._discovery.answer(request)
        if known is not None:
            return known
        route = find_route(self._registry, request.path)
        query = dict(request.query)
        if request.method == "GET":
            return self._read(route, request, query)
        context = _context(request, query, caller)
        if request.method == "DELETE":
            made: Json = yield from self._delete(route, request, query, context)
            return _reply(200, made, context.warnings)
        return (yield from self._write(route, request, query, context))

    def _read(self, route: Route, request: Request, query: Query) -> Answer:
        target = route.target
        form = wanted_representation(request.accept, self._timeline.now, query.get("includeObject", ""))
        if target.subresource == "log":
            pod = self._operations.get(target)
            if not pod["spec"].get("nodeName"):
                return Response(204, b"", {})  # There is no kubelet yet that could be asked.
            return open_log(self.log_source, pod, query)
        _check_verb(target, "get" if target.name else "list")
        if target.name and not is_true(query, "watch"):
            check_version(self._store, list_options(target.resource, query))
            found = self._operations.get(target)
            return _reply(200, form.single(target.resource, found))
        options = list_options(target.resource, query, target.name)
        namespace = None if route.is_everywhere or not target.resource.is_namespaced else target.namespace
        if options.is_watch:
            _check_verb(target, "watch")
            return self._watch(target, namespace, options, form)
        rows, meta = listed(self._store, target.resource, namespace, options)
        return _reply(200, form.many(target.resource, rows, meta))

    def _watch(
        self, target: Target, namespace: str | None, options: ListOptions, form: Representation
    ) -> Watch:
        resource = target.resource
        render = None if form.is_plain else (lambda obj: form.event(resource, obj))
        selection = Selection(resource, namespace, options.matches, render)
        start = Start(
            version=options.version,
            is_list=options.is_watch_list,
            has_bookmarks=options.has_bookmarks,
            timeout=options.timeout or DEFAULT_TIMEOUT,
        )
        return Watch(self._store, selection, start, self._timeline).begin()

    def _write(self, route: Route, request: Request, query: Query, context: Context) -> Steps[Answer]:
        target = route.target
        form = wanted_representation(request.accept, self._timeline.now, query.get("includeObject", ""))
        code = 200
        if request.method == "POST":
            if target.name and not target.subresource:
                raise errors.not_allowed(target.resource.plural, target.resource.group, "create")
            _check_verb(target, "create")
            body = self._object(target, request, context)
            made, code = (yield from self._create(route, context, body)), 201
        elif request.method == "PUT":
            if not target.name:
                raise errors.not_allowed(target.resource.plural, target.resource.group, "update")
            body = self._object(target, request, context)
            _check_whole(target, body)
            made, is_new = yield from self._changes.put(target, context, body)
            code = 201 if is_new else 200
        elif request.method == "PATCH":
            made, is_new = yield from self._patch(target, request, query, context)
            code = 201 if is_new else 200
        else:
            raise errors.not_allowed(target.resource.plural, target.resource.group, request.method.lower())
        return _reply(code, form.single(target.resource, made), context.warnings)

    @staticmethod
    def _object(target: Target, request: Request, context: Context) -> Json:
        body = read_object(request)
        found = read_twice(request)
        context.duplicates = [f'duplicate field "{path}"' for path in found]
        # Go reads built-in kinds into structs, where maps add up; of custom ones the last value counts.
        return added_up(request.body or b"") if found and target.resource.shape.is_builtin else body

    def _create(self, route: Route, context: Context, body: Value) -> Steps[Json]:
        target = route.target
        answer = self._reviewer.answer(target, context.user, body)
        if answer is not None:
            return answer
        if route.is_everywhere:
            raise errors.not_allowed(target.resource.plural, target.resource.group, "create")
        if not target.subresource:
            name = (body.get("metadata") or {}).get("name", "")
            target = Target(target.resource, target.namespace, name)
        return (yield from self._operations.create(target, context, body))

    def _patch(
        self, target: Target, request: Request, query: Query, context: Context
    ) -> Steps[tuple[Json, bool]]:
        if not target.name:
            raise errors.not_allowed(target.resource.plural, target.resource.group, "patch")
        media = request.content_type.partition(";")[0].strip()
        is_apply = media in _APPLY
        found: list[FieldError] = []
        if is_apply and not query.get("fieldManager"):
            found.append(FieldError("Required", "fieldManager", None, "is required for apply patch"))
        if not is_apply and "force" in query:
            text = "may not be specified for non-apply patch"
            found.append(FieldError("Forbidden", "force", None, text))
        if found:
            raise errors.invalid("PatchOptions", "meta.k8s.io", "", found)
        patch = read_yaml(request.body or b"") if is_apply else read_body(request)
        self._note_twice(request, context, media)
        return (yield from self._changes.patch(target, context, media, patch))

    @staticmethod
    def _note_twice(request: Request, context: Context, media: str) -> None:
        found = read_twice(request)
        if media not in _APPLY:
            label = "json patch duplicate field" if media == JSON_PATCH else "duplicate field"
            context.duplicates = [f'{label} "{path}"' for path in found]
        elif found and context.validation == "Strict":
            lines = [f'  line 1: key "{path.rpartition(".")[2]}" already set in map' for path in found]
            text = "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:"
            raise errors.bad_request("\n".join([text, *lines]))

    def _delete(self, route: Route, request: Request, query: Query, context: Context) -> Steps[Json]:
        target = route.target
        if target.subresource:
            raise errors.not_allowed(target.resource.plural, target.resource.group, "delete")
        options, context.is_dry_run = delete_options(query, read_body(request) if request.body else None)
        if not target.name:
            return (yield from self._delete_all(route, query, context, options))
        obj, is_gone = yield from self._operations.delete(target, context, options)
        if not is_gone or target.resource.rules.returns_deleted:
            return obj
        details = {"name": target.name, "group": target.resource.group, "kind": target.resource.plural}
        details = {name: text for name, text in details.items() if text}
        details["uid"] = obj["metadata"]["uid"]
        head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return {**head, "details": details}

    def _delete_all(
        self, route: Route, query: Query, context: Context, options: DeleteOptions
    ) -> Steps[Json]:
        target = route.target
        namespace = target.namespace if target.resource.is_namespaced else None
        if route.is_everywhere:
            raise errors.not_allowed(target.resource.plural, target.resource.group, "delete")
        rows, meta = listed(self._store, target.resource, namespace, list_options(target.resource, query))
        gone = []
        for row in rows:
            each = Target(target.resource, target.namespace, row["metadata"]["name"])
            gone.append((yield from self._operations.delete(each, context, options))[0])
        return as_list(target.resource, gone, meta)


def _check_verb(target: Target, verb: str) -> None:
    if verb not in target.resource.verbs and not target.subresource:
        raise errors.not_allowed(target.resource.plural, target.resource.group, verb)


def _check_whole(target: Target, body: Json) -> None:
    if target.subresource != "scale":
        resource = target.resource
        check_kind(resource, body.get("kind", resource.kind), body.get("apiVersion", resource.api_version))


def _context(request: Request, query: Query, caller: Caller) -> Context:
    validation = query.get("fieldValidation", "") or "Warn"
    if validation not in {"Ignore", "Warn", "Strict"}:
        error = errors.not_supported("fieldValidation", validation, ("Ignore", "Strict", "Warn"))
        raise errors.invalid("CreateOptions", "meta.k8s.io", "", [error])
    return Context(
        user=caller.user,
        manager=query.get("fieldManager") or caller.agent.partition("/")[0] or "unknown",
        is_dry_run=check_dry_run(query) if request.method != "DELETE" else False,
        validation=validation,  # type: ignore[arg-type]
        is_forced=is_true(query, "force"),
    )


def _reply(code: int, body: Json, warnings: Iterable[str] = ()) -> Response:
    headers = dict(_JSON)
    texts = [f'299 - "{text}"' for text in (w.replace("\\", "\\\\").replace('"', '\\"') for w in warnings)]
    if texts:
        headers["warning"] = ", ".join(texts)
    return Response(code, _encode(body), headers)


def _refusal(error: ApiError) -> Response:
    status = status_of(error)
    if isinstance(error, ExpiredTokenError):
        status["metadata"] = {"continue": error.token}
    headers = dict(_JSON)
    if isinstance(error, StatusError) and "retryAfterSeconds" in error.details:
        headers["retry-after"] = str(error.details["retryAfterSeconds"])
    return Response(error.status, _encode(status), headers)
