"""How a status is written: only what differs, guarded, with the times of the conditions that turned."""

from datetime import datetime
from typing import Any

import msgspec

from cafe.api.shapes import Metadata
from cafe.kube.merging import difference
from cafe.kube.objects import format_time


def status_patch(
    meta: Metadata, old: msgspec.Struct, new: msgspec.Struct, now: datetime
) -> dict[str, Any] | None:
    """Return the guarded merge patch from one status to the next; None if nothing differs.

    The first status is written whole: zeros, too, are told.
    """
    was, will = msgspec.to_builtins(old), msgspec.to_builtins(new)
    if not was.get("observedGeneration"):
        was = {}
    before = {c["type"]: c for c in was.get("conditions", [])}
    for condition in will.get("conditions", []):
        known = before.get(condition["type"], {})
        same = known.get("status") == condition["status"]
        kept = known.get("lastTransitionTime") if same else None
        condition["lastTransitionTime"] = kept or format_time(now)
    changed = difference(was, will)
    if not changed:
        return None
    guard = {"uid": meta.uid, "resourceVersion": meta.resource_version}
    return {"metadata": guard, "status": changed}
