"""Who we are to an API server: tokens that rotate, certificates, programs that hand out either."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from cafe.kernel import Clock, Refusal
from cafe.kube.codec import excerpt
from cafe.kube.objects import parse_time

REREAD_AFTER = timedelta(minutes=1)
"""Kubelets replace a projected token well before it expires; client-go re-reads each minute too."""

EXEC_TIMEOUT = timedelta(minutes=2)
"""A plugin may wait for a person who logs in; not for ever."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A client certificate and its key, both PEM."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credential:
    """What goes with each request. Never logged: its parts are left out of its representation."""

    token: str = field(default="", repr=False)
    key_pair: KeyPair | None = field(default=None, repr=False)


class CredentialSource(Protocol):
    """Where the present credential comes from."""

    async def credential(self) -> Credential:
        """Return the credential to use now.

        Raises:
            Refusal: It cannot be had, and a person must help.
        """

    def reject(self) -> None:
        """Forget what is cached: the server answered 401 to it."""


class FixedCredential:
    """A credential that never changes."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    async def credential(self) -> Credential:
        """Return it."""
        return self._credential

    def reject(self) -> None:
        """There is no other."""


class TokenFile:
    """A token in a file that somebody else rotates: read again each minute and after a 401."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._token = ""
        self._read_at: timedelta | None = None

    async def credential(self) -> Credential:
        """Return the file's token; the last one read if the file is gone for a moment.

        Raises:
            Refusal: The file could never be read.
        """
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at >= REREAD_AFTER:
            self._read(now)
        return Credential(self._token)

    def reject(self) -> None:
        """Read the file again before the next request."""
        self._read_at = None

    def _read(self, now: timedelta) -> None:
        try:
            self._token = self._path.read_text().strip()
        except OSError as error:
            if not self._token:
                raise Refusal(
                    "TokenUnreadable",
                    f"The token file {self._path} cannot be read.",
                    f"{error.strerror}.",
                    "Check the path and its permissions.",
                ) from error
        self._read_at = now


@dataclass(frozen=True, slots=True)
class ExecPlugin:
    """A program that hands out credentials (client.authentication.k8s.io).

    Attributes:
        command: Looked up in PATH.
        arguments: Its arguments.
        environment: Its whole environment.
        api_version: `client.authentication.k8s.io/v1` or `/v1beta1`.
        hint: What to tell a person who lacks the program.
        cluster: The cluster's description, handed over if the kubeconfig asks for it.
    """

    command: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    api_version: str
    hint: str = ""
    cluster: Mapping[str, Any] | None = None


class ExecCredential:
    """Runs the plugin, and keeps its answer until it expires or is rejected."""

    def __init__(self, plugin: ExecPlugin, clock: Clock) -> None:
        self._plugin = plugin
        self._clock = clock
        self._cached: Credential | None = None
        self._expires: datetime | None = None
        self._running = asyncio.Lock()

    async def credential(self) -> Credential:
        """Return the plugin's credential; many callers at once run it once.

        Raises:
            Refusal: The plugin is missing, fails, or answers nonsense.
        """
        async with self._running:
            is_over = self._expires is not None and self._clock.now() >= self._expires
            if self._cached is None or is_over:
                self._cached, self._expires = self._read(await self._run())
            return self._cached

    def reject(self) -> None:
        """Run the plugin again before the next request."""
        self._cached = None

    async def _run(self) -> bytes:
        plugin = self._plugin
        spec: dict[str, Any] = {"interactive": False}
        if plugin.cluster is not None:
            spec["cluster"] = plugin.cluster
        info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}
        environment = {**plugin.environment, "KUBERNETES_EXEC_INFO": json.dumps(info)}
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                plugin.command,
                *plugin.arguments,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=pipe,
                stderr=pipe,
            )
        except OSError as error:
            raise Refusal(
                "PluginMissing",
                f"The credential plugin {plugin.command!r} cannot be started.",
                f"{error.strerror}.",
                plugin.hint or "Install it, or choose another user in the kubeconfig.",
            ) from error
        try:
            async with asyncio.timeout(EXEC_TIMEOUT.total_seconds()):
                out, err = await process.communicate()
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise self._failed(f"It did not answer within {EXEC_TIMEOUT}.") from error
        if process.returncode != 0:
            raise self._failed(f"It ended with status {process.returncode}: {excerpt(err)}")
        return out

    def _read(self, output: bytes) -> tuple[Credential, datetime | None]:
        try:
            document = json.loads(output)
            version, status = document["apiVersion"], document["status"]
            token = status.get("token") or ""
            certificate = status.get("clientCertificateData") or ""
            key = status.get("clientKeyData") or ""
            expiry = status.get("expirationTimestamp")
            expires = parse_time(expiry) if expiry else None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._failed("Its answer is no ExecCredential.") from error
        if version != self._plugin.api_version:
            raise self._failed(f"It answered in {version}, asked for was {self._plugin.api_version}.")
        if not token and not (certificate and key):
            raise self._failed("Its answer holds neither a token nor a certificate with its key.")
        pair = KeyPair(certificate, key) if certificate and key else None
        return Credential(token, pair), expires

    def _failed(self, why: str) -> Refusal:
        return Refusal(
            "PluginFailed",
            f"The credential plugin {self._plugin.command!r} gave no credential.",
            why,
            "Run it by hand to see what it wants; you may have to log in.",
        )
