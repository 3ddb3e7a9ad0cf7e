"""kubeconfig files are read as kubectl reads them, and what is wrong is named with the way out."""

import asyncio
import base64
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from cafe.kernel import Refusal
from cafe.kube.access import in_cluster
from cafe.kube.credentials import TokenFile
from cafe.kube.kubeconfig import Kubeconfig, default_paths, load_kubeconfig
from tests.worlds.clock import HandClock, LoopClock, in_virtual_time


def written(
    path: Path, user: dict[str, Any], cluster: dict[str, Any] | None = None, name: str = "dev"
) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "shop"}}],
        "clusters": [{"name": name, "cluster": {"server": "https://127.0.0.1:6443/", **(cluster or {})}}],
        "users": [{"name": name, "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def load(path: Path) -> Kubeconfig:
    return load_kubeconfig([path])


def refusal(config: Kubeconfig, context: str = "") -> Refusal:
    with pytest.raises(Refusal) as caught:
        config.access(LoopClock(), {}, context)
    assert caught.value.what
    assert caught.value.remedy
    return caught.value


def test_a_kubeconfig_that_names_a_missing_file_says_which(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="nowhere") as caught:
        load_kubeconfig([tmp_path / "nowhere"])
    assert "--kubeconfig" in caught.value.remedy
    config = load(written(tmp_path / "config", {"client-certificate": "gone.crt", "client-key": "gone.key"}))
    assert str(tmp_path / "gone.crt") in refusal(config).what
    config = load(written(tmp_path / "config", {}, {"certificate-authority": "/gone/ca.crt"}))
    assert "/gone/ca.crt" in refusal(config).what


def test_a_missing_context_is_named_with_those_that_exist(tmp_path: Path) -> None:
    config = load(written(tmp_path / "config", {}))
    refused = refusal(config, "prod")
    assert refused.code == "NoContext"
    assert "'prod'" in refused.what
    assert "dev" in refused.remedy


@pytest.mark.parametrize("text", ["a: [", "- 1", "users: {a: 1}", "users: [1]", "contexts: [{context: 7}]"])
def test_a_broken_file_is_refused_without_quoting_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(Refusal) as caught:
        load(path)
    assert str(path) in caught.value.what


def test_a_broken_file_does_not_spill_its_token(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("users:\n- name: x\n  user: {token: s3cr3t\n- y")
    with pytest.raises(Refusal) as caught:
        load(path)
    assert "s3cr3t" not in str(caught.value)
    assert "line" in caught.value.why


def test_what_we_cannot_do_is_refused_and_never_ignored(tmp_path: Path) -> None:
    assert refusal(load(written(tmp_path / "c", {"as": "admin"}))).code == "AuthUnsupported"
    assert (
        refusal(load(written(tmp_path / "c", {"auth-provider": {"name": "gcp"}}))).code == "AuthUnsupported"
    )
    proxied = load(written(tmp_path / "c", {}, {"proxy-url": "http://proxy"}))
    assert refusal(proxied).code == "ProxyUnsupported"
    old = {"exec": {"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "x"}}
    assert refusal(load(written(tmp_path / "c", old))).code == "PluginVersion"


def test_the_first_of_several_files_wins(tmp_path: Path) -> None:
    first = written(tmp_path / "one", {"token": "1"}, {"server": "https://one"})
    second = written(tmp_path / "two", {"token": "2"}, {"server": "https://two"})
    third = written(tmp_path / "three", {"token": "3"}, {"server": "https://three"}, name="other")
    paths = default_paths({"KUBECONFIG": f"{first}:{second}:{tmp_path / 'none'}:{third}"})
    config = load_kubeconfig(paths, is_explicit=False)
    assert config.access(LoopClock(), {}).server == "https://one"
    assert config.access(LoopClock(), {}, "other").server == "https://three"
    assert default_paths({"HOME": "/h"}) == (Path("/h/.kube/config"),)


@in_virtual_time
async def test_a_token_and_inline_data_are_read(tmp_path: Path) -> None:
    authority = base64.b64encode(b"PEM").decode()
    path = written(tmp_path / "c", {"token": "t"}, {"certificate-authority-data": authority})
    access = load(path).access(LoopClock(), {})
    assert access.namespace == "shop"
    assert access.tls.authority == "PEM"
    credential = await access.credentials.credential()
    assert credential.token == "t"
    assert "'t'" not in repr(credential)


@in_virtual_time
async def test_a_rotated_token_file_is_read_again_each_minute_and_after_a_401(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    source = TokenFile(tmp_path / "token", LoopClock())
    assert (await source.credential()).token == "one"
    (tmp_path / "token").write_text("two\n")
    assert (await source.credential()).token == "one"
    await asyncio.sleep(61)
    assert (await source.credential()).token == "two"
    (tmp_path / "token").write_text("three")
    source.reject()
    assert (await source.credential()).token == "three"
    (tmp_path / "token").unlink()
    source.reject()
    assert (await source.credential()).token == "three"


@in_virtual_time
async def test_a_token_file_that_never_existed_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="absent"):
        await TokenFile(tmp_path / "absent", LoopClock()).credential()


def plugin(tmp_path: Path, status: object, code: int = 0) -> dict[str, Any]:
    """A plugin that counts its runs and prints *status*."""
    version = "client.authentication.k8s.io/v1"
    document = json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status})
    script = tmp_path / "plugin.py"
    script.write_text(
        "import os, sys, json\n"
        f"open({str(tmp_path / 'runs')!r}, 'a').write('x')\n"
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "assert info['spec']['cluster']['server'] and os.environ['EXTRA'] == '1'\n"
        f"print({document!r}); sys.exit({code})\n"
    )
    return {
        "exec": {
            "apiVersion": version,
            "command": sys.executable,
            "args": [str(script)],
            "env": [{"name": "EXTRA", "value": "1"}],
            "provideClusterInfo": True,
            "installHint": "Get it from the platform team.",
        }
    }


async def test_a_plugins_credential_is_kept_until_it_expires_or_is_rejected(tmp_path: Path) -> None:
    user = plugin(tmp_path, {"token": "t", "expirationTimestamp": "2026-01-01T01:00:00Z"})
    clock = HandClock()
    source = load(written(tmp_path / "c", user)).access(clock, {}).credentials
    runs = tmp_path / "runs"
    credentials = await asyncio.gather(*(source.credential() for _ in range(3)))
    assert {credential.token for credential in credentials} == {"t"}
    assert len(runs.read_text()) == 1
    source.reject()
    await source.credential()
    assert len(runs.read_text()) == 2
    clock.passed = timedelta(hours=1)
    await source.credential()
    assert len(runs.read_text()) == 3


async def test_a_plugin_that_fails_or_is_missing_is_named(tmp_path: Path) -> None:
    failing = plugin(tmp_path, {"token": "t"}, code=3)
    with pytest.raises(Refusal, match="status 3"):
        await load(written(tmp_path / "c", failing)).access(LoopClock(), {}).credentials.credential()
    empty = plugin(tmp_path, {})
    with pytest.raises(Refusal, match="neither"):
        await load(written(tmp_path / "c", empty)).access(LoopClock(), {}).credentials.credential()
    missing = plugin(tmp_path, {})
    missing["exec"]["command"] = "no-such-plugin-anywhere"
    with pytest.raises(Refusal, match="platform team"):
        await load(written(tmp_path / "c", missing)).access(LoopClock(), {}).credentials.credential()


@in_virtual_time
async def test_a_pod_knows_its_own_cluster(tmp_path: Path) -> None:
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(Refusal, match="does not run in a pod"):
        in_cluster(LoopClock(), environment, tmp_path)
    for name, text in (("token", "t"), ("ca.crt", "PEM"), ("namespace", "cafe")):
        (tmp_path / name).write_text(text)
    access = in_cluster(LoopClock(), environment, tmp_path)
    assert access.server == "https://[fd00::1]:443"
    assert access.namespace == "cafe"
    assert (await access.credentials.credential()).token == "t"
