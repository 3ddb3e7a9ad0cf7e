"""The admission guard of evictions: a server beside the controllers, and the API server told of it."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from cafe.kernel import ObjectKey, Refusal, Unavailable
from cafe.kube.admission import Identity, Judge, make_identity, serving_admission
from cafe.kube.client import Client
from cafe.kube.patches import ApplyPatch
from cafe.kube.resources import Kind

log = structlog.get_logger(__name__)

CONFIGURATIONS: Kind[dict[str, Any]] = Kind(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    namespaced=False,
    type=dict,
)
NAME = "cafe-evictions"
PATH = "/evictions"
EXEMPT = ("kube-system", "kube-node-lease")
PATIENCE_SECONDS = 3
PERIOD = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where the guard is served.

    Attributes:
        host: IP address or name at which the API server reaches this process.
        bind: Local address to listen at.
        port: 0 chooses a free one.
    """

    host: str
    bind: str = "0.0.0.0"  # noqa: S104 -- the API server comes from outside the pod
    port: int = 9443


def configuration_of(url: str, identity: Identity) -> dict[str, Any]:
    """Return the webhook configuration.

    It may fail: with no controller there is no release that an eviction could race with, and the pods'
    PodDisruptionBudget stands (decision 0014). A guard that must not fail would stop every drain of the
    cluster with the controller's own node.
    """
    place = {"url": url, "caBundle": base64.b64encode(identity.authority).decode()}
    not_ours = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": list(EXEMPT)}
    webhook = {
        "name": "evictions.cafe.sofastack.io",
        "clientConfig": place,
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "resources": ["pods/eviction"],
                "operations": ["CREATE"],
                "scope": "Namespaced",
            }
        ],
        "namespaceSelector": {"matchExpressions": [not_ours]},
        "failurePolicy": "Ignore",
        "sideEffects": "NoneOnDryRun",
        "timeoutSeconds": PATIENCE_SECONDS,
        "admissionReviewVersions": ["v1"],
    }
    return {"metadata": {"name": NAME}, "webhooks": [webhook]}


@asynccontextmanager
async def guarding_evictions(client: Client, judge: Judge, settings: WebhookSettings) -> AsyncIterator[None]:
    """Serve *judge* and have the API server ask it, until the context is left."""
    identity = make_identity(settings.host, client.clock.now())
    async with serving_admission({PATH: judge}, identity, settings.bind, settings.port) as port:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        telling = asyncio.ensure_future(_tell(client, f"https://{host}:{port}{PATH}", identity))
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)


async def _tell(client: Client, url: str, identity: Identity) -> None:
    """Write the configuration; try again while there is no answer."""
    patch = ApplyPatch(configuration_of(url, identity), force=True)
    while True:
        try:
            await client.patch(CONFIGURATIONS, ObjectKey("", NAME), patch)
        except Unavailable as error:
            log.info("guard.unavailable", why=str(error))
            await client.clock.sleep(PERIOD)
        except Refusal as refusal:
            log.warning("guard.off", why=str(refusal), then="evictions go by their PodDisruptionBudget alone")
            return
        else:
            log.info("guard.on", url=url)
            return
