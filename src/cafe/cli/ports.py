"""What the command line needs from the rest of CAFE; `cafe.processes.commandline` makes it real.

Objects cross these ports whole, as JSON documents, because the command line shows and edits what it does not
model. Failures cross as `cafe.kernel` errors, and as `cafe.cli.errors.Problem` where an exit code is meant.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from cafe.api.cafeapprevision import AppContent, CafeAppRevision
from cafe.api.cafeappservice import CafeAppService
from cafe.api.cafedeployment import CafeDeployment, Plan
from cafe.kernel import Clock, ObjectKey

Document: TypeAlias = dict[str, Any]
"""One API object as the server holds it."""

Tell: TypeAlias = Callable[[str], None]
"""Where progress goes: one line for people."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the API: how its objects are addressed and called."""

    api_version: str
    plural: str
    kind: str
    is_namespaced: bool = True


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Which kubeconfig is used, and who said so.

    Attributes:
        paths: Files to merge, in order of precedence.
        source: For messages: `--kubeconfig`, `$KUBECONFIG`, `cafe up` or `~/.kube/config`.
        is_explicit: Each file must exist.
        context: Name of the context; empty for the file's current one.
    """

    paths: tuple[Path, ...]
    source: str
    is_explicit: bool = False
    context: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """The cluster that is spoken to.

    Attributes:
        namespace: The context's default one.
        where: The kubeconfig and who named it, for messages.
    """

    context: str
    server: str
    namespace: str
    where: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """One state of a followed object.

    Attributes:
        document: None once the object is gone.
        problem: Why the view may be stale; empty while it is live.
    """

    document: Document | None
    problem: str = ""


class Cluster(Protocol):
    """One API server.

    Every method raises `Problem` if the object is missing or we may not; `cafe.kernel.Conflict`, `Refusal`
    and `Unavailable` otherwise.
    """

    @property
    def place(self) -> Place:
        """Where we are."""

    async def get(self, resource: Resource, key: ObjectKey) -> Document:
        """Read one object."""

    async def list(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Sequence[Document]:
        """Read a collection; None for all namespaces. Selectors as in kubectl."""

    async def replace(self, resource: Resource, document: Document, *, dry_run: bool = False) -> Document:
        """Write a whole object, guarded by its resourceVersion; return it as stored."""

    async def apply(self, document: Document, *, dry_run: bool = False, force: bool = False) -> Document:
        """Apply an object of any kind server-side; return it as stored, or as it would be."""

    async def read(self, path: str) -> Any:  # noqa: ANN401 -- any JSON document
        """Read any JSON document of the server."""

    async def post(self, path: str, document: Document) -> Document:
        """Post to a path that answers a question, such as an access review."""

    def follow(self, resource: Resource, key: ObjectKey) -> AsyncGenerator[Sighting, None]:
        """Yield the object now and after each change, through broken connections; end when it is gone."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a plan is made from, beside the application.

    Attributes:
        sets: The application's InPlaceSets; native sets are known by their pods.
        pods: Its pods.
        revisions: Its ControllerRevisions.
    """

    sets: Sequence[Document] = ()
    pods: Sequence[Document] = ()
    revisions: Sequence[Document] = ()


@dataclass(frozen=True, slots=True)
class UnitLine:
    """What changes in some units only; *old* and *new* are equal if they stay while the others change."""

    units: tuple[str, ...]
    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Preview:
    """What a changed application would do.

    Attributes:
        units: What changes in single units only.
        recreated_because: Paths of the template that can't be changed in place; empty if pods stay.
        is_refused: The change can't be made in place and the policy forbids another way.
    """

    plan: Plan
    recreated_because: tuple[str, ...] = ()
    is_refused: bool = False
    units: tuple[UnitLine, ...] = ()


class Planner(Protocol):
    """Says beforehand what a release would do."""

    def preview(self, now: CafeDeployment, wanted: CafeDeployment, facts: Facts) -> Preview:
        """Plan *wanted*, as its controller would.

        Raises:
            cafe.kernel.Refusal: The controller would refuse it.
        """


class Difference(Struct, frozen=True, kw_only=True, rename="camel"):
    """One field in which two revisions differ.

    Attributes:
        old: None if the field is new; *new* is None if it is gone.
        risk: `High` or `Ordinary`, and *why* it is high.
    """

    path: str
    old: Any = None
    new: Any = None
    risk: str = "Ordinary"
    why: str = ""

    @property
    def is_risky(self) -> bool:
        """Whether it deserves care."""
        return self.risk == "High"


class Librarian(Protocol):
    """Knows what revisions hold, how they differ, and what becomes of them."""

    def compare(self, old: AppContent, new: AppContent) -> Sequence[Difference]:
        """Return all fields that differ, by path."""

    def content_of(self, service: CafeAppService) -> AppContent:
        """Return what a service says now."""

    def application(self, service: CafeAppService, revision: CafeAppRevision, present: int) -> Document:
        """Return the CafeDeployment's `metadata` and `spec` that a live revision is rendered to."""


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """One document of a manifest. *number* counts from 1, *line* is where it begins in *source*."""

    source: str
    number: int
    line: int
    body: Document


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How Deployments and StatefulSets are taken over.

    Attributes:
        unit_type: `Cell`, `Zone` or `None`, with *units* their names.
        replicas: Pods per workload's name, where it differs from the manifest.
        strategy: Fields of the CafeDeployment's strategy that override what is derived.
        adopted: By the Deployment's name, how many of its running pods are to be taken over in each unit.
        pod_set: What serves the pods of a Deployment: `InPlaceSet` or `ReplicaSet`.
    """

    namespace: str = ""
    unit_type: str = "None"
    units: tuple[str, ...] = ()
    replicas: Mapping[str, int] = field(default_factory=dict)
    strategy: Mapping[str, Any] = field(default_factory=dict)
    adopted: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    pod_set: str = "InPlaceSet"


class Remark(Struct, frozen=True, kw_only=True, rename="camel"):
    """What becomes of one field: `Mapped`, `Changed`, or `NotMapped`, and why."""

    field: str
    verdict: str
    to: str = ""
    why: str = ""


class Imported(Struct, frozen=True, kw_only=True, rename="camel"):
    """What becomes of one object.

    Attributes:
        source: The file that holds it; *number* counts its documents from 1.
        outcome: `Converted`, `Applied` as it is, or `LeftOut`.
        document: What will be applied; None if it is left out.
    """

    kind: str
    name: str
    source: str
    number: int
    line: int
    outcome: str
    document: Document | None = None
    remarks: list[Remark] = []


class Importer(Protocol):
    """Turns manifests into CAFE's kinds."""

    def convert(self, documents: Sequence[SourceDocument], options: ImportOptions) -> Sequence[Imported]:
        """Convert all documents or none.

        Raises:
            cafe.kernel.Refusal: A document is broken; its number and line are named.
        """


class Loss(Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that plain Kubernetes can't say; `export.loses.<code>` tells it, *values* filled in."""

    field: str
    code: str
    values: dict[str, str] = {}


class Exported(Struct, frozen=True, kw_only=True, rename="camel"):
    """What becomes of one object on its way to plain Kubernetes.

    Attributes:
        documents: What stands for it; none if others do, or if it is left out.
        is_left_out: Nothing stands for it, and the losses say why.
    """

    kind: str
    name: str
    documents: list[Document] = []
    losses: list[Loss] = []
    is_left_out: bool = False


class Exporter(Protocol):
    """Turns CAFE's kinds into plain Kubernetes."""

    def export(
        self, documents: Sequence[SourceDocument], namespace: str, *, is_live: bool
    ) -> Sequence[Exported]:
        """Convert all documents or none.

        Args:
            documents: CAFE's kinds and whatever is beside them.
            namespace: Where objects go that name none; empty to leave that open.
            is_live: They were read from a cluster, so of application services counts what runs.

        Raises:
            cafe.kernel.Refusal: A document can't be exported; it is named.
        """


@dataclass(frozen=True, slots=True)
class UpOptions:
    """How `cafe up` brings the platform up.

    Attributes:
        home: Directory of state: `$CAFE_HOME` or `~/.cafe`; exists.
        kubeconfig: A real cluster's; None for the embedded one.
        context: Of *kubeconfig*.
        namespace: Where the controller keeps its lease; empty for the default.
        state_file: Where an `UpState` with `ready: true` is to be written, atomically, when all is up.
        cells: Names of the embedded cluster's cells; empty for the default.
        nodes_per_cell: Nodes of each, in the embedded cluster.
        port: The embedded API server's; 0 for any.
    """

    home: Path
    state_file: Path
    kubeconfig: Path | None = None
    context: str = ""
    namespace: str = ""
    cells: tuple[str, ...] = ()
    nodes_per_cell: int = 0
    port: int = 0


class UpState(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a running `cafe up` tells the other commands, in `up.json`."""

    pid: int
    kubeconfig: str
    context: str = ""
    server: str = ""
    ready: bool = False
    embedded: bool = True


class Platform(Protocol):
    """The platform of `cafe up`."""

    @property
    def program(self) -> Sequence[str]:
        """The words that start this program anew, for a detached child."""

    async def up(self, options: UpOptions, tell: Tell) -> None:
        """Run until cancelled; write the state file when ready; leave nothing behind."""


class Wiring(Protocol):
    """Everything real, built only when a command asks for it."""

    @property
    def clock(self) -> Clock:
        """The time."""

    def check(self, whereabouts: Whereabouts) -> None:
        """Read the kubeconfig, as connecting would, and speak to nobody.

        Raises:
            cafe.kernel.Refusal: It is missing or can't be used.
        """

    @property
    def planner(self) -> Planner:
        """Previews."""

    @property
    def librarian(self) -> Librarian:
        """Revisions of application services."""

    @property
    def importer(self) -> Importer:
        """Manifests."""

    @property
    def exporter(self) -> Exporter:
        """The way back."""

    @property
    def platform(self) -> Platform:
        """`cafe up`."""

    def connect(self, whereabouts: Whereabouts) -> AbstractAsyncContextManager[Cluster]:
        """Open the cluster; leaving the context closes it."""
