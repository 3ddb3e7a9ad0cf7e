"""Writes whose effect a cache is told of beforehand, so that nobody decides on a view that lacks them."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

from cafe.kernel import ObjectKey
from cafe.kube.cache import Cache
from cafe.kube.client import Body, Client
from cafe.kube.errors import NotFound
from cafe.kube.resources import Kind

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """One object to be deleted, and no namesake of it.

    Attributes:
        resource_version: Delete it only if it hasn't changed since; empty for whatever it has become.
    """

    kind: Kind[Any]
    key: ObjectKey
    uid: str
    resource_version: str = ""


async def create_noted(
    client: Client, cache: Cache[Any], kind: Kind[T], key: ObjectKey, body: Body, scope: Hashable
) -> T:
    """Create an object for *scope*; return it as stored.

    Raises:
        cafe.kube.errors.ApiError: As `Client.create` does; then nothing is waited for.
    """
    cache.note_create(key, owner=scope)
    try:
        return await client.create(kind, key.namespace, body)
    except BaseException:
        cache.retract(key)
        raise


async def delete_noted(client: Client, cache: Cache[Any], target: Target, scope: Hashable) -> None:
    """Begin an object's deletion for *scope*; that it is gone already is fine.

    Raises:
        cafe.kernel.Conflict: It isn't the object, or the version, that was meant.
    """
    cache.note_delete(target.key, target.uid, owner=scope)
    try:
        await client.delete(target.kind, target.key, uid=target.uid, resource_version=target.resource_version)
    except NotFound:
        return
    except BaseException:
        cache.retract(target.key)
        raise
