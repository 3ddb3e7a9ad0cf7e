"""One application on one screen: header, why, matrix, units, traffic, trouble with the way out, events."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from cafe.api.cafedeployment import CafeDeployment
from cafe.cli.messages import Catalogue
from cafe.cli.terminal import Terminal
from cafe.cli.views.drawing import Pen, draw_matrix, pen_of, spell_matrix
from cafe.cli.views.matrix import matrix_of
from cafe.cli.views.picture import Picture, SickPod, event_time, images_of
from cafe.cli.views.shelf import service_of
from cafe.cli.views.tables import age, table
from cafe.cli.views.trafficlines import traffic_lines

EVENTS_SHOWN = 5
TROUBLES_SHOWN = 3
PHASE_COLOURS = {
    "Complete": "bold green",
    "WaitingForConfirm": "bold yellow",
    "Paused": "bold magenta",
    "Refused": "bold red",
    "Progressing": "bold cyan",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """How commands are written for this user.

    Attributes:
        program: `cafe` or `kubectl cafe`.
        namespace: To be named with `-n`; empty if it is the default one.
    """

    program: str
    namespace: str = ""

    def command(self, verb: str, name: str, rest: str = "") -> str:
        """Return a command line that can be copied."""
        where = f" -n {self.namespace}" if self.namespace else ""
        return f"{self.program} app {verb} {name}{where}" + (f" {rest}" if rest else "")


def group_word(index: int, words: Catalogue) -> str:
    """Return how people call a group."""
    return words("group.beta") if index == 0 else words("group.nth", index=index)


def group_option(index: int) -> str:
    """Return a group as `--group` takes it."""
    return "beta" if index == 0 else str(index)


def why(app: CafeDeployment, words: Catalogue) -> str:
    """Say in one sentence why the release stands where it stands."""
    status, waiting = app.status, app.status.waiting
    if status.observed_generation < app.metadata.generation:
        return words("why.behind" if status.observed_generation else "why.unseen")
    if status.phase == "Complete":
        return words("why.complete", revision=status.update_revision, pods=status.replicas)
    if waiting is None:
        return words("why.unknown")
    if waiting.reason == "WaitingForConfirm" and waiting.group is not None:
        return words("why.confirm", group=group_word(waiting.group, words))
    if words.has(f"why.{waiting.reason}"):
        return words(f"why.{waiting.reason}")
    return waiting.message or waiting.reason


def what_to_do(picture: Picture, caller: Caller) -> str:
    """Return the command that brings the release on; empty if nothing is to be done."""
    app, waiting = picture.app, picture.app.status.waiting
    name = app.metadata.name
    if not picture.is_current or waiting is None:
        return ""
    if waiting.reason == "WaitingForConfirm" and waiting.group is not None:
        rest = f"--group {group_option(waiting.group)} --plan {waiting.plan_hash}"
        return caller.command("confirm", name, rest)
    if waiting.reason == "Paused":
        return caller.command("resume", name)
    return _way_out(picture, caller) if is_stuck(picture) else ""


def _way_out(picture: Picture, caller: Caller) -> str:
    """Return the command that ends a release that can't go on."""
    name = picture.app.metadata.name
    if service := service_of(picture.app):
        return caller.command("rollback", service, "--reason WHY")
    if picture.way_back is not None:
        return caller.command("release", name, f"--to-revision {picture.way_back.number}")
    return caller.command("release", name, "--image IMAGE")


def is_stuck(picture: Picture) -> bool:
    """Whether pods can't start while the release wants them to."""
    return bool(picture.sick) and picture.app.status.phase not in {"Complete", ""}


def draw_app(
    picture: Picture,
    terminal: Terminal,
    caller: Caller,
    width: int | None = None,
    *,
    events_shown: int = EVENTS_SHOWN,
) -> list[Text]:
    """Return the lines of the whole screen, with the newest events last."""
    words = terminal.words
    pen = pen_of(terminal, width)
    lines = [*header(picture, pen, caller), Text()]
    sick = {pod.unit: pod.reason for pod in picture.sick} if is_stuck(picture) else {}
    matrix = matrix_of(picture.app, sick)
    if matrix is None:
        lines.append(Text(words("app.no_plan")))
    elif not matrix.columns:
        lines.append(Text(words("app.nothing_to_update")))
    elif terminal.is_accessible:
        lines += spell_matrix(matrix, pen)
    else:
        lines += draw_matrix(matrix, pen, picture.app.spec.topology.unit_type.value)
    lines += [Text(), *_units(picture, pen)]
    if away := traffic_lines(picture.pods, picture.now, pen):
        lines += [Text(), *away]
    if troubles := _troubles(picture, pen):
        lines += [Text(), *troubles]
    if events := _events(picture, pen, events_shown):
        lines += [Text(), *events]
    return lines


def header(picture: Picture, pen: Pen, caller: Caller) -> list[Text]:
    """Return name, phase, revision, images; why it stands where it stands, and what to do."""
    words, app = pen.words, picture.app
    status = app.status
    line = Text(f"{app.metadata.name}", "bold")
    line.append(f"  {app.metadata.namespace}  ", "bright_black")
    line.append(status.phase or "-", PHASE_COLOURS.get(status.phase, "bold"))
    if picture.problem:
        line.append("  " + words("app.stale", why=picture.problem), "bold red")
    numbers = {r.hash: r.number for r in picture.revisions}
    number = numbers.get(status.update_revision)
    known = f"{number} ({status.update_revision})" if number else status.update_revision or "-"
    details = [(words("app.revision"), known), (words("app.images"), ", ".join(images_of(_template(app))))]
    if status.plan is not None:
        details.append((words("app.plan"), status.plan.hash))
    details.append((words("app.why"), why(app, words)))
    if todo := what_to_do(picture, caller):
        details.append((words("app.do"), todo))
    margin = max(cell_len(label) for label, _ in details) + 2
    told = [Text(pen.fit(label, margin), "bold").append(value, "not bold") for label, value in details]
    return [line, *told]


def _template(app: CafeDeployment) -> dict[str, object]:
    return {"spec": app.spec.template.spec}


def _units(picture: Picture, pen: Pen) -> list[Text]:
    words, app = pen.words, picture.app
    if not app.status.units:
        return []
    heads = [
        words(f"matrix.{app.spec.topology.unit_type.value}"),
        *(words(f"units.{n}") for n in ("desired", "partition", "pods", "updated", "available", "why")),
    ]
    rows = [
        [
            u.name or words("matrix.all"),
            *(str(n) for n in (u.desired, u.partition, u.replicas, u.updated, u.available)),
            u.message,
        ]
        for u in app.status.units
    ]
    return [Text(pen.cut(line)) for line in table(heads, rows)]


def _troubles(picture: Picture, pen: Pen) -> list[Text]:
    """Return the pods that can't start: what the kubelet says, under the matrix, with numbers."""
    if not is_stuck(picture):
        return []
    kinds: dict[tuple[str, str], list[SickPod]] = {}
    for pod in picture.sick:
        kinds.setdefault((pod.reason, pod.image), []).append(pod)
    lines: list[Text] = []
    for (reason, image), pods in list(kinds.items())[:TROUBLES_SHOWN]:
        units = Counter(p.unit for p in pods)
        where = ", ".join(f"{unit}: {n}" if unit else str(n) for unit, n in sorted(units.items()))
        said = pen.words("app.trouble", count=len(pods), reason=reason, image=image, where=where)
        lines.append(Text(said, "bold red"))
        if pods[0].message:
            lines.append(Text(pen.cut(f"  {pods[0].pod}: {pods[0].message}")))
    if picture.way_back is not None:
        lines.append(Text(pen.words("app.back", number=picture.way_back.number, images=_back(picture))))
    return lines


def _back(picture: Picture) -> str:
    return ", ".join(picture.way_back.images) if picture.way_back else ""


def _events(picture: Picture, pen: Pen, count: int) -> list[Text]:
    shown = list(picture.events)[-count:] if count else []
    rows: list[Sequence[str]] = [
        [age(event_time(e) or None, picture.now), str(e.get("reason", "")), str(e.get("message", ""))]
        for e in shown
    ]
    heads = [pen.words("events.age"), pen.words("events.reason"), pen.words("events.message")]
    return [Text(pen.cut(line)) for line in table(heads, rows)] if rows else []
