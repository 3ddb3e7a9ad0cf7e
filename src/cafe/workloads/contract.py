"""What workloads offer to the other features: the words in which a release's progress is told."""

from dataclasses import dataclass

from cafe.kernel import Digest


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A person's word that one group of one plan may be followed by the next.

    Written into the annotation `cafe.sofastack.io/upgrade-confirmed` as `<group>/<planHash>`.
    """

    group: int
    plan_hash: Digest
