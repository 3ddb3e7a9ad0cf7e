"""The configuration files of a real node: containerd, its network, kubelet and kube-proxy."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from testbed.certificates import KeyPair
from testbed.images import PAUSE
from testbed.requirements import cni_directory

CGROUPS: Final = Path("/sys/fs/cgroup")
UNUSED_PLUGINS: Final = (
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp",
)


@dataclass(frozen=True)
class KubeletSettings:
    """What differs from kubelet to kubelet.

    Attributes:
        address: Where it listens; also the node's address.
        ports: Of its API and of its health.
        socket: Of its container runtime.
        control_group: Name of the group at the top that holds all its pods.
        authority: Who signs the API server's client certificate.
        pair: Its own serving certificate.
    """

    address: str
    ports: tuple[int, int]
    socket: Path
    control_group: str
    authority: Path
    pair: KeyPair


def is_unified() -> bool:
    """Tell whether the host has control groups version 2 alone."""
    return (CGROUPS / "cgroup.controllers").exists()


def make_control_group(name: str) -> None:
    """Make a group in every hierarchy: the kubelet refuses a root group that does not exist."""
    for hierarchy in [CGROUPS] if is_unified() else [path for path in CGROUPS.iterdir() if path.is_dir()]:
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):  # Empty in version 1: no process may enter.
            if hierarchy != CGROUPS and (group / setting).exists():
                (group / setting).write_text((hierarchy / setting).read_text())


def write_containerd(directory: Path, socket: Path) -> Path:
    """Write containerd's configuration; its data is in *directory* too."""
    registries = directory / "registries" / "_default"
    registries.mkdir(parents=True)
    # Every pull goes to a closed port of this host and fails at once, whatever the image's name.
    (registries / "hosts.toml").write_text('server = "http://127.0.0.1:1"\n')
    unused = ", ".join(f'"{plugin}"' for plugin in UNUSED_PLUGINS)
    path = directory / "containerd.toml"
    path.write_text(f"""\
version = 2
root = "{directory}/containerd"
state = "{directory}/state"
disabled_plugins = [{unused}]
[grpc]
address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "{directory}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
disable_apparmor = true
restrict_oom_score_adj = true
stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni_directory()}"
conf_dir = "{directory}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{directory}/registries"
""")
    return path


def write_network(directory: Path, bridge: str, subnet: str) -> Path:
    """Write the network plugins' configuration: pods on a bridge, addresses dealt out by file."""
    config = {
        "cniVersion": "0.4.0",
        "name": bridge,
        "plugins": [
            {
                "type": "bridge",
                "bridge": bridge,
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(directory / "addresses"),
                    "ranges": [[{"subnet": subnet}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }
    return _write(directory / "cni" / "10-bridge.conflist", config)


def write_kubelet(directory: Path, settings: KubeletSettings) -> Path:
    """Write the kubelet's configuration."""
    resolver = directory / "resolv.conf"
    resolver.write_text("")  # Pods shall not use the host's name servers.
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": settings.address,
        "port": settings.ports[0],
        "healthzBindAddress": settings.address,
        "healthzPort": settings.ports[1],
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(settings.authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(settings.pair.certificate),
        "tlsPrivateKeyFile": str(settings.pair.key),
        "containerRuntimeEndpoint": f"unix://{settings.socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{settings.control_group}",
        "failCgroupV1": False,  # Refused by default since 1.35; test machines still have it.
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "podLogsDir": str(directory / "pod-logs"),
        "volumePluginDir": str(directory / "volume-plugins"),
        "resolvConf": str(resolver),
        "clusterDomain": "cluster.local",
        # There is no cluster DNS. Nothing listens here, so that a lookup fails at once; without an
        # address the kubelet would warn about every pod.
        "clusterDNS": [settings.address],
        "makeIPTablesUtilChains": False,  # They would be rules on the host that nobody removes.
        "serializeImagePulls": False,
        # The host's disk is not the node's: a full one is the person's matter, not the test's.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
    }
    return _write(directory / "kubelet.json", config)


def write_proxy(directory: Path, kubeconfig: Path, address: str, pods: str) -> Path:
    """Write kube-proxy's configuration: nftables, and hands off the host's other settings."""
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "bindAddress": address,
        "healthzBindAddress": f"{address}:10256",
        "metricsBindAddress": f"{address}:10249",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": pods,
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "nftables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"},
        "nodePortAddresses": [f"{address}/32"],
    }
    return _write(directory / "config.json", config)


def _write(path: Path, config: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config, indent=1))  # JSON is YAML.
    return path
