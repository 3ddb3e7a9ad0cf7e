"""`cafe import`: Deployments and StatefulSets become CafeDeployments, and every field is accounted for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from cafe.api.names import ADOPT_ANNOTATION
from cafe.cli.commands.living import count_running, is_cafes, read_live
from cafe.cli.commands.releasing import strategy_of
from cafe.cli.errors import Exit, Problem, problem_of
from cafe.cli.lazy import Command, Option
from cafe.cli.manifests import read_manifest
from cafe.cli.output import output_option, structured
from cafe.cli.ports import Cluster, Imported, ImportOptions
from cafe.cli.resources import DEPLOYMENTS, STATEFUL_SETS
from cafe.cli.session import Session
from cafe.cli.views.tables import table
from cafe.kernel import CafeError, ObjectKey, Refusal


@click.command("import", cls=Command, help="help.import")
@click.argument("names", nargs=-1)
@click.option("-f", "--filename", "files", multiple=True, cls=Option, help="option.filename")
@click.option("--live", is_flag=True, cls=Option, help="option.live")
@click.option("--adopt", is_flag=True, cls=Option, help="option.adopt")
@click.option(
    "--pod-set",
    type=click.Choice(["InPlaceSet", "ReplicaSet"]),
    default="InPlaceSet",
    show_default=True,
    cls=Option,
    help="option.pod_set",
)
@click.option("--cells", default="", cls=Option, help="option.cells")
@click.option("--zones", default="", cls=Option, help="option.zones")
@click.option("--replicas", multiple=True, cls=Option, help="option.import_replicas")
@click.option("--batch-size", type=click.IntRange(min=1), cls=Option, help="option.batch_size")
@click.option("--beta/--no-beta", default=None, cls=Option, help="option.beta")
@click.option("--need-confirm/--no-need-confirm", default=None, cls=Option, help="option.need_confirm")
@click.option("--max-unavailable", cls=Option, help="option.max_unavailable")
@click.option("--grace-period", type=click.IntRange(0, 3600), cls=Option, help="option.grace_period")
@click.option("--force-conflicts", is_flag=True, cls=Option, help="option.force_conflicts")
@click.option("--dry-run", is_flag=True, cls=Option, help="option.import_dry_run")
@output_option(("json", "yaml"))
@click.pass_obj
def import_(
    session: Session,
    /,
    output: str | None,
    *,
    dry_run: bool,
    force_conflicts: bool,
    **asked: Any,  # noqa: ANN401 -- the options
) -> int:
    """Take over manifests."""
    _demand_source(asked)
    documents = [document for path in asked["files"] for document in read_manifest(path)]
    if asked["files"] and not documents:
        raise Problem(Exit.USAGE, "EmptyManifest", f"{', '.join(asked['files'])} holds no document.")

    async def work(cluster: Cluster) -> int:
        options = _options(asked, session.namespace or cluster.place.namespace)
        taken = documents or await read_live(cluster, options.namespace, asked["names"])
        if asked["adopt"]:
            options = replace(options, adopted=await count_running(cluster, options, taken))
        found = session.wiring.importer.convert(taken, options)
        if output:
            session.terminal.write(structured({"kind": "ImportReport", "items": list(found)}, output))
        else:
            _report(session, found)
        await _apply(session, cluster, found, is_dry=dry_run, force=force_conflicts)
        left_out = any(item.document is None for item in found)
        return Exit.PARTIAL if left_out else Exit.MET

    return session.run(work)


def _demand_source(asked: Mapping[str, Any]) -> None:
    """Refuse to guess what is to be taken over.

    Raises:
        Problem: Neither files nor live objects were named, or both.
    """
    if bool(asked["files"]) == bool(asked["live"]):
        raise Problem(
            Exit.USAGE,
            "Usage",
            "Say what is to be taken over.",
            "It is either in files or live in the namespace",
            "Give -f FILE, or --live with the names of Deployments or StatefulSets.",
        )
    if asked["names"] and not asked["live"]:
        raise Problem(Exit.USAGE, "Usage", "Names are for --live.", "", "Leave them out, or give --live.")
    in_place = "--adopt" if asked["adopt"] else "--grace-period" if asked["grace_period"] else ""
    if in_place and asked["pod_set"] != "InPlaceSet":
        raise Problem(
            Exit.USAGE,
            "Usage",
            f"{in_place} needs --pod-set InPlaceSet.",
            f"{asked['pod_set']}s replace their pods, so none can be kept or drained where it is",
            f"Leave {in_place} out, or import with --pod-set InPlaceSet.",
        )


def _options(asked: Mapping[str, Any], namespace: str) -> ImportOptions:
    cells, zones = _listed(asked["cells"]), _listed(asked["zones"])
    if cells and zones:
        raise Problem(
            Exit.USAGE, "Usage", "--cells and --zones can't both be the units.", "", "Keep one of them."
        )
    strategy = strategy_of(dict(asked))
    if asked["grace_period"] is not None:
        strategy["gracePeriodSeconds"] = asked["grace_period"]
    return ImportOptions(
        namespace=namespace,
        unit_type="Cell" if cells else "Zone" if zones else "None",
        units=cells or zones,
        replicas=dict(_sized(text) for text in asked["replicas"]),
        strategy=strategy,
        pod_set=asked["pod_set"],
    )


def _listed(text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(set(names)) < len(names):
        raise Problem(Exit.USAGE, "Usage", f"{text} names a unit twice.", "", "Name each once.")
    return tuple(names)


def _sized(text: str) -> tuple[str, int]:
    name, separator, count = text.partition("=")
    if not separator or not name or not count.isdigit():
        raise Problem(
            Exit.USAGE, "Usage", f"--replicas {text} can't be read.", "", "Write --replicas NAME=COUNT."
        )
    return name, int(count)


def _report(session: Session, found: Sequence[Imported]) -> None:
    """Write what becomes of each object, and of each field that does not simply stay."""
    terminal = session.terminal
    words = terminal.words
    rows = [
        [
            f"{i.kind}/{i.name}",
            words.word(i.outcome),
            str(i.document["kind"])
            if i.outcome == "Converted" and i.document
            else words("import.as_is")
            if i.document
            else "-",
            str(i.line or "-"),
        ]
        for i in found
    ]
    for line in table([words(f"import.{h}") for h in ("object", "outcome", "becomes", "line")], rows):
        terminal.write(line)
    for item in found:
        remarks = [r for r in item.remarks if r.verdict != "Mapped" or r.why]
        if not remarks:
            continue
        terminal.write("")
        terminal.write(f"{item.kind}/{item.name}")
        rows = [[f"  {r.field}", words.word(r.verdict), r.to or "-", r.why] for r in remarks]
        for line in table(["  " + words("import.field"), *_heads(session)], rows):
            terminal.write(line)


def _heads(session: Session) -> list[str]:
    return [session.terminal.words(f"import.{h}") for h in ("verdict", "to", "why")]


async def _apply(
    session: Session, cluster: Cluster, found: Sequence[Imported], *, is_dry: bool, force: bool
) -> None:
    """Have the server check every object; only if it takes all of them, apply them."""
    wanted = [item for item in found if item.document is not None]
    for item in wanted:
        try:
            await cluster.apply(item.document or {}, dry_run=True, force=force)
        except (CafeError, Problem) as error:
            raise _refused(item, error) from error
    if is_dry:
        session.terminal.say("import.dry", count=len(wanted))
        return
    for done, item in enumerate(wanted):
        try:
            await cluster.apply(item.document or {}, force=force)
        except (CafeError, Problem) as error:
            raise _refused(item, error, wanted[:done]) from error
        session.terminal.progress(f"[{done + 1}/{len(wanted)}] {_name(item)}")
    session.terminal.say("import.done", count=len(wanted), program=session.program)
    await _warn_of_twins(session, cluster, wanted)


def _name(item: Imported) -> str:
    kind = (item.document or {}).get("kind", item.kind)
    return f"{kind}/{item.name}"


def _refused(item: Imported, error: Exception, standing: Sequence[Imported] = ()) -> Problem:
    """Return the problem of an object that the server did not take; *standing* were applied before it."""
    known = problem_of(error) or Problem(Exit.FAILURE, type(error).__name__, str(error))
    is_unknown = known.code == "UnknownOutcome"
    happened = "may have been applied or not" if is_unknown else "is refused"
    stands = "nothing before it was applied" if is_unknown else "nothing was applied"
    if standing:
        stands = f"these before it were applied and stay: {', '.join(map(_name, standing))}"
    where = f"Document {item.number} of {item.source}, line {item.line} ({_name(item)})"
    what = f"{where} {happened}; {stands}."
    why = ". ".join(part.rstrip(".") for part in (known.what, known.why) if part)
    is_api_no = isinstance(error, Refusal) and known.exit is Exit.FAILURE
    do = "Correct it and repeat." if is_api_no else known.do
    if known.exit is Exit.CONFLICT:
        do = "Repeat with --force-conflicts to take these fields over."
    if standing or is_unknown:
        do = f"{do.rstrip('.')}; repeating applies the same objects again and harms nothing."
    return Problem(known.exit, known.code, what, why, do)


async def _warn_of_twins(session: Session, cluster: Cluster, wanted: Sequence[Imported]) -> None:
    """Say which Deployments and StatefulSets still run beside what was made from them."""
    for item in wanted:
        if item.outcome != "Converted" or item.document is None:
            continue
        meta = item.document["metadata"]
        if ADOPT_ANNOTATION in (meta.get("annotations") or {}):
            continue  # It is about to be given up.
        key = ObjectKey(meta["namespace"], meta["name"])
        is_stateful = item.kind == STATEFUL_SETS.kind
        try:
            twin = await cluster.get(STATEFUL_SETS if is_stateful else DEPLOYMENTS, key)
        except (CafeError, Problem):
            continue  # None there, or none that we may see: nothing to warn of.
        if is_cafes(twin):
            continue  # It was made from it a moment ago, and bears the same name.
        session.terminal.say(_twin_message(item), name=key.name, namespace=key.namespace)


def _twin_message(item: Imported) -> str:
    """Return the key of what is to be said: without units, a new StatefulSet has the name of the old one."""
    if item.kind != STATEFUL_SETS.kind:
        return "import.twin"
    units = ((item.document or {})["spec"]["topology"]).get("values")
    return "import.twin_set" if units else "import.twin_name"
