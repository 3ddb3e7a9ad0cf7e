"""Events: stored as `v1`, shown by `events.k8s.io/v1` under other names for the same fields."""

from cafe_sim.apiserver.values import Value
from cafe_sim.contract import Json

_NEW_TO_STORED = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_STORED_TO_NEW = {stored: new for new, stored in _NEW_TO_STORED.items()}
_DROPPED_IF_EMPTY = {"count": 0}


def to_stored(obj: Json) -> Json:
    """Turn an `events.k8s.io/v1` Event into a `v1` one."""
    stored: Json = {_NEW_TO_STORED.get(name, name): value for name, value in obj.items()}
    for name, empty in (("source", {}), ("firstTimestamp", None), ("lastTimestamp", None)):
        stored.setdefault(name, empty)
    stored.setdefault("involvedObject", {})
    stored["apiVersion"] = "v1"
    return {name: value for name, value in stored.items() if value != _DROPPED_IF_EMPTY.get(name, ...)}


def from_stored(obj: Json) -> Json:
    """Turn a `v1` Event into an `events.k8s.io/v1` one."""
    shown: dict[str, Value] = {_STORED_TO_NEW.get(name, name): value for name, value in obj.items()}
    return {**shown, "apiVersion": "events.k8s.io/v1"}
