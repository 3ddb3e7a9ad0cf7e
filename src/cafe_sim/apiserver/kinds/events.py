"""Events: stored as `v1`, shown by `events.k8s.io/v1` under other names for the same fields."""

from cafe_sim.apiserver.errors import FieldError
from cafe_sim.apiserver.kinds.cluster import StoredRules
from cafe_sim.apiserver.names import qualified_name
from cafe_sim.apiserver.values import Value, dig, same_but
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


_WORDS = {"reportingComponent": "reportingController", "reportingInstance": "", "action": "", "reason": ""}
_LONGEST_WORD, _LONGEST_NOTE = 128, 1024


class EventRules(StoredRules):
    """Events, which two API groups show.

    Args:
        is_new: They come through `events.k8s.io`, which is strict; the old group takes nearly anything.
    """

    def __init__(self, *, is_new: bool = False) -> None:
        paths = {
            f"involvedObject.{name}": ("involvedObject", name)
            for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        }
        plain = {name: (name,) for name in ("reason", "type", "reportingComponent")}
        super().__init__(fields={**paths, **plain, "source": ("source", "component")}, makes_on_update=True)
        self._is_new = is_new

    def check(self, obj: Json) -> list[FieldError]:
        """An event lies beside the object it is about, and tells who did what.

        The new group lets it lie anywhere, if only the object's namespace is told.
        """
        found = _strictly(obj) if self._is_new else []
        about, place = dig(obj, "involvedObject", "namespace") or "", obj["metadata"].get("namespace")
        is_misplaced = place != about and not self._is_new if about else place != "default"
        if is_misplaced:
            text = "does not match event.namespace"
            found.append(FieldError("Invalid", "involvedObject.namespace", about, text))
        return found

    def check_update(self, new: Json, old: Json) -> list[FieldError]:
        """What happened stays what happened; it may happen again."""
        if not self._is_new or same_but(old, new, "metadata", "series"):
            return self.check(new)
        return [
            FieldError("Invalid", name, new.get(stored), "field is immutable")
            for stored, name in ((name, _STORED_TO_NEW.get(name, name)) for name in new)
            if stored not in {"metadata", "series"} and new.get(stored) != old.get(stored)
        ]


def _strictly(obj: Json) -> list[FieldError]:
    found = []
    if not obj.get("eventTime"):
        found.append(FieldError("Required", "eventTime"))
    series = obj.get("series")
    if series is not None and series.get("count", 0) < 2:
        found.append(FieldError("Invalid", "series.count", series.get("count", 0), "should be at least 2"))
    if series is not None and not series.get("lastObservedTime"):
        found.append(FieldError("Required", "series.lastObservedTime"))
    for stored, shown in _WORDS.items():
        value, name = obj.get(stored) or "", shown or stored
        if not value:
            found.append(FieldError("Required", name))
        elif len(value) > _LONGEST_WORD:
            text = f"can have at most {_LONGEST_WORD} characters"
            found.append(FieldError("Invalid", name, value, text))
    controller = obj.get("reportingComponent") or ""
    found += [
        FieldError("Invalid", "reportingController", controller, text)
        for text in (qualified_name(controller) if controller else ())
    ]
    if obj.get("type") not in {"Normal", "Warning"}:
        found.append(FieldError("Invalid", "type", obj.get("type", ""), "has invalid value"))
    if len(obj.get("message") or "") > _LONGEST_NOTE:
        text = f"can have at most {_LONGEST_NOTE} characters"
        found.append(FieldError("Invalid", "note", obj["message"], text))
    return found
