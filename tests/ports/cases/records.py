"""What controllers keep for themselves: revisions, leases, events, tokens."""

from cafe.kube.codec import encode
from tests.ports.backend import JSON_PATCH, MERGE, STRATEGIC, Json, World, case
from tests.ports.objects import config_map

APPS, LEASE, EVENT = "apps/v1", "coordination.k8s.io/v1", "events.k8s.io/v1"
MICRO = "2030-01-01T00:00:00.000001Z"


def _revision(data: Json) -> Json:
    meta = {"name": "r", "labels": {"app": "a"}}
    return {"apiVersion": APPS, "kind": "ControllerRevision", "metadata": meta, "data": data, "revision": 1}


@case
async def a_revision_gets_a_new_number_by_a_patch_if_its_data_is_plain(world: World) -> None:
    await world.made("controllerrevisions", _revision({"spec": {"b": 1, "a": "text"}}), APPS)
    path = world.path("controllerrevisions", "r", api=APPS)
    answer = await world.patch(path, {"revision": 2}, MERGE)
    assert (answer.status, answer.body["revision"]) == (200, 2)
    steps = [{"op": "replace", "path": "/revision", "value": 3}]
    assert (await world.patch(path, steps, JSON_PATCH)).body["revision"] == 3


@case
async def a_strategic_patch_of_a_revision_fails_if_its_data_was_not_sorted(world: World) -> None:
    """The server keeps data byte for byte, compares it so, and sorts it on the way through this patch."""
    await world.made("controllerrevisions", _revision({"spec": {"b": 1, "a": 2}}), APPS)
    answer = await world.patch(world.path("controllerrevisions", "r", api=APPS), {"revision": 2}, STRATEGIC)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "data")])


@case
async def a_patch_of_a_revision_fails_if_its_data_has_signs_that_go_escapes(world: World) -> None:
    """A template with `sh -c "a && b"` is all it takes. Only a PUT can number such a revision anew."""
    await world.made("controllerrevisions", _revision({"spec": {"args": ["a && b > c"]}}), APPS)
    path = world.path("controllerrevisions", "r", api=APPS)
    for patch in ({"revision": 2}, {"metadata": {"annotations": {"x": "y"}}}):
        answer = await world.patch(path, patch, MERGE)
        assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "data")])
        assert answer.message.endswith("field is immutable")
    stored = await world.get(path)
    replaced = await world.put(path, {**stored.body, "revision": 2})
    assert (replaced.status, replaced.body["revision"]) == (200, 2)


@case
async def a_revision_whose_data_was_sent_as_go_escapes_it_gets_a_new_number_by_a_patch(world: World) -> None:
    body = encode(_revision({"spec": {"args": ["a && b > c < d", "\u2028\u2029é"]}}))
    made = await world.post(world.path("controllerrevisions", api=APPS), body)
    assert made.body["data"]["spec"]["args"] == ["a && b > c < d", "\u2028\u2029é"]
    answer = await world.patch(world.path("controllerrevisions", "r", api=APPS), {"revision": 2}, MERGE)
    assert (answer.status, answer.body["revision"]) == (200, 2)


@case
async def a_replaced_revision_must_keep_its_data(world: World) -> None:
    await world.made("controllerrevisions", _revision({"spec": {"a": 1}}), APPS)
    path = world.path("controllerrevisions", "r", api=APPS)
    answer = await world.put(path, _revision({"spec": {"a": 2}}))
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "data")])


@case
async def a_negative_revision_is_refused(world: World) -> None:
    body = {**_revision({"a": 1}), "revision": -1}
    answer = await world.post(world.path("controllerrevisions", api=APPS), body)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "revision")])


def _lease(**spec: object) -> Json:
    return {"apiVersion": LEASE, "kind": "Lease", "metadata": {"name": "l"}, "spec": spec}


@case
async def a_lease_keeps_microseconds(world: World) -> None:
    made = await world.made(
        "leases", _lease(holderIdentity="one", renewTime=MICRO, leaseDurationSeconds=15), LEASE
    )
    assert made.body["spec"] == {"holderIdentity": "one", "renewTime": MICRO, "leaseDurationSeconds": 15}


@case
async def of_two_who_take_a_lease_one_is_late(world: World) -> None:
    made = await world.made("leases", _lease(holderIdentity=""), LEASE)
    path = world.path("leases", "l", api=LEASE)
    first = await world.put(path, {**made.body, "spec": {"holderIdentity": "one"}})
    second = await world.put(path, {**made.body, "spec": {"holderIdentity": "two"}})
    assert (first.status, second.status, second.reason) == (200, 409, "Conflict")
    assert (await world.get(path)).body["spec"]["holderIdentity"] == "one"


@case
async def a_lease_lasts_some_time(world: World) -> None:
    answer = await world.post(world.path("leases", api=LEASE), _lease(leaseDurationSeconds=0))
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.leaseDurationSeconds")])


@case
async def a_time_that_is_none_is_a_bad_request(world: World) -> None:
    answer = await world.post(world.path("leases", api=LEASE), _lease(renewTime="yesterday"))
    assert (answer.status, answer.reason) == (400, "BadRequest")


def _event(world: World, **more: object) -> Json:
    regarding = {"kind": "ConfigMap", "namespace": world.namespace, "name": "a", "apiVersion": "v1"}
    return {
        "apiVersion": EVENT, "kind": "Event", "metadata": {"name": "e"}, "eventTime": MICRO,
        "type": "Normal", "reason": "Seen", "action": "Look", "note": "it was seen",
        "reportingController": "cafe.test/looker", "reportingInstance": "one", "regarding": regarding,
        **more,
    }  # fmt: skip


@case
async def an_event_is_seen_by_both_of_its_kinds(world: World) -> None:
    made = await world.made("events", _event(world), EVENT)
    assert (made.body["note"], made.body["eventTime"]) == ("it was seen", MICRO)
    core = await world.get(world.path("events", "e"))
    assert (core.body["message"], core.body["involvedObject"]["name"]) == ("it was seen", "a")
    chosen = await world.get(world.path("events"), fieldSelector="involvedObject.name=a,reason=Seen")
    assert [item["metadata"]["name"] for item in chosen.body["items"]] == ["e"]


@case
async def an_event_needs_what_tells_who_did_what(world: World) -> None:
    path = world.path("events", api=EVENT)
    for name, field in (
        ("reportingController", "reportingController"),
        ("reportingInstance", "reportingInstance"),
        ("action", "action"),
        ("reason", "reason"),
    ):
        answer = await world.post(path, _event(world, **{name: ""}))
        assert (answer.status, answer.reason) == (422, "Invalid"), name
        assert field in [found for _, found in answer.causes]
    odd = await world.post(path, _event(world, type="Loud"))
    assert (odd.status, odd.causes) == (422, [("FieldValueInvalid", "type")])


@case
async def an_event_lies_beside_what_it_is_about_in_the_old_group_alone(world: World) -> None:
    about = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "kube-system", "name": "a"}
    new = await world.post(world.path("events", api=EVENT), _event(world, regarding=about))
    assert new.status == 201
    body = {"metadata": {"name": "old"}, "involvedObject": about, "reason": "Seen"}
    old = await world.post(world.path("events"), body)
    assert (old.status, old.causes) == (422, [("FieldValueInvalid", "involvedObject.namespace")])
    nowhere = await world.post(
        world.path("events", api=EVENT), _event(world, regarding={**about, "namespace": ""})
    )
    assert (nowhere.status, nowhere.causes) == (422, [("FieldValueInvalid", "involvedObject.namespace")])


@case
async def an_events_series_is_counted_on(world: World) -> None:
    await world.made("events", _event(world), EVENT)
    path = world.path("events", "e", api=EVENT)
    series = {"count": 2, "lastObservedTime": MICRO}
    answer = await world.patch(path, {"series": series})
    assert (answer.status, answer.body["series"]) == (200, series)
    fixed = await world.patch(path, {"note": "something else"})
    assert (fixed.status, fixed.reason) == (422, "Invalid")


@case
async def a_token_is_made_for_an_account(world: World) -> None:
    path = world.path("serviceaccounts", "default", sub="token")
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 600},
    }
    answer = await world.post(path, body)
    assert (answer.status, answer.body["kind"]) == (201, "TokenRequest")
    assert answer.body["status"]["token"]
    assert answer.body["status"]["expirationTimestamp"].endswith("Z")
    missing = await world.post(world.path("serviceaccounts", "no", sub="token"), body)
    assert (missing.status, missing.reason) == (404, "NotFound")


@case
async def a_token_lasts_ten_minutes_at_least(world: World) -> None:
    path = world.path("serviceaccounts", "default", sub="token")
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 9},
    }
    answer = await world.post(path, body)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.expirationSeconds")])


@case
async def what_an_owner_leaves_behind_goes(world: World) -> None:
    owner = await world.made("configmaps", config_map("owner"))
    body = config_map("child")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.meta["uid"]}
    body["metadata"]["ownerReferences"] = [reference]
    await world.made("configmaps", body)
    await world.delete(world.path("configmaps", "owner"))
    await world.until(world.path("configmaps", "child"), lambda found: found.status == 404)


@case
async def an_orphaned_child_stays_and_forgets_its_owner(world: World) -> None:
    owner = await world.made("configmaps", config_map("owner"))
    body = config_map("child")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.meta["uid"]}
    body["metadata"]["ownerReferences"] = [reference]
    await world.made("configmaps", body)
    await world.delete(world.path("configmaps", "owner"), {"propagationPolicy": "Orphan"})
    child = await world.until(
        world.path("configmaps", "child"), lambda found: "ownerReferences" not in found.meta
    )
    assert child.status == 200
    await world.until(world.path("configmaps", "owner"), lambda found: found.status == 404)


@case
async def a_foreground_deletion_waits_for_children_that_block_it(world: World) -> None:
    owner = await world.made("configmaps", config_map("owner"))
    body = config_map("child")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.meta["uid"]}
    body["metadata"]["ownerReferences"] = [{**reference, "blockOwnerDeletion": True}]
    body["metadata"]["finalizers"] = ["cafe.test/hold"]
    await world.made("configmaps", body)
    path = world.path("configmaps", "child")
    await world.delete(world.path("configmaps", "owner"), {"propagationPolicy": "Foreground"})
    await world.until(path, lambda found: "deletionTimestamp" in found.meta)
    held = await world.get(world.path("configmaps", "owner"))
    assert held.meta["finalizers"] == ["foregroundDeletion"]
    await world.patch(path, {"metadata": {"finalizers": None}})
    await world.until(world.path("configmaps", "owner"), lambda found: found.status == 404)


@case
async def the_keys_of_a_config_map_could_be_names_of_files(world: World) -> None:
    for key in ("not a key", ".", "..", "..a", ""):
        body = {**config_map("a"), "data": {key: "1"}}
        answer = await world.post(world.path("configmaps"), body)
        assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", f"data[{key}]")])
    both = {**config_map("a", x="1"), "binaryData": {"x": "MQ=="}}
    answer = await world.post(world.path("configmaps"), both)
    assert answer.causes == [("FieldValueInvalid", "data[x]")]


@case
async def a_revision_tells_all_that_is_wrong_with_an_update(world: World) -> None:
    head = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "a"}}
    path = world.path("controllerrevisions", "a", api="apps/v1")
    await world.made("controllerrevisions", {**head, "data": {"x": 1}, "revision": 1}, "apps/v1")
    answer = await world.put(path, {**head, "data": {"x": 2}, "revision": -1})
    assert sorted(answer.causes) == [("FieldValueInvalid", "data"), ("FieldValueInvalid", "revision")]


@case
async def all_that_a_sealed_secret_refuses_is_said(world: World) -> None:
    head = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
    await world.made("secrets", {**head, "type": "cafe.test/own", "immutable": True, "data": {"x": "MQ=="}})
    changed = {**head, "type": "Opaque", "data": {"x": "Mg=="}}
    answer = await world.put(world.path("secrets", "a"), changed)
    assert (answer.status, sorted(answer.causes)) == (
        422,
        [
            ("FieldValueForbidden", "data"),
            ("FieldValueForbidden", "immutable"),
            ("FieldValueInvalid", "type"),
        ],
    )


@case
async def who_writes_a_secret_as_text_owns_its_data(world: World) -> None:
    head = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
    await world.made("secrets", head)
    answer = await world.patch(world.path("secrets", "a"), {"stringData": {"x": "1"}})
    assert answer.body["data"] == {"x": "MQ=="}
    owned = {name for entry in answer.meta["managedFields"] for name in entry["fieldsV1"]}
    assert "f:data" in owned
    assert "f:stringData" not in owned


@case
async def a_strategic_patch_can_not_carry_a_revisions_data(world: World) -> None:
    """Its type is anything, and how anything is merged no schema says."""
    await world.made("controllerrevisions", _revision({"spec": {"a": 1}}), APPS)
    path = world.path("controllerrevisions", "r", api=APPS)
    for data in ({"spec": {"a": 2}}, {"spec": {"a": 1}}):
        answer = await world.patch(path, {"data": data}, STRATEGIC)
        assert (answer.status, answer.reason) == (500, "")
        assert answer.message.endswith('api field in struct RawExtension for the json field "spec"')
    assert (await world.patch(path, {"data": {}, "revision": 2}, STRATEGIC)).body["revision"] == 2
    answer = await world.patch(path, {"data": {"more": {"b": 1}}}, STRATEGIC)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "data")])
