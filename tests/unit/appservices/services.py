"""Application services as tests write them."""

import copy
from typing import Any

import msgspec

from cafe.api.cafeapprevision import AppContent
from cafe.api.cafeappservice import CafeAppService
from cafe.appservices.domain.content import digest_of_content
from cafe.appservices.domain.facts import RevisionFact

CONTENT: dict[str, Any] = {
    "selector": {"matchLabels": {"app": "shop"}},
    "template": {
        "metadata": {"labels": {"app": "shop"}},
        "spec": {
            "containers": [
                {
                    "name": "shop",
                    "image": "registry.bank/shop:1.2",
                    "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}},
                    "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
                    "env": [{"name": "A", "value": "1"}],
                }
            ],
        },
    },
    "services": [{"name": "shop", "spec": {"ports": [{"name": "http", "port": 80}]}}],
    "elasticity": {"replicas": 10},
}


def content(**changes: Any) -> AppContent:  # noqa: ANN401 -- any field
    """Return a content; *changes* are dotted paths, with `__` for a dot and list indexes as numbers."""
    body = copy.deepcopy(CONTENT)
    for path, value in changes.items():
        *way, last = path.split("__")
        node: Any = body
        for step in way:
            node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
        if value is None:
            node.pop(last, None)
        elif isinstance(node, list):
            node[int(last)] = value
        else:
            node[last] = value
    return msgspec.convert(body, AppContent)


def container(**changes: Any) -> AppContent:  # noqa: ANN401 -- any field
    """Return a content whose container differs."""
    return content(**{f"template__spec__containers__0__{path}": value for path, value in changes.items()})


def revision(number: int, **more: Any) -> RevisionFact:  # noqa: ANN401 -- any field
    """Return a stored revision of a content of its own."""
    held = more.pop("content", None) or container(image=f"registry.bank/shop:1.{number}")
    return RevisionFact(
        number=number,
        digest=digest_of_content(held),
        content=held,
        name=f"shop-{number}",
        uid=f"u{number}",
        **more,
    )


def service(of: AppContent | None = None, **spec: Any) -> CafeAppService:  # noqa: ANN401 -- any field
    """Return a service whose spec has a content."""
    body = msgspec.to_builtins(of or content())
    metadata = {"name": "shop", "namespace": "bank", "uid": "s", "generation": 1}
    return msgspec.convert({"metadata": metadata, "spec": {**body, **spec}}, CafeAppService)
