"""Installs CAFE's kinds, and the guard of pods under traffic, into a cluster."""

from datetime import timedelta
from typing import Any

from cafe.api.crd import DECLARATIONS, crd_of
from cafe.kernel import ObjectKey, Unavailable
from cafe.kube.client import Client
from cafe.kube.objects import NAMESPACES
from cafe.kube.patches import ApplyPatch
from cafe.kube.resources import Kind
from cafe.processes.policies import guard

CRDS: Kind[dict[str, Any]] = Kind(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
    type=dict,
)

PATIENCE = timedelta(seconds=30)
PERIOD = timedelta(milliseconds=100)


async def install(client: Client, namespace: str) -> None:
    """Apply the controller's namespace, the CRDs and the guard of traffic; wait until kinds are served.

    Raises:
        Unavailable: They are not served within 30 s.
        cafe.kernel.Refusal: We may not, or somebody else's CRDs have these names.
    """
    await client.patch(NAMESPACES, ObjectKey("", namespace), ApplyPatch({"metadata": {"name": namespace}}))
    for declaration in DECLARATIONS:
        body = crd_of(declaration)
        key = ObjectKey("", body["metadata"]["name"])
        await client.patch(CRDS, key, ApplyPatch(body, force=True))
        deadline = client.clock.monotonic() + PATIENCE
        while not _is_established(await client.get(CRDS, key)):
            if client.clock.monotonic() > deadline:
                raise Unavailable(f"The API server does not serve {key.name} after {PATIENCE}")
            await client.clock.sleep(PERIOD)
    await guard(client)


def _is_established(crd: dict[str, Any]) -> bool:
    conditions = crd.get("status", {}).get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
