"""Whether the way from one pod template to another can be gone without replacing the pod.

Only what the API server lets change on a living pod counts: container images, CPU and memory, labels,
annotations.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cafe.workloads.domain.launching import priorities_of
from cafe.workloads.domain.sizes import Size, quality_of, size_between, sized_paths

Template = Mapping[str, Any]

GATE_MISSING = ("spec.readinessGates",)
"""Why an adopted pod can't be changed in place: our gate can't be added to it."""


@dataclass(frozen=True, slots=True)
class InPlace:
    """The change can be made in the living pod. None as a value removes the label or annotation.

    Attributes:
        priorities: Of containers with new images; those with a higher one come first.
    """

    images: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str | None] = field(default_factory=dict)
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    sizes: Mapping[str, Size] = field(default_factory=dict)
    priorities: Mapping[str, int] = field(default_factory=dict)

    @property
    def restarts(self) -> bool:
        """Whether a container starts anew, so that the pod has to leave traffic."""
        return bool(self.images) or any(size.restarts for size in self.sizes.values())


@dataclass(frozen=True, slots=True)
class Recreate:
    """The change needs a new pod, because of *paths*: at least one, sorted, as a person would write them."""

    paths: tuple[str, ...]


def change_between(old: Template, new: Template) -> InPlace | Recreate:
    """Say how a pod of template *old* becomes one of template *new*."""
    old_spec, new_spec = old.get("spec") or {}, new.get("spec") or {}
    images, sizes, paths = _containers(old_spec.get("containers") or [], new_spec.get("containers") or [])
    if sizes and quality_of(old_spec) != quality_of(new_spec):
        # The quality of service of a living pod is fixed (KEP-1287).
        paths += sized_paths(sizes)
    paths += [
        f"spec.{key}"
        for key in sorted((old_spec.keys() | new_spec.keys()) - {"containers"})
        if old_spec.get(key) != new_spec.get(key)
    ]
    if paths:
        return Recreate(tuple(sorted(paths)))
    old_meta, new_meta = old.get("metadata") or {}, new.get("metadata") or {}
    return InPlace(
        images,
        _moved(old_meta.get("labels") or {}, new_meta.get("labels") or {}),
        _moved(old_meta.get("annotations") or {}, new_meta.get("annotations") or {}),
        sizes,
        priorities_of(new) if images else {},
    )


def _containers(
    old: list[Mapping[str, Any]], new: list[Mapping[str, Any]]
) -> tuple[dict[str, str], dict[str, Size], list[str]]:
    """Return the images and the sizes that change, and the paths that need a new pod."""
    old_names, new_names = [c.get("name") for c in old], [c.get("name") for c in new]
    if old_names != new_names:
        return {}, {}, ["spec.containers"]
    images: dict[str, str] = {}
    sizes: dict[str, Size] = {}
    paths: list[str] = []
    for was, will in zip(old, new, strict=True):
        for key in sorted(was.keys() | will.keys()):
            if was.get(key) == will.get(key):
                continue
            if key == "image" and will.get("image"):
                images[will["name"]] = will["image"]
            elif key == "resources" and (size := size_between(was, will)) is not None:
                sizes |= {} if size.is_same else {will["name"]: size}
            else:
                paths.append(f"spec.containers[{will.get('name')}].{key}")
    return images, sizes, paths


def _moved(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str | None]:
    changed: dict[str, str | None] = {k: v for k, v in new.items() if old.get(k) != v}
    return changed | dict.fromkeys(old.keys() - new.keys())
