"""In which order the containers of a living pod get their new images.

A pod template says it in an annotation: `cafe.sofastack.io/launch-priority: proxy=10, app=0`. The highest
goes first, and the next only once those before it run anew and are ready; containers that aren't named have
0. What is still to be written stands in the pod's own update state, so it survives controllers, and targets
that move. At a pod's birth Kubernetes starts containers at once; there, an init container with
`restartPolicy: Always` comes first.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cafe.api.names import LAUNCH_PRIORITY_ANNOTATION
from cafe.kernel import Refusal
from cafe.workloads.domain.facts import PodFact

Template = Mapping[str, Any]
Images = Mapping[str, str]
"""Image by container."""

ENTRY = re.compile(r"\s*([a-z0-9]([-a-z0-9]*[a-z0-9])?)\s*=\s*(-?\d{1,4})\s*")


def priorities_of(template: Template) -> dict[str, int]:
    """Return the priorities that a template gives its containers; none, if they can't be read."""
    text = ((template.get("metadata") or {}).get("annotations") or {}).get(LAUNCH_PRIORITY_ANNOTATION, "")
    return {match[1]: int(match[3]) for _, match in _entries(text) if match}


def _entries(text: str) -> list[tuple[str, re.Match[str] | None]]:
    """Return each entry of the annotation as it is written, and as it is read."""
    return [(entry.strip(), ENTRY.fullmatch(entry)) for entry in text.split(",")]


def demand_priorities(annotations: Mapping[str, str], spec: Mapping[str, Any]) -> None:
    """Refuse launch priorities that can't be read, or that name no container.

    Args:
        annotations: Of the pod template.
        spec: Of its pods.

    Raises:
        Refusal: `BadLaunchPriority`.
    """
    text = annotations.get(LAUNCH_PRIORITY_ANNOTATION)
    if text is None:
        return
    names = [c.get("name") for c in spec.get("containers") or []]
    entries = _entries(text)
    unread = [entry for entry, match in entries if not match]
    told = [match[1] for _, match in entries if match]
    strangers = sorted({name for name in told if name not in names})
    twice = sorted({name for name in told if told.count(name) > 1})
    for wrong, why in (
        (unread, "{} is no NAME=NUMBER."),
        (strangers, "{} is no container of the template."),
        (twice, "{} has two priorities."),
    ):
        if wrong:
            raise Refusal(
                "BadLaunchPriority",
                f"The annotation {LAUNCH_PRIORITY_ANNOTATION} of the template can't be followed: {text!r}.",
                why.format(", ".join(repr(one) for one in wrong)),
                f"Write for instance {names[0] if names else 'proxy'}=10; what isn't named has 0.",
            )


def in_batches(images: Images, priorities: Mapping[str, int]) -> tuple[Images, ...]:
    """Cut images into what may be written together, highest priority first."""
    ranks = sorted({priorities.get(name, 0) for name in images}, reverse=True)
    return tuple(
        {name: image for name, image in images.items() if priorities.get(name, 0) == rank} for rank in ranks
    )


def due_images(pod: PodFact, images: Images) -> Images:
    """Return what must be written for a change by *images*, with what an earlier one has left unwritten.

    A container whose image was never written may have the wanted one still: it is left alone.
    """
    pending = {name: image for batch in later_of(pod) for name, image in batch.items()}
    there = {name: c.image for name, c in pod.containers.items() if name in pending}
    return {name: image for name, image in {**pending, **images}.items() if there.get(name) != image}


def later_of(pod: PodFact) -> Sequence[Images]:
    """Return what is to be written once the containers before it serve."""
    return pod.state.later if pod.state is not None else ()


def may_follow(pod: PodFact) -> bool:
    """Whether the containers that were changed are ready, so that the next may be."""
    changed = (pod.state.before or {}) if pod.state is not None else {}
    return all(name in pod.containers and pod.containers[name].is_ready for name in changed)
