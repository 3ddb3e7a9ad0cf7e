"""How many pods each unit gets."""

import re
from collections.abc import Mapping, Sequence

from cafe.kernel import Refusal

PERCENT = re.compile(r"(\d{1,3})%")


def spread(
    replicas: int,
    units: Sequence[str],
    pins: Mapping[str, int | str],
    ready: Mapping[str, int],
    turn: int = 0,
) -> dict[str, int]:
    """Share an application's pods out over its units.

    Pinned units are served first, exactly as asked; a percentage rounds half up. The rest is shared evenly
    among the others. A remainder goes to the units with the most ready pods, which moves the fewest; among
    equals to those that come first when one begins to count at *turn*, so that the odd pods of many
    applications don't pile up in one unit.

    Args:
        replicas: Pods wanted in all.
        units: Names of the units, without repetition.
        pins: Units whose size the user fixed: a count, or a percentage of *replicas* like `"30%"`.
        ready: Pods per unit; only breaks ties. Give what was settled before rather than what is ready at the
            moment, or the remainder wanders between units while their pods are updated.
        turn: Where to begin to count, modulo the number of units; another one for each application.

    Returns:
        Pods per unit, in the order of *units*, adding up to *replicas*.

    Raises:
        Refusal: `RepeatedUnit`, `UnknownUnit`, `InvalidPin`, `PinsExceedReplicas`, or `PinsShort` when every
            unit is pinned and their sum is less than *replicas* (rules of OpenKruise's UnitedDeployment).
    """
    if repeated := sorted({u for u in units if [v.lower() for v in units].count(u.lower()) > 1}):
        raise Refusal(
            "RepeatedUnit",
            f"topology.values names {', '.join(repeated)} more than once.",
            "Names that differ only in case count as one, because each unit's set is named in lower case.",
            "Name every unit once.",
        )
    fixed = {unit: pinned_size(unit, pin, replicas) for unit, pin in pins.items()}
    if strangers := sorted(fixed.keys() - set(units)):
        raise Refusal(
            "UnknownUnit",
            f"unitReplicas pins {', '.join(strangers)}, which topology.values doesn't name.",
            remedy="Name the unit in topology.values or drop its pin.",
        )
    pinned = sum(fixed.values())
    free = [unit for unit in units if unit not in fixed]
    told = ", ".join(f"{unit}={fixed[unit]}" for unit in units if unit in fixed)
    if pinned > replicas:
        raise Refusal(
            "PinsExceedReplicas",
            f"unitReplicas asks for {pinned} pods ({told}), but replicas is {replicas}.",
            remedy=f"Raise replicas to at least {pinned} or lower the pins.",
        )
    if not free and pinned < replicas:
        raise Refusal(
            "PinsShort",
            f"Every unit is pinned, to {pinned} pods in all ({told}), but replicas is {replicas}.",
            remedy="Leave one unit unpinned or make the pins add up.",
        )
    share, remainder = divmod(replicas - pinned, len(free)) if free else (0, 0)
    order = {unit: (place - turn) % len(free) for place, unit in enumerate(free)}
    lucky = set(sorted(free, key=lambda unit: (-ready.get(unit, 0), order[unit]))[:remainder])
    return {unit: fixed.get(unit, share + (unit in lucky)) for unit in units}


def pinned_size(unit: str, pin: int | str, replicas: int) -> int:
    """Return how many pods a pin asks for; a percentage of *replicas* rounds half up.

    Raises:
        Refusal: `InvalidPin`.
    """
    if isinstance(pin, int) and pin >= 0:
        return pin
    if isinstance(pin, str) and (match := PERCENT.fullmatch(pin)) and int(match[1]) <= 100:
        return (replicas * int(match[1]) + 50) // 100
    raise Refusal(
        "InvalidPin",
        f"unitReplicas pins {unit} to {pin!r}.",
        "A pin is a count of at least 0 or a percentage from 0% to 100%.",
        'Write for instance 3 or "30%".',
    )
