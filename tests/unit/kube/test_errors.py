"""What the API says becomes a value that code can tell apart."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.kernel import CafeError, Conflict, Refusal, Unavailable
from cafe.kube import errors
from cafe.kube.transport import Response
from tests.worlds.scripted_api import status

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "reason", "wanted", "kernel"),
    [
        (400, "BadRequest", errors.BadRequest, Refusal),
        (401, "Unauthorized", errors.Unauthorized, Refusal),
        (403, "Forbidden", errors.Forbidden, Refusal),
        (404, "NotFound", errors.NotFound, CafeError),
        (405, "MethodNotAllowed", errors.ApiRefusal, Refusal),
        (409, "AlreadyExists", errors.AlreadyExists, Conflict),
        (409, "Conflict", errors.ApiConflict, Conflict),
        (410, "Expired", errors.Expired, Conflict),
        (422, "Invalid", errors.Invalid, Refusal),
        (429, "TooManyRequests", errors.TooManyRequests, Unavailable),
        (500, "InternalError", errors.ServerTrouble, Unavailable),
        (504, "Timeout", errors.ServerTrouble, Unavailable),
    ],
)
def test_a_status_is_the_error_that_says_the_same(
    code: int, reason: str, wanted: type[errors.ApiError], kernel: type[CafeError]
) -> None:
    error = errors.error_of_response(status(code, reason, "It is so"), NOW)
    assert type(error) is wanted
    assert isinstance(error, kernel)
    assert (error.status, error.reason, str(error)) == (code, reason, "It is so")


def test_a_document_that_does_not_fit_its_schema_is_refused_though_the_server_calls_it_its_own_fault() -> (
    None
):
    said = "failed to create typed patch object (default/x; v1, Kind=ConfigMap): .data: expected map, got 17"
    error = errors.error_of_response(status(500, "", said), NOW)
    assert isinstance(error, Refusal)
    assert not isinstance(error, Unavailable)


def test_causes_name_the_field() -> None:
    causes = [{"reason": "FieldValueInvalid", "message": "must be positive", "field": "spec.replicas"}]
    error = errors.error_of_response(status(422, "Invalid", causes=causes), NOW)
    assert error.causes == (errors.Cause("FieldValueInvalid", "must be positive", "spec.replicas"),)
    assert error.has_cause("FieldValueInvalid")


def test_only_a_server_that_turned_us_away_surely_did_nothing() -> None:
    def known(code: int, headers: dict[str, str]) -> bool:
        error = errors.error_of_response(Response(code, b"", headers), NOW)
        assert isinstance(error, Unavailable)
        return error.is_outcome_known

    assert known(429, {})
    assert known(503, {"retry-after": "1"})
    assert not known(503, {})
    assert not known(500, {})
    assert not known(504, {"retry-after": "1"})


def test_retry_after_comes_as_seconds_or_as_a_date() -> None:
    assert errors.retry_after_of("7", NOW) == timedelta(seconds=7)
    assert errors.retry_after_of("Thu, 01 Jan 2026 00:01:00 GMT", NOW) == timedelta(minutes=1)
    assert errors.retry_after_of("soon", NOW) is None
    assert errors.retry_after_of(None, NOW) is None


@given(st.binary(max_size=5000), st.integers(min_value=300, max_value=599))
def test_a_proxys_page_is_an_error_of_sane_length(body: bytes, code: int) -> None:
    error = errors.error_of_response(Response(code, body), NOW)
    assert error.status == code
    assert 0 < len(str(error)) <= 1001
