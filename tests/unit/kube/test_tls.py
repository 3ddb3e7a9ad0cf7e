"""We know the server by its certificate, and it knows us by ours."""

import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cafe.kernel import Refusal, Unavailable
from cafe.kube.access import Tls
from cafe.kube.credentials import KeyPair
from cafe.kube.http import HttpTransport
from cafe.kube.kubeconfig import load_kubeconfig
from cafe.kube.transport import Request, Transport
from tests.worlds.clock import HandClock


@dataclass(frozen=True)
class Issued:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> KeyPair:
        plain = serialization.NoEncryption()
        form = serialization.PrivateFormat.PKCS8
        key = self.key.private_bytes(serialization.Encoding.PEM, form, plain)
        return KeyPair(self.certificate.public_bytes(serialization.Encoding.PEM).decode(), key.decode())


def issue(name: str, by: Issued | None = None) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=36_500))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    return Issued(builder.sign(by.key if by else key, hashes.SHA256()), key)


AUTHORITY = issue("authority")


@asynccontextmanager
async def serving(tmp_path: Path) -> AsyncIterator[int]:
    """A server named `kube.test` that says who we are."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        certificate: Any = request.transport.get_extra_info("peercert")
        subject = dict(pair for (pair,) in certificate["subject"]) if certificate else {}
        return web.Response(text=subject.get("commonName", "nobody"))

    own = issue("kube.test", AUTHORITY).pem
    file = tmp_path / "server.pem"
    file.write_text(own.certificate + own.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=AUTHORITY.pem.certificate)
    context.load_cert_chain(file)
    context.verify_mode = ssl.CERT_OPTIONAL
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def asked(tmp_path: Path, port: int, cluster: dict[str, Any], user: dict[str, Any]) -> str:
    """Return the server's answer by way of a kubeconfig."""
    document = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": f"https://127.0.0.1:{port}", **cluster}}],
        "users": [{"name": "x", "user": user}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document))
    transport: Transport = HttpTransport(load_kubeconfig([path]).access(HandClock(), {}))
    try:
        return (await transport.send(Request("GET", "/"))).body.decode()
    finally:
        await transport.close()


TRUSTED = {
    "certificate-authority-data": encoded(AUTHORITY.pem.certificate),
    "tls-server-name": "kube.test",
}


async def test_a_client_certificate_says_who_we_are(tmp_path: Path) -> None:
    mine = issue("me", AUTHORITY).pem
    (tmp_path / "me.crt").write_text(mine.certificate)
    (tmp_path / "me.key").write_text(mine.key)
    inline = {
        "client-certificate-data": encoded(mine.certificate),
        "client-key-data": encoded(mine.key),
    }
    async with serving(tmp_path) as port:
        assert await asked(tmp_path, port, TRUSTED, {}) == "nobody"
        assert await asked(tmp_path, port, TRUSTED, inline) == "me"
        files = {"client-certificate": "me.crt", "client-key": "me.key"}
        assert await asked(tmp_path, port, TRUSTED, files) == "me"


async def test_a_server_that_is_not_who_it_should_be_is_not_spoken_to(tmp_path: Path) -> None:
    stranger = {"certificate-authority-data": encoded(issue("other").pem.certificate)}
    async with serving(tmp_path) as port:
        for cluster in (stranger, {}, {**TRUSTED, "tls-server-name": "another.test"}):
            with pytest.raises(Unavailable, match=r"(?i)certificate") as caught:
                await asked(tmp_path, port, cluster, {"token": "secret"})
            assert caught.value.is_outcome_known
        assert await asked(tmp_path, port, {"insecure-skip-tls-verify": True}, {}) == "nobody"


def test_a_broken_certificate_is_refused_with_the_field_to_look_at() -> None:
    for tls, pair in ((Tls("no PEM"), None), (Tls(), KeyPair("no PEM", "no PEM"))):
        with pytest.raises(Refusal) as caught:
            tls.context(pair)
        assert "certificate-authority" in caught.value.remedy
