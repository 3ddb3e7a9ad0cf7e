"""Documents as the API writes them become clean models."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.kernel import ObjectKey, Unavailable
from cafe.kube.codec import Changed, Undecodable, codec_for, decode_json, encode, key_of, version_of
from cafe.kube.errors import Expired
from cafe.kube.objects import Pod, format_micro_time, parse_time
from cafe.kube.watching import Bookmark, read_event
from tests.worlds.scripted_api import bookmark_line, event_line, pod

CODEC = codec_for(Pod)


def test_a_bookmark_with_null_containers_is_a_bookmark() -> None:
    assert read_event(CODEC, bookmark_line("17")) == Bookmark("17")
    assert read_event(CODEC, bookmark_line("17", ends_initial=True)) == Bookmark("17", ends_initial=True)


@given(st.sampled_from(["metadata", "spec", "status", "containers", "labels", "conditions", "podIP"]))
def test_a_null_counts_as_an_absent_field(name: str) -> None:
    body = pod("a")
    if name == "containers":
        body["spec"][name] = None
    elif name in {"conditions", "podIP"}:
        body["status"][name] = None
    elif name == "labels":
        body["metadata"][name] = None
    else:
        body[name] = None
    read = CODEC.one.decode(json.dumps(body).encode())
    assert read.spec.containers == ()
    assert read.status.conditions == ()
    assert read.metadata.labels == {}
    assert read.status.pod_ip == ""


def test_an_event_is_read_whatever_the_order_and_spacing_of_its_fields() -> None:
    body = json.dumps(pod("a", resourceVersion="5"))
    for line in (f'{{"type":"ADDED","object":{body}}}', f'{{ "object": {body}, "type": "ADDED" }}'):
        event = read_event(CODEC, line.encode())
        assert isinstance(event, Changed)
        assert event.type == "ADDED"
        assert key_of(event.object) == ObjectKey("default", "a")
        assert version_of(event.object) == 5


def test_an_error_event_in_a_good_stream_is_raised_as_what_it_says() -> None:
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    with pytest.raises(Expired, match="too old"):
        read_event(CODEC, event_line("ERROR", status))


def test_a_line_that_was_cut_is_no_event() -> None:
    with pytest.raises(Unavailable):
        read_event(CODEC, event_line("ADDED", pod("a"))[:-20])


def test_a_wrong_type_is_named_with_its_object() -> None:
    body = pod("a")
    body["spec"]["containers"] = "none"
    with pytest.raises(Undecodable, match="default/a"):
        CODEC.one.decode(json.dumps(body).encode())


def test_one_broken_object_does_not_hide_the_rest_of_a_list() -> None:
    broken = pod("b")
    broken["status"]["phase"] = 7
    body = {"metadata": {"resourceVersion": "9"}, "items": [pod("a"), broken, pod("c")]}
    page, unreadable = CODEC.read_page(json.dumps(body).encode())
    assert [item.metadata.name for item in page.items] == ["a", "c"]
    assert unreadable == (ObjectKey("default", "b"),)
    assert page.resource_version == "9"


def test_an_empty_list_may_have_null_items() -> None:
    page, _ = CODEC.read_page(b'{"metadata":{"resourceVersion":"9"},"items":null}')
    assert page.items == ()


def test_a_held_object_does_not_pin_the_body_it_came_from() -> None:
    broken = pod("b")
    broken["status"]["phase"] = 7
    for items in ([pod("a")], [pod("a"), broken]):
        body = json.dumps({"metadata": {}, "items": items}).encode()
        before = sys.getrefcount(body)
        page, _ = CODEC.read_page(body)
        assert page.items[0].metadata.name == "a"
        assert sys.getrefcount(body) == before
    for line in (event_line("ADDED", pod("a")), b" " + event_line("ADDED", pod("a")), bookmark_line("17")):
        before = sys.getrefcount(line)
        event = read_event(CODEC, line)
        assert sys.getrefcount(line) == before, event


def test_timestamps_come_in_seconds_and_microseconds() -> None:
    micro = parse_time("2026-01-02T03:04:05.678901Z")
    assert format_micro_time(micro) == "2026-01-02T03:04:05.678901Z"
    assert parse_time("2026-01-02T03:04:05Z") < micro


def test_a_body_is_escaped_as_go_does_it_and_says_the_same() -> None:
    body = {"args": ["a && b > c < d", "\u2028\u2029é"]}
    written = encode(body)
    assert written == b'{"args":["a \\u0026\\u0026 b \\u003e c \\u003c d","\\u2028\\u2029\xc3\xa9"]}'
    assert decode_json(written) == body
