"""kubeconfig files, merged and read as kubectl does; what it can't do is said with the way out."""

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from cafe.kernel import Clock, Refusal
from cafe.kube.access import Access, Tls
from cafe.kube.credentials import (
    Credential,
    CredentialSource,
    ExecCredential,
    ExecPlugin,
    FixedCredential,
    KeyPair,
    TokenFile,
)

Table: TypeAlias = Mapping[str, Any]

EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")

_PATHS = {
    "clusters": ("certificate-authority",),
    "users": ("client-certificate", "client-key", "tokenFile"),
}


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """The merged files.

    Attributes:
        contexts: By name; as are the others.
        current: The name of the current context; may be empty.
        source: The files' names, for messages.
    """

    contexts: Mapping[str, Table]
    clusters: Mapping[str, Table]
    users: Mapping[str, Table]
    current: str
    source: str

    def access(self, clock: Clock, environment: Mapping[str, str] | None = None, context: str = "") -> Access:
        """Return the way to the cluster of *context*, or of the current one.

        Raises:
            Refusal: The context, its cluster or its user is missing, or asks for what we can't do.
        """
        name = context or self.current
        if not name:
            raise self._refuse(
                "NoContext",
                f"No context is chosen in {self.source}.",
                "current-context is empty.",
                f"Name one of: {', '.join(sorted(self.contexts)) or 'none is defined'}.",
            )
        chosen = self._find("context", self.contexts, name)
        cluster = self._find("cluster", self.clusters, str(chosen.get("cluster") or ""))
        user_name = str(chosen.get("user") or "")
        user = self._find("user", self.users, user_name) if user_name else {}
        server = str(cluster.get("server") or "").rstrip("/")
        if not server.startswith(("https://", "http://")):
            raise self._refuse(
                "BadServer", f"Context {name} has no usable server.", f"It reads {server!r}.", "Write a URL."
            )
        if cluster.get("proxy-url"):
            raise self._refuse(
                "ProxyUnsupported",
                f"Context {name} asks for the proxy {cluster['proxy-url']}.",
                "Proxies are not supported.",
                "Reach the server directly, or through a tunnel such as `ssh -L`.",
            )
        return Access(
            server=server,
            tls=_tls(cluster),
            credentials=_credentials(
                user, cluster, clock, os.environ if environment is None else environment
            ),
            namespace=str(chosen.get("namespace") or "default"),
            name=name,
        )

    def _find(self, what: str, table: Mapping[str, Table], name: str) -> Table:
        if name not in table:
            raise self._refuse(
                f"No{what.capitalize()}",
                f"There is no {what} {name!r} in {self.source}.",
                "",
                f"Known are: {', '.join(sorted(table)) or 'none'}.",
            )
        return table[name]

    @staticmethod
    def _refuse(code: str, what: str, why: str, remedy: str) -> Refusal:
        return Refusal(code, what, why, remedy)


def default_paths(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Return where kubectl looks: the list in KUBECONFIG, or `~/.kube/config`."""
    listed = [Path(part) for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    return tuple(listed) or (Path(environment.get("HOME", "~")).expanduser() / ".kube" / "config",)


def load_kubeconfig(paths: Sequence[Path], *, is_explicit: bool = True) -> Kubeconfig:
    """Read and merge files: the first to name a context, cluster, user or current-context wins.

    Args:
        paths: In order of precedence.
        is_explicit: Each file must exist. If not, as for the list in KUBECONFIG, one is enough.

    Raises:
        Refusal: A file is missing, unreadable or no kubeconfig. The file is named.
    """
    present = [path for path in paths if path.exists()]
    missing = [path for path in paths if path not in present]
    if missing and (is_explicit or not present):
        raise Refusal(
            "KubeconfigMissing",
            f"The kubeconfig {missing[0]} does not exist.",
            "There is no such file.",
            "Name another with --kubeconfig or KUBECONFIG, or run `cafe up` for an embedded cluster.",
        )
    tables: dict[str, dict[str, Table]] = {"contexts": {}, "clusters": {}, "users": {}}
    current = ""
    for path in present:
        document = _read(path)
        current = current or str(document.get("current-context") or "")
        for section, table in tables.items():
            for name, value in _entries(document, section, path):
                table.setdefault(name, _with_absolute_paths(value, section, path))
    source = ", ".join(str(path) for path in present)
    return Kubeconfig(tables["contexts"], tables["clusters"], tables["users"], current, source)


def _read(path: Path) -> Table:
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        # YAML's own message quotes the text around the mistake, which may be a token.
        why = error.strerror if isinstance(error, OSError) else "It is no YAML"
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise Refusal(
            "KubeconfigUnreadable",
            f"The kubeconfig {path} cannot be read.",
            f"{why}{where}.",
            "Check the file with `kubectl config view`.",
        ) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise _malformed(path, "It is no mapping.")
    return document


def _entries(document: Table, section: str, path: Path) -> list[tuple[str, Table]]:
    inner = section.removesuffix("s")
    entries = document.get(section) or []
    if not isinstance(entries, list):
        raise _malformed(path, f"{section} is no list.")
    found = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get(inner) or {}, dict):
            raise _malformed(path, f"An entry of {section} is no mapping.")
        found.append((str(entry.get("name") or ""), entry.get(inner) or {}))
    return found


def _malformed(path: Path, why: str) -> Refusal:
    return Refusal(
        "KubeconfigMalformed",
        f"{path} is no kubeconfig.",
        why,
        "Check the file with `kubectl config view`.",
    )


def _with_absolute_paths(value: Table, section: str, path: Path) -> Table:
    """Resolve file names against the directory of the file that holds them, as kubectl does."""
    changed = dict(value)
    for name in _PATHS.get(section, ()):
        if changed.get(name):
            changed[name] = str(path.parent.resolve() / str(changed[name]))
    command = (changed.get("exec") or {}).get("command") if section == "users" else None
    if isinstance(command, str) and command.startswith("."):
        changed["exec"] = {**changed["exec"], "command": str(path.parent.resolve() / command)}
    return changed


def _tls(cluster: Table) -> Tls:
    return Tls(
        authority=_pem(cluster, "certificate-authority"),
        server_name=str(cluster.get("tls-server-name") or ""),
        is_verified=not cluster.get("insecure-skip-tls-verify"),
    )


def _pem(table: Table, name: str) -> str:
    """Return inline data, or else the file's text; empty if the field is absent."""
    if data := table.get(f"{name}-data"):
        try:
            return base64.b64decode(str(data), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Refusal(
                "BadCertificate",
                f"{name}-data of the kubeconfig cannot be read.",
                "It is no base64 of a PEM text.",
                "Encode the PEM file with `base64 -w0`.",
            ) from error
    if not table.get(name):
        return ""
    path = Path(str(table[name]))
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(
            "CertificateMissing",
            f"The file {path}, named by {name} in the kubeconfig, cannot be read.",
            f"{getattr(error, 'strerror', None) or 'It is no text'}.",
            "Check the path and its permissions.",
        ) from error


def _credentials(
    user: Table, cluster: Table, clock: Clock, environment: Mapping[str, str]
) -> CredentialSource:
    for name in ("auth-provider", "username", "as"):
        if user.get(name):
            # Going on without it would mean acting as somebody else than the file says.
            raise Refusal(
                "AuthUnsupported",
                f"The kubeconfig's user asks for {name!r}.",
                "That way of logging in is not supported.",
                "Use a token, a client certificate or an exec plugin.",
            )
    certificate, key = _pem(user, "client-certificate"), _pem(user, "client-key")
    pair = KeyPair(certificate, key) if certificate and key else None
    if user.get("token"):
        return FixedCredential(Credential(str(user["token"]), pair))
    if user.get("tokenFile"):
        return TokenFile(Path(str(user["tokenFile"])), clock)
    if user.get("exec"):
        return ExecCredential(_plugin(user["exec"], cluster, environment), clock)
    return FixedCredential(Credential("", pair))


def _plugin(spec: Table, cluster: Table, environment: Mapping[str, str]) -> ExecPlugin:
    version = str(spec.get("apiVersion") or "")
    if version not in EXEC_VERSIONS:
        raise Refusal(
            "PluginVersion",
            f"The credential plugin {spec.get('command')!r} speaks {version or 'no version'}.",
            f"Understood are {' and '.join(EXEC_VERSIONS)}.",
            "Update the plugin or the kubeconfig.",
        )
    extra = {str(entry["name"]): str(entry["value"]) for entry in spec.get("env") or ()}
    told = {key: cluster[key] for key in ("server", "tls-server-name") if cluster.get(key)}
    told |= {
        "certificate-authority-data": base64.b64encode(
            _pem(cluster, "certificate-authority").encode()
        ).decode()
    }
    return ExecPlugin(
        command=str(spec.get("command") or ""),
        arguments=tuple(str(argument) for argument in spec.get("args") or ()),
        environment={**environment, **extra},
        api_version=version,
        hint=str(spec.get("installHint") or "").strip(),
        cluster=told if spec.get("provideClusterInfo") else None,
    )
