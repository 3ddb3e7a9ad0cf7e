"""What a release changes in a CafeDeployment: a pure edit of the document, and its refusals."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from cafe.api.names import CHANGE_CAUSE_ANNOTATION
from cafe.cli.errors import Exit, Problem
from cafe.cli.ports import Document


@dataclass(frozen=True, slots=True)
class Change:
    """What the user asked for; None and empty leave a field alone.

    Attributes:
        images: `container=image`, or an image alone for the only container.
        template: A whole pod template.
        overrides: What single units shall have otherwise; of units that are gone nothing is kept.
        strategy: Fields of `spec.strategy`.
    """

    images: Sequence[str] = ()
    template: Mapping[str, Any] | None = None
    strategy: Mapping[str, Any] | None = None
    replicas: int | None = None
    cause: str = ""
    overrides: Sequence[Mapping[str, Any]] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked for."""
        return not self.images and self.template is None and not self.strategy and self.replicas is None


def edited(document: Document, change: Change) -> Document:
    """Return *document* with *change* made.

    Raises:
        Problem: An image names no container.
    """
    wanted = deepcopy(document)
    spec = wanted["spec"]
    if change.template is not None:
        spec["template"] = deepcopy(dict(change.template))
    if change.overrides is not None:
        _set_overrides(spec, change.overrides)
    for said in change.images:
        _set_image(spec["template"], said, wanted["metadata"]["name"])
    if change.strategy:
        known = spec.get("strategy") or {}
        spec["strategy"] = {**known, **change.strategy}
        if "grouping" in change.strategy:
            spec["strategy"]["grouping"] = {**(known.get("grouping") or {}), **change.strategy["grouping"]}
    if change.replicas is not None:
        spec["replicas"] = change.replicas
    if change.cause:
        annotations = wanted["metadata"].setdefault("annotations", {})
        annotations[CHANGE_CAUSE_ANNOTATION] = change.cause
    return wanted


def _set_overrides(spec: dict[str, Any], overrides: Sequence[Mapping[str, Any]]) -> None:
    """Write overrides, as far as their units are still there."""
    topology = spec.get("topology") or {}  # Without one there are no units.
    there = topology.get("values") or []
    topology.pop("overrides", None)
    found = [{**one, "units": [u for u in one["units"] if u in there]} for one in overrides]
    if kept := [deepcopy(one) for one in found if one["units"]]:
        topology["overrides"] = kept


def _set_image(template: dict[str, Any], said: str, name: str) -> None:
    containers = template["spec"]["containers"]
    names = [str(c.get("name")) for c in containers]
    container, separator, image = said.partition("=")
    if not separator:
        container, image = "", said
    if not image or image != image.strip() or " " in image:
        raise Problem(
            Exit.USAGE,
            "BadImage",
            f"{said!r} names no image.",
            "",
            "Write --image CONTAINER=IMAGE, or --image IMAGE if there is one container.",
        )
    if not container:
        if len(containers) > 1:
            raise Problem(
                Exit.USAGE,
                "AmbiguousImage",
                f"{name} has {len(containers)} containers; which one gets {image}?",
                f"They are called {', '.join(names)}",
                f"--image {names[0]}={image}",
            )
        container = names[0]
    if container not in names:
        raise Problem(
            Exit.USAGE,
            "NoContainer",
            f"{name} has no container {container!r}.",
            f"It has: {', '.join(names)}",
            f"--image {names[0]}={image}",
        )
    containers[names.index(container)]["image"] = image


def template_of(documents: Sequence[Document], source: str) -> Mapping[str, Any]:
    """Return the pod template of a file: bare, of a PodTemplate, or of a workload's spec.

    Raises:
        Problem: There is none, or more than one.
    """
    found = [t for t in map(_template_in, documents) if t is not None]
    if len(found) == 1:
        return found[0]
    raise Problem(
        Exit.USAGE,
        "NoTemplate" if not found else "ManyTemplates",
        f"{source} holds {len(found)} pod templates; one is needed.",
        "A pod template has spec.containers; a Deployment or CafeDeployment has it in spec.template",
        "kubectl get cafed NAME -o yaml",
    )


def _template_in(document: Document) -> Mapping[str, Any] | None:
    spec = document.get("spec")
    inner = spec.get("template") if isinstance(spec, dict) else document.get("template")
    for candidate in (inner, document):
        if isinstance(candidate, dict) and (candidate.get("spec") or {}).get("containers"):
            return {k: candidate[k] for k in ("metadata", "spec") if k in candidate}
    return None
