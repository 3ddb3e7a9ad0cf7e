"""What images there are, and how a process started from one behaves."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from cafe_sim.machinery.hashes import hex_id

_REFERENCE = re.compile(r"^(?P<name>[^@]+?)(?::(?P<tag>[\w][\w.-]*))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?$")


@dataclass(frozen=True, slots=True)
class Image:
    """One content and its behaviour. Durations count from the start of the process.

    Attributes:
        digest: `sha256:…`; two tags with one digest are one content.
        size: In bytes.
        pull_time: How long a node that lacks it pulls.
        ready_after: When its probes begin to succeed; None: never.
        exits_after: When it ends by itself; None: it runs until it is stopped.
        exit_code: With which code it then ends.
        hangs_after: When its probes begin to fail; None: never.
        stops_after: How long it takes to end on SIGTERM.
        pre_stop: How long its preStop command takes, for pods that have one.
    """

    digest: str
    size: int = 50_000_000
    pull_time: timedelta = timedelta(seconds=2)
    ready_after: timedelta | None = timedelta(milliseconds=500)
    exits_after: timedelta | None = None
    exit_code: int = 0
    hangs_after: timedelta | None = None
    stops_after: timedelta = timedelta(milliseconds=200)
    pre_stop: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a registry gives to images whose name contains a word."""

    word: str
    exits_after: timedelta | None = None
    exit_code: int = 0
    is_never_ready: bool = False


WORDS = (
    Behaviour("crash", exits_after=timedelta(seconds=1), exit_code=1),
    Behaviour("unready", is_never_ready=True),
)
ABSENT_WORDS = ("bad", "missing")


def normalised(reference: str) -> str:
    """Write an image reference in full: `nginx` is `docker.io/library/nginx:latest`."""
    name, tag, digest = _split(reference)
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif "." not in first and ":" not in first and first != "localhost":
        name = f"docker.io/{name}"
    if digest:
        return f"{name}@{digest}"
    return f"{name}:{tag or 'latest'}"


def _split(reference: str) -> tuple[str, str | None, str | None]:
    found = _REFERENCE.match(reference)
    if found is None:
        return reference, None, None
    return found["name"], found["tag"], found["digest"]


def repository_of(reference: str) -> str:
    """Return the full reference without tag and digest."""
    full = normalised(reference)
    return _split(full)[0]


def default_pull_policy(reference: str) -> str:
    """Return the API's default `imagePullPolicy`: Always for `latest`, else IfNotPresent."""
    _, tag, digest = _split(reference)
    return "Always" if (tag or "latest") == "latest" and not digest else "IfNotPresent"


@dataclass(frozen=True)
class Registry:
    """Every image reference resolves, but for those whose name or tag contains a word of `absent_words`.

    Attributes:
        images: What particular references are, by full or short reference.
        aliases: References that are another one's content: same digest under two tags.
        absent_words: What cannot be pulled.
        words: Behaviour by words in the last part of the name, or in the tag.
        default: Behaviour of all others; its digest is not used.
    """

    images: Mapping[str, Image] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    absent_words: tuple[str, ...] = ABSENT_WORDS
    words: tuple[Behaviour, ...] = WORDS
    default: Image = Image(digest="")

    def resolve(self, reference: str) -> Image | None:
        """Return what *reference* names, None if it can't be pulled."""
        if reference in self.images:
            return self.images[reference]
        full = normalised(reference)
        if full in self.images:
            return self.images[full]
        target = self.aliases.get(reference) or self.aliases.get(full)
        if target is not None:
            return self.resolve(target)
        last = full.rpartition("/")[2]
        if any(word in last for word in self.absent_words):
            return None
        digest = _split(full)[2] or f"sha256:{hex_id('image', full)}"
        image = replace(self.default, digest=digest)
        for behaviour in self.words:
            if behaviour.word in last:
                image = replace(
                    image,
                    exits_after=behaviour.exits_after,
                    exit_code=behaviour.exit_code,
                    ready_after=None if behaviour.is_never_ready else image.ready_after,
                )
                break
        return image

    def pull_error(self, reference: str) -> str:
        """Return what containerd says about a reference that can't be pulled."""
        full = normalised(reference)
        return (
            f'rpc error: code = NotFound desc = failed to pull and unpack image "{full}": '
            f'failed to resolve reference "{full}": {full}: not found'
        )
