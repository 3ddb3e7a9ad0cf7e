"""The processes `cafe` and `kubectl-cafe`: the command line, wired to the rest.

What is heavy is imported when a command asks for it: `cafe --help` and completion load click and no more.
"""

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cafe.cli.main import completions, run

if TYPE_CHECKING:
    from cafe.api.cafeapprevision import AppContent, CafeAppRevision
    from cafe.api.cafeappservice import CafeAppService
    from cafe.api.cafedeployment import CafeDeployment
    from cafe.appservices.domain.leaving import Parting
    from cafe.cli.ports import (
        Cluster,
        Difference,
        Document,
        Exported,
        Facts,
        Imported,
        ImportOptions,
        Preview,
        SourceDocument,
        Tell,
        UpOptions,
        Whereabouts,
    )
    from cafe.kernel import Clock

DIRECTIVE_NO_FILES = ":4"
"""What kubectl reads behind a plugin's completions (cobra's ShellCompDirectiveNoFileComp)."""


class RealWiring:
    """Everything real."""

    @cached_property
    def clock(self) -> "Clock":
        """The machine's clock."""
        from cafe.kernel import SystemClock  # noqa: PLC0415 -- on use

        return SystemClock()

    def check(self, whereabouts: "Whereabouts") -> None:
        """Read the kubeconfig and nothing else."""
        from cafe.processes.reaching import find_access  # noqa: PLC0415 -- aiohttp costs 150 ms

        find_access(whereabouts, self.clock)

    @property
    def planner(self) -> "RealPlanner":
        """Previews by the controller's own rules."""
        return RealPlanner()

    @property
    def librarian(self) -> "RealLibrarian":
        """Revisions by the controller's own rules."""
        return RealLibrarian()

    @property
    def importer(self) -> "RealImporter":
        """Manifests."""
        return RealImporter()

    @property
    def exporter(self) -> "RealExporter":
        """The way back."""
        return RealExporter()

    @property
    def platform(self) -> "RealPlatform":
        """`cafe up`."""
        return RealPlatform()

    def connect(self, whereabouts: "Whereabouts") -> "AbstractAsyncContextManager[Cluster]":
        """Open the cluster over HTTP."""
        from cafe.kernel import SystemEntropy  # noqa: PLC0415 -- on use
        from cafe.processes.reaching import reach  # noqa: PLC0415 -- aiohttp costs 250 ms

        return reach(whereabouts, self.clock, SystemEntropy())


class RealPlanner:
    """Plans as the controller does, on what the server says of sets and pods."""

    def preview(self, now: "CafeDeployment", wanted: "CafeDeployment", facts: "Facts") -> "Preview":
        """Plan *wanted*."""
        from cafe.api.names import (  # noqa: PLC0415 -- on use
            POD_REVISION_LABEL,
            REVISION_LABEL,
            UNIT_LABEL,
            UPDATE_GATE,
        )
        from cafe.cli.ports import Preview, UnitLine  # noqa: PLC0415 -- on use
        from cafe.placement.domain.spread import spread  # noqa: PLC0415 -- on use
        from cafe.workloads.adapters.revisions import age_of  # noqa: PLC0415 -- on use
        from cafe.workloads.domain.preview import UnitNow, look_ahead  # noqa: PLC0415 -- on use

        counts: dict[str, dict[str, int]] = {}
        ungated: dict[str, int] = {}
        for pod in facts.pods:
            labels = pod["metadata"].get("labels") or {}
            unit = labels.get(UNIT_LABEL, "")
            gates = {gate.get("conditionType") for gate in pod["spec"].get("readinessGates") or []}
            ungated[unit] = ungated.get(unit, 0) + (UPDATE_GATE not in gates)
            mine = counts.setdefault(unit, {})
            revision = labels.get(POD_REVISION_LABEL) or labels.get(REVISION_LABEL, "")
            mine[revision] = mine.get(revision, 0) + 1
        # Native sets are as large as they have pods; an InPlaceSet tells what it is asked for.
        units = {unit: UnitNow(sum(mine.values()), 0, mine) for unit, mine in counts.items()}
        for document in facts.sets:
            unit = (document["metadata"].get("labels") or {}).get(UNIT_LABEL, "")
            ready = int((document.get("status") or {}).get("readyReplicas") or 0)
            replicas = int(document["spec"].get("replicas") or 0)
            units[unit] = UnitNow(replicas, ready, counts.get(unit, {}), ungated.get(unit, 0))
        ages = {
            (stored["metadata"].get("labels") or {}).get(REVISION_LABEL, ""): age_of(stored)
            for stored in facts.revisions
        }
        outlook = look_ahead(now, wanted, units, spread, ages)
        lines = tuple(UnitLine(c.units, c.setting.path, c.old, c.new) for c in outlook.unit_changes)
        return Preview(outlook.plan, outlook.recreated_because, outlook.is_refused, lines)


class RealLibrarian:
    """Hands revisions to the domain and its findings back."""

    def compare(self, old: "AppContent", new: "AppContent") -> "Sequence[Difference]":
        """Return all fields that differ, by path."""
        from cafe.appservices.domain.comparing import compare  # noqa: PLC0415 -- on use
        from cafe.cli.ports import Difference  # noqa: PLC0415 -- on use

        return [
            Difference(path=c.path, old=c.old, new=c.new, risk=c.risk.value, why=c.why)
            for c in compare(old, new).changes
        ]

    def content_of(self, service: "CafeAppService") -> "AppContent":
        """Return what a service says now."""
        from cafe.appservices.domain.content import content_of  # noqa: PLC0415 -- on use

        return content_of(service.spec)

    def application(self, service: "CafeAppService", revision: "CafeAppRevision", present: int) -> "Document":
        """Return the CafeDeployment that a live revision is rendered to; it has *present* pods now."""
        from cafe.appservices.domain.facts import RevisionFact  # noqa: PLC0415 -- on use
        from cafe.appservices.domain.rendering import render  # noqa: PLC0415 -- on use

        spec = revision.spec
        fact = RevisionFact(spec.number, spec.digest, spec.content, cause=spec.cause)
        return dict(render(service, fact, present)[-1].body)


class RealImporter:
    """Hands documents to the domain and its findings back."""

    def convert(
        self, documents: "Sequence[SourceDocument]", options: "ImportOptions"
    ) -> "Sequence[Imported]":
        """Convert all documents or none."""
        from cafe.cli.ports import Imported, Remark  # noqa: PLC0415 -- on use
        from cafe.workloads.domain.importing import convert  # noqa: PLC0415 -- on use
        from cafe.workloads.domain.takeover.manifests import Source, Wish  # noqa: PLC0415 -- on use

        sources = [Source(d.source, d.number, d.line, d.body) for d in documents]
        wish = Wish(
            options.namespace,
            options.unit_type,
            options.units,
            options.replicas,
            options.strategy,
            options.adopted,
            options.pod_set,
        )
        return [
            Imported(
                kind=found.source.body["kind"],
                name=found.source.body["metadata"]["name"],
                source=found.source.source,
                number=found.source.number,
                line=found.source.line,
                outcome=found.outcome,
                document=dict(found.document) if found.document is not None else None,
                remarks=[
                    Remark(field=v.field, verdict=v.verdict, to=v.to, why=v.why) for v in found.verdicts
                ],
            )
            for found in convert(sources, wish)
        ]


class RealExporter:
    """Unfolds application services, hands all to the workloads' domain, and its findings back."""

    def export(
        self, documents: "Sequence[SourceDocument]", namespace: str, *, is_live: bool
    ) -> "Sequence[Exported]":
        """Convert all documents or none."""
        from cafe.appservices.domain.leaving import Unfolding  # noqa: PLC0415 -- on use
        from cafe.kernel import Refusal  # noqa: PLC0415 -- on use
        from cafe.placement.domain.spread import spread  # noqa: PLC0415 -- on use
        from cafe.workloads.domain.exporting import demand_named, export  # noqa: PLC0415 -- on use
        from cafe.workloads.domain.leaving.manifests import refused  # noqa: PLC0415 -- on use
        from cafe.workloads.domain.takeover.manifests import Source  # noqa: PLC0415 -- on use

        sources = [Source(d.source, d.number, d.line, d.body) for d in documents]
        for source in sources:
            demand_named(source)
        unfolding = Unfolding([s.body for s in sources], is_live=is_live)

        def part(source: Source) -> "Parting":
            try:
                return unfolding.part(source.body)
            except Refusal as refusal:
                raise refused(source, refusal) from refusal

        found: list[Exported] = []
        parted: list[Source] = []
        for source, parting in [(source, part(source)) for source in sources]:
            parted += [Source(source.source, source.number, source.line, d) for d in parting.documents]
            if parting.losses:
                found.append(_exported(source.body, (), parting.losses, is_left_out=parting.is_left_out))
        for one in export(parted, namespace, spread):
            losses = [(loss.where, loss.code, loss.values) for loss in one.losses]
            found.append(_exported(one.source.body, one.documents, losses, is_left_out=one.is_left_out))
        return found


def _exported(
    body: "Mapping[str, Any]",
    documents: "Sequence[Mapping[str, Any]]",
    losses: "Sequence[tuple[str, str, Mapping[str, str]]]",
    *,
    is_left_out: bool,
) -> "Exported":
    """Return what crosses the port of one document."""
    from cafe.cli.ports import Exported, Loss  # noqa: PLC0415 -- on use

    return Exported(
        kind=body["kind"],
        name=body["metadata"]["name"],
        documents=[dict(d) for d in documents],
        losses=[Loss(field=where, code=code, values=dict(values)) for where, code, values in losses],
        is_left_out=is_left_out,
    )


class RealPlatform:
    """`cafe up`, in this process."""

    @property
    def program(self) -> Sequence[str]:
        """The words that start this program anew."""
        return [sys.executable, "-m", "cafe.processes.commandline"]

    async def up(self, options: "UpOptions", tell: "Tell") -> None:
        """Run the platform until cancelled."""
        from cafe.processes.up import run_up  # noqa: PLC0415 -- the simulator and all controllers

        await run_up(options, tell)


def main() -> None:
    """Be `cafe`."""
    sys.exit(run(RealWiring(), sys.argv[1:], "cafe"))


def main_kubectl() -> None:
    """Be `kubectl cafe`."""
    sys.exit(run(RealWiring(), sys.argv[1:], "kubectl cafe"))


def main_complete() -> None:
    """Be `kubectl_complete-cafe`, which kubectl 1.26 and later ask for completions."""
    for value in completions(sys.argv[1:], RealWiring()):
        sys.stdout.write(f"{value}\n")
    sys.stdout.write(f"{DIRECTIVE_NO_FILES}\n")


if __name__ == "__main__":
    main()
