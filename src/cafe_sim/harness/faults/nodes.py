"""What befalls nodes, zones and their kubelets."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from cafe_sim.harness.chance import Chance
from cafe_sim.harness.faults.kinds import Args, FaultKind, Undo, no_undo, nothing
from cafe_sim.harness.plan import Shape
from cafe_sim.kubelet.kubelet import Kubelet
from cafe_sim.kubelet.registry import Registry

if TYPE_CHECKING:
    from cafe_sim.harness.world import World


def _draw_node(chance: Chance, shape: Shape) -> Args:
    return {"node": chance.below(shape.cells * shape.nodes)}


def _chosen(world: "World", args: Args) -> Kubelet:
    kubelets = world.kubelets()
    return kubelets[int(args["node"]) % len(kubelets)]


def _power(world: "World", args: Args, _: Chance) -> Undo:
    kubelet = _chosen(world, args)
    kubelet.power_off()
    world.met("node loses power")
    return lambda: _power_on(kubelet)


def _power_on(kubelet: Kubelet) -> None:
    if not kubelet.is_powered:
        kubelet.power_on()


def _zone(world: "World", args: Args, _: Chance) -> Undo:
    cell = sorted(world.cells)[args["cell"] % len(world.cells)]
    lost = [k for k in world.kubelets() if k.spec.name.startswith(f"{cell}-")]
    world.met("zone is lost")
    return _without_power(lost)


def _without_power(machines: list[Kubelet]) -> Undo:
    for kubelet in machines:
        kubelet.power_off()

    def undo() -> None:
        for kubelet in machines:
            _power_on(kubelet)

    return undo


def _draw_cell(chance: Chance, shape: Shape) -> Args:
    return {"cell": chance.below(shape.cells)}


def _mass_reboot(world: "World", _: Args, __: Chance) -> Undo:
    """All machines lose power; they boot when it is back."""
    world.met("all nodes reboot")
    return _without_power(world.kubelets())


def _cut(world: "World", args: Args, _: Chance) -> Undo:
    """The kubelet can't reach the API server; its pods go on serving."""
    kubelet = _chosen(world, args)
    if not kubelet.is_connected:
        return no_undo
    kubelet.cut_off()
    world.met("node is cut from the control plane")
    return kubelet.reconnect


def _flap(world: "World", args: Args, chance: Chance) -> Undo:
    kubelet = _chosen(world, args)
    is_over: list[bool] = []

    def turn() -> None:
        if is_over or not kubelet.is_powered:
            return
        if kubelet.is_connected:
            kubelet.cut_off()
        else:
            kubelet.reconnect()
        world.network.later(chance.span(timedelta(seconds=2), timedelta(seconds=20)), turn)

    turn()
    world.met("node flaps")

    def undo() -> None:
        is_over.append(True)
        if not kubelet.is_connected:
            kubelet.reconnect()

    return undo


def _hang(world: "World", args: Args, _: Chance) -> Undo:
    """Probes of all containers on a node fail, as when only its data plane is cut."""
    kubelet = _chosen(world, args)
    for uid, sandbox in list(kubelet.runtime.sandboxes.items()):
        for container in sandbox.running():
            kubelet.hang(uid, container.name)
            world.met("data plane is cut")

    def undo() -> None:
        for uid, sandbox in list(kubelet.runtime.sandboxes.items()):
            for container in sandbox.running():
                kubelet.recover(uid, container.name)

    return undo


def _kubelet_dies(world: "World", args: Args, _: Chance) -> Undo:
    kubelet = _chosen(world, args)
    if not kubelet.is_powered:
        return no_undo
    kubelet.crash()
    world.met("kubelet dies")
    return lambda: kubelet.restart() if kubelet.is_powered else None


def _container_dies(world: "World", args: Args, chance: Chance) -> Undo:
    kubelet = _chosen(world, args)
    living = [(uid, s) for uid, s in sorted(kubelet.runtime.sandboxes.items()) if s.running()]
    if living:
        uid, sandbox = living[chance.below(len(living))]
        kubelet.runtime.kill(uid, sandbox.running()[0].name, reason="OOMKilled")
        world.met("container is killed")
    return no_undo


def _slow(world: "World", args: Args, _: Chance) -> Undo:
    world.nodes.set_timing(start=timedelta(seconds=args["seconds"]))
    world.met("kubelets are slow")
    return world.nodes.reset_timing


def _late(world: "World", args: Args, _: Chance) -> Undo:
    """What a kubelet reports was true some seconds ago, as when the API server throttles it."""
    kubelet = _chosen(world, args)
    kubelet.report_delay = timedelta(seconds=args["seconds"])
    world.met("kubelet reports late")

    def undo() -> None:
        kubelet.report_delay = timedelta()

    return undo


def _draw_late(chance: Chance, shape: Shape) -> Args:
    return {"node": chance.below(shape.cells * shape.nodes), "seconds": chance.one_of((1, 4, 15))}


def _draw_slow(chance: Chance, _: Shape) -> Args:
    return {"seconds": chance.one_of((2, 10, 40))}


def _no_pulls(world: "World", _: Args, __: Chance) -> Undo:
    usual = world.nodes.registry
    world.nodes.set_registry(replace(usual, absent_words=(*usual.absent_words, ":")))
    world.met("registry is down")
    return lambda: world.nodes.set_registry(replace(usual, absent_words=Registry().absent_words))


NODE_FAULTS: tuple[FaultKind, ...] = (
    FaultKind("node loses power", "node", _draw_node, _power, longest=600.0),
    FaultKind("zone is lost", "zone", _draw_cell, _zone, longest=600.0),
    FaultKind("all nodes reboot", "node", nothing, _mass_reboot),
    FaultKind("node is cut from the control plane", "node", _draw_node, _cut, longest=600.0),
    FaultKind("node flaps", "node", _draw_node, _flap, longest=120.0),
    FaultKind("data plane is cut", "node", _draw_node, _hang),
    FaultKind("kubelet dies", "kubelet", _draw_node, _kubelet_dies),
    FaultKind("container is killed", "kubelet", _draw_node, _container_dies, longest=0.0),
    FaultKind("kubelets are slow", "kubelet", _draw_slow, _slow),
    FaultKind("kubelet reports late", "kubelet", _draw_late, _late),
    FaultKind("registry is down", "kubelet", nothing, _no_pulls),
)
