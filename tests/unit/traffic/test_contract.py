"""How a pod's traffic stands, as read from the pod alone."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cafe.api.names import ACK_PREFIX, EXPECTED_ANNOTATION, OPERATION_PREFIX
from cafe.api.trafficmarks import (
    Ack,
    Operation,
    OperationType,
    employer_id,
    employer_name,
    protection_of,
    read_acks,
    read_expected,
    read_operations,
    write_expected,
    write_mark,
)
from cafe.traffic.contract import UNGUARDED, Marks, Phase, TrafficFact, begin, end, stand_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
EDGE, SHOP = employer_name("HAProxy", "shop", "edge/web"), employer_name("Service", "shop", "web")
UPDATE = Operation(type=OperationType.UPDATE, actor="cafe", start=NOW)
EXPECTED = {employer: protection_of(employer) for employer in (EDGE, SHOP)}


def stands(
    *holders: str, is_gate_on: bool = True, restarts: int = 0, has_gate: bool = True, **notes: Operation | Ack
) -> TrafficFact:
    """Return how a pod stands with these protections; *notes* are operations, and acks as `edge`, `shop`."""
    names = {"edge": EDGE, "shop": SHOP}
    annotations = {EXPECTED_ANNOTATION: write_expected(EXPECTED)}
    for key, mark in notes.items():
        prefix = ACK_PREFIX + employer_id(names[key]) if isinstance(mark, Ack) else OPERATION_PREFIX + key
        annotations[prefix] = write_mark(mark)
    finalizers = [EXPECTED[holder] for holder in holders]
    return stand_of(Marks("u", restarts, annotations, finalizers, has_gate, is_gate_on))


def ack(operation: Operation | None = UPDATE, name: str = "update", uid: str = "u", restarts: int = 0) -> Ack:
    return Ack(uid=uid, restarts=restarts, at=NOW, operations={name: operation.start} if operation else {})


def test_a_pod_without_marks_is_nobodys_concern() -> None:
    fact = stand_of(Marks("u", 0, {"a": "b"}, ["foregroundDeletion"], is_gate_on=False))
    assert fact is UNGUARDED
    assert fact.is_published
    assert not fact.is_drained_for("update"), "who touches a pod asks first"


def test_a_pod_is_published_once_all_protections_are_back() -> None:
    assert stands(EDGE, SHOP).is_published
    assert stands(EDGE).missing == (SHOP,)
    assert stands(EDGE).phase is Phase.ATTACHING
    assert not stands(EDGE).is_published
    assert not stands(EDGE, SHOP, is_gate_on=False).is_published
    assert not stands(EDGE, SHOP, update=UPDATE).is_published


def test_it_is_drained_only_when_all_proofs_are_there() -> None:
    proofs = {"edge": ack(), "shop": ack(), "update": UPDATE}
    assert stands(is_gate_on=False, **proofs).is_drained_for("update")
    assert stands(is_gate_on=False, **proofs).phase is Phase.DRAINED
    assert not stands(SHOP, is_gate_on=False, **proofs).is_drained_for("update"), "a protection stands"
    assert not stands(is_gate_on=True, **proofs).is_drained_for("update"), "the gate is up"
    assert not stands(is_gate_on=False, edge=ack(), update=UPDATE).is_drained_for("update"), (
        "one says nothing"
    )
    assert not stands(is_gate_on=False, **proofs).is_drained_for("evict"), "it was not asked for that"


def test_a_proof_is_of_this_pod_as_it_runs_now_and_of_this_very_wish() -> None:
    later = Operation(type=OperationType.UPDATE, actor="cafe", start=NOW + timedelta(microseconds=1))
    whole = {"shop": ack(), "update": UPDATE, "is_gate_on": False}
    assert stands(**whole, edge=ack()).is_drained_for("update")
    assert not stands(**whole, edge=ack(uid="another")).is_drained_for("update")
    assert not stands(**whole, edge=ack(restarts=1)).is_drained_for("update")
    assert not stands(**whole, edge=ack(None)).is_drained_for("update")
    assert not stands(**whole, edge=ack(later)).is_drained_for("update")
    assert not stands(restarts=1, edge=ack(), **whole).is_drained_for("update")


def test_two_parties_hold_a_pod_and_it_serves_when_both_have_let_go() -> None:
    evict = Operation(type=OperationType.EVICT, actor="kubectl", start=NOW)
    both = stands(is_gate_on=False, update=UPDATE, evict=evict)
    assert end(both, "update").gate is None
    assert end(both, "update").annotations == {OPERATION_PREFIX + "update": None}
    one = stands(is_gate_on=False, evict=evict)
    assert end(one, "evict").gate is True
    assert end(one, "update").annotations == {}


def test_who_forces_says_what_is_left_out() -> None:
    def forced(level: int, *skip: str) -> Operation:
        return Operation(type=OperationType.UPDATE, actor="ann", start=NOW, force=level, skip=list(skip))

    acks = {"edge": ack(), "shop": ack()}
    assert not stands(EDGE, is_gate_on=False, update=forced(1), **acks).is_drained_for("update")
    assert not stands(EDGE, is_gate_on=False, update=forced(2, SHOP), **acks).is_drained_for("update")
    assert stands(EDGE, is_gate_on=False, update=forced(2, EDGE), shop=ack()).is_drained_for("update")
    assert stands(EDGE, SHOP, update=forced(3)).is_drained_for("update")


def test_a_pod_made_without_the_gate_has_it_down_as_soon_as_it_is_asked_for() -> None:
    whole = {"edge": ack(), "shop": ack(), "update": UPDATE}
    assert stands(has_gate=False, **whole).is_drained_for("update")
    assert stands(EDGE, SHOP, has_gate=False, is_gate_on=False).is_published


def test_a_person_holds_a_pod_offline() -> None:
    offline = Operation(type=OperationType.OFFLINE, actor="ann", start=NOW)
    acks = {"edge": ack(offline, "ann"), "shop": ack(offline, "ann")}
    assert stands(is_gate_on=False, ann=offline, **acks).phase is Phase.HELD
    assert stands(EDGE, is_gate_on=False, ann=offline, **acks).phase is Phase.DRAINING


def test_what_a_person_corrupted_never_frees_a_pod() -> None:
    annotations = {
        EXPECTED_ANNOTATION: "not json",
        OPERATION_PREFIX + "update": "{",
        ACK_PREFIX + employer_id(EDGE): "[]",
    }
    fact = stand_of(Marks("u", 0, annotations, [EXPECTED[EDGE]], is_gate_on=False))
    assert not fact.is_drained_for("update")
    assert read_expected(annotations) == {}
    assert read_acks(annotations) == {}


NAMES = st.text("abc-", min_size=1, max_size=5)
MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(
    st.dictionaries(
        NAMES, st.builds(Operation, type=st.sampled_from(OperationType), actor=NAMES, start=MOMENTS)
    )
)
def test_operations_are_read_as_they_were_written(operations: dict[str, Operation]) -> None:
    annotations = {
        k: v for name, op in operations.items() for k, v in begin(name, op).annotations.items() if v
    }
    assert read_operations(annotations) == operations


@given(
    data=st.data(), holders=st.lists(st.sampled_from([EDGE, SHOP]), unique=True), restarts=st.integers(0, 1)
)
def test_no_pod_is_drained_and_published_at_once(
    data: st.DataObject, holders: list[str], restarts: int
) -> None:
    gate, asked = data.draw(st.booleans()), data.draw(st.booleans())
    notes: dict[str, Operation | Ack] = {"edge": ack(), "shop": ack()}
    if asked:
        notes["update"] = UPDATE
    fact = stands(*holders, is_gate_on=gate, restarts=restarts, **notes)
    assert not (fact.is_published and fact.is_drained_for("update"))
