"""What a release would do, before anybody does it."""

from rich.text import Text

from cafe.api.cafedeployment import CafeDeployment
from cafe.cli.ports import Preview
from cafe.cli.terminal import Terminal
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
    if preview.is_refused:
        paths = ", ".join(preview.recreated_because)
        lines.append(Text(words("preview.impossible", paths=paths), "bold red"))
    elif preview.recreated_because:
        paths = ", ".join(preview.recreated_because)
        lines.append(Text(words("preview.recreate", paths=paths), "bold yellow"))
    else:
        lines.append(Text(words("preview.in_place")))
    strategy = wanted.spec.strategy
    advance = "preview.confirm" if strategy.need_waiting_for_confirm else "preview.advance"
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
