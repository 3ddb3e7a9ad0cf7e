"""What a release would do, before anybody does it."""

from rich.text import Text

from cafe.api.cafedeployment import CafeDeployment, PodSetType
from cafe.cli.ports import Preview, UnitLine
from cafe.cli.terminal import Terminal
from cafe.cli.views.differences import shown
from cafe.cli.views.drawing import draw_matrix, pen_of, spell_matrix
from cafe.cli.views.matrix import preview_matrix
from cafe.cli.views.picture import images_of


def draw_preview(
    now: CafeDeployment, wanted: CafeDeployment, preview: Preview, terminal: Terminal
) -> list[Text]:
    """Return the lines: what changes, how the pods get there, and the matrix of the groups."""
    words = terminal.words
    pen = pen_of(terminal)
    lines = [Text(words("preview.title", name=wanted.metadata.name), "bold")]
    old, new = images_of({"spec": now.spec.template.spec}), images_of({"spec": wanted.spec.template.spec})
    containers = [str(c.get("name")) for c in wanted.spec.template.spec.get("containers") or []]
    if len(old) == len(new):
        lines += [
            Text(words("preview.image", container=container, old=was, new=will))
            for container, was, will in zip(containers, old, new, strict=False)
            if was != will
        ]
    lines += [_unit_line(line, terminal) for line in preview.units]
    lines += _way(wanted, preview, terminal)
    strategy = wanted.spec.strategy
    if preview.plan.rollback:
        lines.append(Text(words("preview.rollback")))
    asks = strategy.rollback if preview.plan.rollback else strategy
    advance = "preview.confirm" if asks.need_waiting_for_confirm else "preview.advance"
    lines.append(Text(words(advance)))
    lines.append(Text(words("preview.budget", budget=strategy.max_unavailable)))
    if strategy.pause:
        lines.append(Text(words("preview.paused"), "bold magenta"))
    lines.append(Text())
    if not preview.plan.groups:
        return [*lines, Text(words("app.nothing_to_update"))]
    matrix = preview_matrix(preview.plan)
    if terminal.is_accessible:
        return [*lines, *spell_matrix(matrix, pen)]
    return [*lines, *draw_matrix(matrix, pen, wanted.spec.topology.unit_type.value)]


def _unit_line(line: UnitLine, terminal: Terminal) -> Text:
    """Say what is otherwise in some units, and stays so or begins or ends to be."""
    key = "preview.unit_stays" if line.old == line.new else "preview.unit"
    old, new = shown(line.old), shown(line.new)
    return Text(terminal.words(key, units=", ".join(line.units), path=line.path, old=old, new=new))


def _way(wanted: CafeDeployment, preview: Preview, terminal: Terminal) -> list[Text]:
    """Say how the pods get there."""
    words, paths = terminal.words, ", ".join(preview.recreated_because)
    kind = wanted.spec.pod_set_type
    if preview.is_refused:
        return [Text(words("preview.impossible", paths=paths), "bold red")]
    if kind is not PodSetType.IN_PLACE_SET:
        return [Text(words("preview.native", kind=kind.value))] if paths else []
    if paths:
        return [Text(words("preview.recreate", paths=paths), "bold yellow")]
    return [Text(words("preview.in_place"))]
