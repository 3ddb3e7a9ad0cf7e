"""The CafeAppService controller: observe, decide, act, report.

It remembers nothing between passes, so that a new leader just goes on.
"""

from datetime import timedelta

from cafe.appservices.domain.deciding import Decision, decide, refused
from cafe.appservices.domain.facts import ServiceView
from cafe.appservices.ports import ServiceStore
from cafe.kernel import Note, ObjectKey, Outcome, Refusal

RECHECK = timedelta(minutes=5)
"""In case a watch event is lost."""

RETRY = timedelta(seconds=30)
"""When what the API server refused is tried again: a quota may have been raised, a webhook may be back."""


class CafeAppServiceReconciler:
    """Takes one step for one CafeAppService. Errors propagate: the runtime alone retries and logs."""

    def __init__(self, services: ServiceStore) -> None:
        self._services = services

    async def reconcile(self, key: ObjectKey) -> Outcome:
        """Bring the service one step closer to its spec."""
        view = await self._services.view(key)
        if view is None:
            return Outcome()
        decision = decide(view)
        if decision.finalizer is not None:
            await self._services.set_finalizer(view.service, is_wanted=decision.finalizer)
            return Outcome()
        try:
            await self._write(view, decision)
        except Refusal as refusal:
            await self._report(view, refused(view, refusal))
            return Outcome(recheck=RETRY)
        await self._report(view, decision)
        await self._tidy(view, decision)
        return Outcome(recheck=RECHECK)

    async def _write(self, view: ServiceView, decision: Decision) -> None:
        """Write what runs. Nothing new is written before the API server has agreed to all of it."""
        if decision.make is not None:
            await self._services.make_revision(view.service, decision.make)
        if decision.empties:
            await self._services.empty_application(view)
        for child in decision.children:
            if not child.repairs:
                await self._services.try_child(view, child)
        for child in decision.children:
            await self._services.write_child(view, child)
            if child.repairs:
                message = f"{child.wanted.title}: {', '.join(child.repairs)}"
                await self._services.tell(view.service, Note("DriftRepaired", message, is_warning=True))

    async def _report(self, view: ServiceView, decision: Decision) -> None:
        await self._services.write_status(view.service, decision.status)
        for note in decision.notes:
            await self._services.tell(view.service, note)

    async def _tidy(self, view: ServiceView, decision: Decision) -> None:
        """Delete what nobody needs any more."""
        for drop in decision.drops:
            await self._services.drop_child(view, drop)
        for revision in decision.forgets:
            await self._services.delete_revision(view.service, revision)
