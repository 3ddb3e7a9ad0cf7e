"""What the API server asks before it writes, and how it is answered."""

import json
import ssl
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from cafe.kernel import ObjectKey, SystemClock
from cafe.kube.admission import (
    Denial,
    Review,
    answer_to,
    make_identity,
    read_review,
    serving_admission,
)

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def asked(**more: Any) -> bytes:  # noqa: ANN401 -- any field of a request
    request = {
        "uid": "u-1",
        "operation": "CREATE",
        "name": "web-1",
        "namespace": "shop",
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "subResource": "eviction",
        "userInfo": {"username": "ann", "groups": ["system:authenticated"]},
        "object": {"metadata": {"name": "web-1"}},
        "dryRun": False,
        **more,
    }
    return json.dumps(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    ).encode()


def test_a_question_is_read_whole() -> None:
    assert read_review(asked(dryRun=True)) == Review(
        uid="u-1",
        operation="CREATE",
        resource="pods",
        subresource="eviction",
        key=ObjectKey("shop", "web-1"),
        user="ann",
        is_dry_run=True,
        body={"metadata": {"name": "web-1"}},
    )


@pytest.mark.parametrize("body", [b"", b"no", b"{}", b'{"request": {}}', b'{"request": {"uid": 1}}'])
def test_what_is_no_question_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_review(body)


def test_a_denial_carries_the_status_that_the_client_gets() -> None:
    review = read_review(asked())
    assert answer_to(review, None)["response"] == {"uid": "u-1", "allowed": True}
    assert answer_to(review, Denial("not now", 429, "TooManyRequests"))["response"] == {
        "uid": "u-1",
        "allowed": False,
        "status": {"code": 429, "reason": "TooManyRequests", "message": "not now"},
    }


async def test_whoever_trusts_the_authority_is_answered_over_tls() -> None:
    identity = make_identity("127.0.0.1", SystemClock().now())
    heard: list[Review] = []

    def judge(review: Review) -> Denial | None:
        heard.append(review)
        return Denial("not now", 429, "TooManyRequests")

    trust = ssl.create_default_context(cadata=identity.authority.decode())
    async with (
        serving_admission({"/evictions": judge}, identity, "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as client,
    ):
        url = f"https://127.0.0.1:{port}/evictions"
        async with client.post(url, data=asked(), ssl=trust) as answer:
            assert (await answer.json())["response"]["status"]["message"] == "not now"
        async with client.post(url, data=b"no", ssl=trust) as answer:
            assert (answer.status, "no AdmissionReview" in await answer.text()) == (400, True)
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await client.post(url, data=asked())
    assert [review.key.name for review in heard] == ["web-1"]


def test_each_leader_has_an_authority_of_its_own() -> None:
    first, second = make_identity("10.0.0.1", NOW), make_identity("cafe.cafe-system.svc", NOW)
    assert first.authority != second.authority
    assert b"PRIVATE KEY" in first.chain
    assert b"PRIVATE KEY" not in first.authority
