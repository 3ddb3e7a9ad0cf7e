"""A confirmation counts only for the group, revision and plan that were shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.api.cafedeployment import Waiting
from cafe.workloads.domain.confirming import WAITING, Accepted, Ignored, Standing, judge, parse

PLAN, OTHER = "7f3a91c0d2e4", "000000000000"
SHOWN = Waiting(reason=WAITING, group=1, revision="r", plan_hash=PLAN)
STANDING = Standing(SHOWN, 1, PLAN, 0)


def reason(value: str | None, standing: Standing = STANDING) -> str | None:
    verdict = judge(value, standing)
    return verdict.reason if isinstance(verdict, Ignored) else None


@pytest.mark.parametrize("value", [f"1/{PLAN}", f" 1/{PLAN}\n", "true"])
def test_the_group_that_is_shown_may_be_confirmed(value: str) -> None:
    assert judge(value, STANDING) == Accepted(1)


def test_beta_is_group_0() -> None:
    standing = Standing(Waiting(reason=WAITING, group=0, plan_hash=PLAN), 0, PLAN, None)
    assert judge(f"0/{PLAN}", standing) == Accepted(0)
    assert judge("true", standing) == Accepted(0)


@pytest.mark.parametrize("value", [None, "false"])
def test_no_word_is_no_verdict(value: str | None) -> None:
    assert judge(value, STANDING) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"1/{OTHER}", "ConfirmStale"),
        (f"0/{OTHER}", "ConfirmStale"),
        (f"0/{PLAN}", "ConfirmRepeated"),
        (f"2/{PLAN}", "ConfirmEarly"),
        ("1", "ConfirmMalformed"),
        ("yes", "ConfirmMalformed"),
        ("True", "ConfirmMalformed"),
        ("", "ConfirmMalformed"),
        (f"-1/{PLAN}", "ConfirmMalformed"),
        (f"1/{PLAN}/x", "ConfirmMalformed"),
        (f"1/{PLAN[:-1]}", "ConfirmMalformed"),
        (f"1/{PLAN.upper()}", "ConfirmMalformed"),
        (f"١/{PLAN}", "ConfirmMalformed"),
        (f"9999999/{PLAN}", "ConfirmMalformed"),
    ],
)
def test_every_other_word_is_ignored_with_its_reason(value: str, expected: str) -> None:
    assert reason(value) == expected


@pytest.mark.parametrize("value", ["true", f"1/{PLAN}"])
@pytest.mark.parametrize(
    "shown",
    [
        None,
        Waiting(reason=WAITING, group=0, plan_hash=PLAN),
        Waiting(reason=WAITING, group=1, plan_hash=OTHER),
        Waiting(reason="WaitingForPods", group=1, plan_hash=PLAN),
        Waiting(reason="Paused", group=1, plan_hash=PLAN),
    ],
    ids=str,
)
def test_a_word_before_its_group_was_shown_to_wait_is_early(value: str, shown: Waiting | None) -> None:
    assert reason(value, Standing(shown, 1, PLAN, 0)) == "ConfirmEarly"


@pytest.mark.parametrize("value", ["true", f"1/{PLAN}"])
def test_a_word_while_nothing_waits_is_early(value: str) -> None:
    assert reason(value, Standing(SHOWN, None, PLAN, 0)) == "ConfirmEarly"


def test_a_word_before_any_plan_is_stale() -> None:
    verdict = judge(f"1/{PLAN}", Standing(None, None, "", None))
    assert isinstance(verdict, Ignored)
    assert verdict.reason == "ConfirmStale"
    assert "not made yet" in verdict.message


def test_a_malformed_word_is_answered_with_the_right_one() -> None:
    verdict = judge("go", STANDING)
    assert isinstance(verdict, Ignored)
    assert verdict.message.endswith(f"for instance 1/{PLAN}")


def test_a_malformed_word_while_beta_waits_is_answered_with_betas() -> None:
    verdict = judge("go", Standing(SHOWN, 0, PLAN, None))
    assert isinstance(verdict, Ignored)
    assert verdict.message.endswith(f"for instance 0/{PLAN}")


WAITINGS = st.none() | st.builds(
    lambda r, g, p: Waiting(reason=r, group=g, plan_hash=p),
    st.sampled_from([WAITING, "WaitingForPods"]),
    st.none() | st.integers(0, 2),
    st.sampled_from([PLAN, OTHER]),
)
GROUPS = st.none() | st.integers(0, 2)
WORDS = st.sampled_from(["true", "false", "x", *(f"{g}/{p}" for g in range(3) for p in (PLAN, OTHER))])


@given(WORDS, WAITINGS, GROUPS, GROUPS)
def test_nothing_is_accepted_that_was_not_shown(
    value: str, shown: Waiting | None, waiting: int | None, confirmed: int | None
) -> None:
    verdict = judge(value, Standing(shown, waiting, PLAN, confirmed))
    if isinstance(verdict, Accepted):
        assert shown is not None
        assert (shown.reason, shown.group, shown.plan_hash) == (WAITING, waiting, PLAN)
        assert verdict.group == waiting
        assert value in {"true", f"{waiting}/{PLAN}"}


@given(st.text(max_size=30))
def test_any_text_can_be_read_and_judged(value: str) -> None:
    said = parse(value)
    assert said is None or value.strip() == f"{value.strip().split('/')[0]}/{said.plan_hash}"
    assert value == "true" or not isinstance(judge(value, STANDING), Accepted)
