"""What placement offers to the other features."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class Spread(Protocol):
    """Shares an application's pods out over its units."""

    def __call__(
        self,
        replicas: int,
        units: Sequence[str],
        pins: Mapping[str, int | str],
        ready: Mapping[str, int],
    ) -> dict[str, int]:
        """Return each unit's quota.

        Args:
            replicas: Pods wanted in all.
            units: Names of the units.
            pins: Units whose size the user fixed: a count, or a percentage of *replicas* like `"30%"`.
            ready: Ready pods per unit; only breaks ties.

        Raises:
            cafe.kernel.Refusal: The pins cannot be satisfied.
        """
