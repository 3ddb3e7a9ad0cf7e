"""Images without a registry: built here from one static binary, in the docker-archive format.

An image is two layers: the test application, and a file that says who it is and which version. Two
tags with the same version have the same content and so the same digest. Layers hold fixed owners,
modes and times, so that a digest depends on the content alone.
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import yaml

from testbed.build import APP, build

PORT: Final = 9080
PAUSE: Final = "cafe.test/pause:1"
PRODUCTPAGE: Final = "cafe.test/bookinfo/productpage"
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """A test image.

    Attributes:
        reference: Name and tag, such as "cafe.test/bookinfo/reviews:v2". Real names of other
            registries work too: nodes never ask a registry.
        name: Who it says it is at GET /.
        version: Which version it says it is; together with name and port it makes the digest.
        port: Where it listens.
        ports: Where it listens too.
    """

    reference: str
    name: str
    version: str
    port: int = PORT
    ports: tuple[int, ...] = ()

    @classmethod
    def of(cls, reference: str, version: str | None = None, ports: Iterable[int] = ()) -> "Image":
        """Make an image whose name and version are those of its reference.

        Args:
            reference: With a tag.
            version: Content, if the tag shall not tell: "…:v2-same" with version "v2".
            ports: Where it listens beside the usual port.
        """
        path, _, tag = reference.partition("@")[0].rpartition(":")
        others = tuple(sorted(set(ports) - {PORT}))
        return cls(reference, path.rpartition("/")[2], version or tag, ports=others)

    @property
    def tag(self) -> str:
        """Its reference without a digest: an archive knows tags alone."""
        return self.reference.partition("@")[0]

    @property
    def names(self) -> tuple[str, str] | None:
        """Its tag and its digest in full, as containerd resolves them; None if a tag is all it has."""
        tag, _, digest = self.reference.partition("@")
        if not digest:
            return None
        name, _, label = tag.rpartition(":")
        host = name.partition("/")[0]
        if "/" not in name:
            name = f"docker.io/library/{name}"
        elif "." not in host and ":" not in host:
            name = f"docker.io/{name}"
        return f"{name}:{label}", f"{name}@{digest}"

    @property
    def identity(self) -> bytes:
        """What it finds in /app.json."""
        said: dict[str, object] = {"name": self.name, "version": self.version, "port": self.port}
        return json.dumps(said | ({"ports": self.ports} if self.ports else {})).encode()


STANDARD: Final = (
    Image.of(f"{PRODUCTPAGE}:v1"),
    Image.of(f"{PRODUCTPAGE}:v2"),
    Image.of(f"{PRODUCTPAGE}:v2-same", version="v2"),
)
"""What every real node has from the start, beside the pause image."""


def write_archive(target: Path, images: Iterable[Image]) -> Path:
    """Write images, and the pause image, as one docker-archive that `ctr images import` reads."""
    app = build(APP).read_bytes()
    program = _program(app)
    manifest, blobs = [], {_name(program): program}
    for image in images:
        content = _layer({"app.json": (image.identity, 0o644)})
        config = _config([program, content], ["/app"], image.port)
        blobs |= {_name(content): content, _config_name(config): config}
        manifest.append(_entry(image.tag, config, [program, content]))
    pause_layer = _layer({"pause": (app, 0o755)})
    pause = _config([pause_layer], ["/pause"], None)
    blobs |= {_name(pause_layer): pause_layer, _config_name(pause): pause}
    manifest.append(_entry(PAUSE, pause, [pause_layer]))
    blobs["manifest.json"] = json.dumps(manifest).encode()
    target.write_bytes(_tar({name: (content, 0o644) for name, content in blobs.items()}))
    return target


def images_in(manifest: Path) -> list[Image]:
    """Return an image for each that a manifest's containers name; it listens on the ports they declare."""
    ports: dict[str, set[int]] = {}

    def visit(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("image"), str):
                declared = value.get("ports") or ()
                ports.setdefault(value["image"], set()).update(port["containerPort"] for port in declared)
            for inner in value.values():
                visit(inner)
        elif isinstance(value, list):
            for inner in value:
                visit(inner)

    for document in yaml.safe_load_all(manifest.read_text()):
        visit(document)
    return [Image.of(reference, ports=found) for reference, found in sorted(ports.items())]


def image_id(image: Image) -> str:
    """Return the digest that identifies the image's content: that of its configuration."""
    program = _program(build(APP).read_bytes())
    content = _layer({"app.json": (image.identity, 0o644)})
    return f"sha256:{_digest(_config([program, content], ['/app'], image.port))}"


def _entry(reference: str, config: bytes, layers: list[bytes]) -> dict[str, object]:
    return {
        "Config": _config_name(config),
        "RepoTags": [reference],
        "Layers": [_name(layer) for layer in layers],
    }


def _config(layers: list[bytes], entrypoint: list[str], port: int | None) -> bytes:
    run: dict[str, object] = {"Entrypoint": entrypoint}
    if port is not None:
        run["ExposedPorts"] = {f"{port}/tcp": {}}
    return json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}" for layer in layers]},
        }
    ).encode()


def _program(app: bytes) -> bytes:
    """Return the layer with the application, which is the image's shell too."""
    return _tar({"app": (app, 0o755)}, {"bin/sh": "/app"})


def _layer(files: dict[str, tuple[bytes, int]]) -> bytes:
    return _tar(files)


def _tar(files: dict[str, tuple[bytes, int]], links: Mapping[str, str] = MappingProxyType({})) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, (content, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(name)  # Owner 0, time 0.
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
        for name, target in sorted(links.items()):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _name(layer: bytes) -> str:
    return f"{_digest(layer)}/layer.tar"


def _config_name(config: bytes) -> str:
    return f"{_digest(config)}.json"
