"""What proves that a change of a living pod has come into being.

An image: a new image ID, or, for a tag whose digest is unchanged (k#635, k#2297), a new container ID, once
the kubelet's report covers the pod's newest generation.

Neither is a proof by itself. A kubelet that was cut off restarts what ran before, or what the change before
this one asked for; when it hears of this change it first reports that container, covered by the newest
generation, and only then replaces it. The report names the container's image. Where that is another than the
one asked for (two tags of one digest, too, may be told by either name), the container is noted, and believed
once it has outlived the time that its end would take.

CPU and memory: the container runs and reports the new amounts, and the pod has no condition of a resize that
is pending or in progress (KEP-1287).
"""

from collections.abc import Mapping

from cafe.workloads.domain.facts import ContainerBefore, ContainerFact, PodFact
from cafe.workloads.domain.sizes import has

NOWHERE = ContainerFact(image="")


def is_complete(pod: PodFact) -> bool:
    """Whether all changed containers run anew, or have their size, as far as the kubelet can be trusted."""
    if pod.state is None or pod.state.before is None or not pod.is_observed or outstanding(pod):
        return False
    return all(
        (now := pod.containers.get(name)) is not None
        and now.is_running
        and (now.image_id != was.image_id or now.container_id != was.container_id)
        for name, was in pod.state.before.items()
    )


def is_of_image(container: ContainerFact, was: ContainerBefore) -> bool:
    """Whether a container that is new runs the image that was asked for, by its report.

    Runtimes that tell no name but a bare digest prove it by another one than before.
    """
    asked, _, digest = container.image.partition("@")
    if digest:
        return container.image_id.endswith(digest)
    if not container.reported or container.reported.startswith("sha256:"):
        return container.image_id != was.image_id
    return full_name(container.reported) == full_name(asked)


def full_name(image: str) -> str:
    """Return an image's name as runtimes resolve it: with registry, `library/` and tag, without digest."""
    name = image.split("@", 1)[0]
    head, _, tail = name.partition("/")
    is_host = bool(tail) and ("." in head or ":" in head or head == "localhost")
    if not is_host:
        name = f"docker.io/{name}" if tail else f"docker.io/library/{name}"
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def has_begun(pod: PodFact) -> bool:
    """Whether the kubelet took up the change under way, so that a restart still to come can't be mistaken.

    Were a pod changed anew while what ran *before* still runs, the restart owed to the first change would be
    taken for the completion of the second.
    """
    if pod.state is None or pod.state.before is None:
        return True
    if not pod.is_observed:
        return False
    return all(
        (now := pod.containers.get(name)) is None
        or not now.is_running
        or now.container_id != was.container_id
        for name, was in pod.state.before.items()
    )


def unasked(pod: PodFact) -> dict[str, Mapping[str, str]]:
    """Return the sizes that the pod's spec doesn't ask for yet."""
    sizes = pod.state.sizes if pod.state else {}
    return {name: size for name, size in sizes.items() if not has(_container(pod, name).asked, size)}


def outstanding(pod: PodFact) -> dict[str, Mapping[str, str]]:
    """Return the sizes that containers have not got yet, as far as the kubelet's report can be trusted."""
    sizes = pod.state.sizes if pod.state else {}
    if pod.resizing is not None or not pod.is_observed:
        return dict(sizes)
    return {name: size for name, size in sizes.items() if not _has_got(_container(pod, name), size)}


def is_misfit(pod: PodFact) -> bool:
    """Whether the pod's node says that it can never give what is outstanding."""
    return pod.resizing is not None and pod.resizing.reason == "Infeasible" and bool(outstanding(pod))


def _has_got(container: ContainerFact, size: Mapping[str, str]) -> bool:
    return container.is_running and has(container.asked, size) and has(container.given, size)


def _container(pod: PodFact, name: str) -> ContainerFact:
    return pod.containers.get(name, NOWHERE)
