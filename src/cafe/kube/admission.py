"""Admission webhooks: a server that the API server asks before it writes.

    API server ── AdmissionReview: may this be? ──▶ judge (in memory, at once) ── None or a Denial ──▶

Whoever leads makes an authority of its own, serves under a certificate for the address at which the API
server reaches it, and writes both into the webhook configuration. So there is nothing to rotate, no secret to
store, and no second replica that would have to know what only the leader knows.
"""

import ipaddress
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import structlog
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cafe.kernel import ObjectKey

log = structlog.get_logger(__name__)

API_VERSION = "admission.k8s.io/v1"
VALID = timedelta(days=3650)
"""Longer than any leader lives: the certificate goes with it."""

BACKDATED = timedelta(days=1)
"""For an API server whose clock is behind ours."""


class _User(msgspec.Struct, frozen=True):
    username: str = ""


class _Resource(msgspec.Struct, frozen=True):
    group: str = ""
    resource: str = ""


class _Request(msgspec.Struct, frozen=True, rename="camel"):
    uid: str
    operation: str = ""
    name: str = ""
    namespace: str = ""
    sub_resource: str = ""
    dry_run: bool = False
    resource: _Resource = _Resource()
    user_info: _User = _User()
    object: dict[str, Any] | None = None


class _Review(msgspec.Struct, frozen=True):
    request: _Request


@dataclass(frozen=True, slots=True)
class Review:
    """What the API server asks.

    Attributes:
        key: Of the object that the request is about.
        body: As the request would store it, or what is posted to a subresource.
    """

    uid: str
    operation: str
    resource: str
    subresource: str
    key: ObjectKey
    user: str = ""
    is_dry_run: bool = False
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Denial:
    """A no.

    Attributes:
        message: What happened, why, and what to do next; the client prints it.
        code: HTTP status; 429 makes `kubectl drain` try again.
        reason: The Status' reason that goes with it.
    """

    message: str
    code: int = 403
    reason: str = "Forbidden"


Judge = Callable[[Review], Denial | None]
"""Answers at once, from memory: the API server holds the client's request meanwhile."""


def read_review(body: bytes) -> Review:
    """Read an AdmissionReview.

    Raises:
        ValueError: It is none.
    """
    asked = msgspec.json.decode(body, type=_Review).request
    return Review(
        uid=asked.uid,
        operation=asked.operation,
        resource=asked.resource.resource,
        subresource=asked.sub_resource,
        key=ObjectKey(asked.namespace, asked.name),
        user=asked.user_info.username,
        is_dry_run=asked.dry_run,
        body=asked.object,
    )


def answer_to(review: Review, denial: Denial | None) -> dict[str, Any]:
    """Return the AdmissionReview that answers *review*."""
    response: dict[str, Any] = {"uid": review.uid, "allowed": denial is None}
    if denial is not None:
        response["status"] = {"code": denial.code, "reason": denial.reason, "message": denial.message}
    return {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}


@dataclass(frozen=True, slots=True)
class Identity:
    """What a server shows to its clients.

    Attributes:
        authority: Certificate by which clients know it, PEM.
        chain: Its own certificate and key, PEM.
    """

    authority: bytes
    chain: bytes


def make_identity(host: str, now: datetime) -> Identity:
    """Make an authority and a certificate for *host*, an IP address or a name."""
    key, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cafe-webhook-ca")])

    def builder(name: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + VALID)
        )

    limits = x509.BasicConstraints(ca=True, path_length=0)
    authority = builder(issuer, key.public_key()).add_extension(limits, critical=True)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cafe-webhook")])
    served = (
        builder(subject, own.public_key())
        .add_extension(x509.SubjectAlternativeName([_name_of(host)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    chain = served.sign(key, hashes.SHA256()).public_bytes(pem)
    chain += own.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return Identity(authority.sign(key, hashes.SHA256()).public_bytes(pem), chain)


def _name_of(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _context_of(identity: Identity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The ssl module reads keys from files alone; this one is its owner's, and gone at once.
    with tempfile.TemporaryDirectory(prefix="cafe-webhook-") as folder:
        path = Path(folder, "chain.pem")
        path.touch(mode=0o600)
        path.write_bytes(identity.chain)
        context.load_cert_chain(path)
    return context


def admission_app(judges: Mapping[str, Judge]) -> web.Application:
    """Return the server of *judges*, by path."""

    def asked(judge: Judge) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            try:
                review = read_review(await request.read())
            except ValueError as error:
                return web.Response(status=400, text=f"no AdmissionReview: {error}")
            denial = judge(review)
            if denial is not None:
                log.info("admission.denied", path=request.path, object=str(review.key), why=denial.message)
            return web.json_response(answer_to(review, denial), dumps=json.dumps)

        return handle

    app = web.Application()
    app.add_routes([web.post(path, asked(judge)) for path, judge in judges.items()])
    return app


@asynccontextmanager
async def serving_admission(
    judges: Mapping[str, Judge], identity: Identity, bind: str, port: int
) -> AsyncIterator[int]:
    """Serve *judges* over TLS; yields the port, which is chosen free if *port* is 0."""
    runner = web.AppRunner(admission_app(judges), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, bind, port, ssl_context=_context_of(identity)).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
