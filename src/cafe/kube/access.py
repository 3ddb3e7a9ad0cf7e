"""The way to one API server, however it was described: by a kubeconfig or by the pod we run in."""

import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cafe.kernel import Clock, Refusal
from cafe.kube.credentials import CredentialSource, KeyPair, TokenFile

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a kubelet puts a pod's credentials."""


@dataclass(frozen=True, slots=True)
class Tls:
    """How to trust the server.

    Attributes:
        authority: PEM; empty trusts the system's authorities.
        server_name: Checked instead of the address's host, if not empty.
        is_verified: False trusts anybody.
    """

    authority: str = ""
    server_name: str = ""
    is_verified: bool = True

    def context(self, key_pair: KeyPair | None) -> ssl.SSLContext:
        """Build the TLS context, with a client certificate if there is one.

        Raises:
            Refusal: A certificate or key is broken.
        """
        try:
            context = ssl.create_default_context(cadata=self.authority or None)
            if not self.is_verified:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if key_pair is not None:
                _load_pair(context, key_pair)
        except (ssl.SSLError, ValueError) as error:
            raise Refusal(
                "BadCertificate",
                "A certificate or key of the kubeconfig cannot be used.",
                f"{error}.",
                "Check certificate-authority, client-certificate and client-key.",
            ) from error
        return context


def _load_pair(context: ssl.SSLContext, pair: KeyPair) -> None:
    """Load a pair from memory, through a file that only we can read: the ssl module takes nothing else."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # Created with mode 0600.
        file.write(f"{pair.certificate}\n{pair.key}\n")
        file.flush()
        context.load_cert_chain(file.name)


@dataclass(frozen=True, slots=True)
class Access:
    """All that is needed to reach one API server.

    Attributes:
        server: Base URL without a trailing slash.
        tls: Ignored for plain HTTP.
        credentials: Who we are.
        namespace: The default one.
        name: What a person calls it: the context's name.
    """

    server: str
    tls: Tls
    credentials: CredentialSource
    namespace: str = "default"
    name: str = ""


def in_cluster(clock: Clock, environment: Mapping[str, str], directory: Path = SERVICE_ACCOUNT) -> Access:
    """Return the way from inside a pod to its own cluster.

    Raises:
        Refusal: This is no pod, or it has no service account token.
    """
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    token, authority = directory / "token", directory / "ca.crt"
    if not host or not port or not token.exists():
        raise Refusal(
            "NotInCluster",
            "This process does not run in a pod with a service account.",
            f"KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is unset, or {token} is missing.",
            "Name a kubeconfig instead.",
        )
    namespace = directory / "namespace"
    shown = f"[{host}]" if ":" in host else host
    return Access(
        server=f"https://{shown}:{port}",
        tls=Tls(authority.read_text() if authority.exists() else ""),
        credentials=TokenFile(token, clock),
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        name="in-cluster",
    )
