"""Takes over the running pods of a Deployment, step by step, before the first set is made."""

from collections.abc import Mapping

import msgspec

from cafe.api.cafedeployment import CafeDeployment
from cafe.workloads.domain.adopting import decide_adoption, source_of
from cafe.workloads.domain.children import render_child
from cafe.workloads.domain.groups import UnitGoal
from cafe.workloads.domain.revisions import hash_of
from cafe.workloads.ports import AdoptionStore


class Adopter:
    """Remembers nothing: each step is read from what is there."""

    def __init__(self, store: AdoptionStore) -> None:
        self._store = store

    async def take_step(self, app: CafeDeployment, quotas: Mapping[str, int]) -> bool:
        """Take the next step of an adoption, if one is asked for; say whether the release may go on.

        Raises:
            cafe.kernel.Refusal: It can't be done; nothing was given up.
        """
        source = source_of(app)
        if not source:
            return True

        def revision_of(unit: str) -> str:
            """Return what the unit's set will call its template: it has met no collision yet."""
            child = render_child(app, unit, UnitGoal(0, 0))
            return hash_of(msgspec.to_builtins(child.template), 0)

        found = await self._store.view(app, source)
        decided = decide_adoption(app, found, quotas, revision_of)
        for action in decided.actions:
            await self._store.act(app, action)
        return decided.is_done
