"""Our own kinds: every rule refuses what it should, with words a person can act on."""

from cafe.api.crd import DECLARATIONS, crd_of
from cafe.api.names import API_VERSION
from tests.ports.backend import APPLY, TABLE, Answer, Json, World, case

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TEMPLATE = {
    "metadata": {"labels": {"app": "a"}},
    "spec": {"containers": [{"name": "main", "image": "x:1"}]},
}
SPEC: Json = {"selector": {"matchLabels": {"app": "a"}}, "template": TEMPLATE}


async def installed(world: World, plural: str) -> str:
    """Install our kinds as the product does; other cases may do the same at the same time."""
    for declaration in DECLARATIONS:
        body = crd_of(declaration)
        path = f"{DEFINITIONS}/{body['metadata']['name']}"
        answer = await world.patch(path, body, APPLY, fieldManager="cafe", force="true")
        assert answer.status in {200, 201}, answer.body
    path = world.path(plural, api=API_VERSION)
    await world.until(path, lambda found: found.status == 200)
    return path


def _body(kind: str, **spec: object) -> Json:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "a"}, "spec": {**SPEC, **spec}}


async def _refused(world: World, plural: str, field: str, words: str, **spec: object) -> Answer:
    kind = {"inplacesets": "InPlaceSet", "cafedeployments": "CafeDeployment"}[plural]
    answer = await world.post(await installed(world, plural), _body(kind, **spec))
    assert (answer.status, answer.reason) == (422, "Invalid"), answer.body
    assert answer.causes[0][1] == field
    assert words in answer.message
    return answer


@case
async def our_kinds_fill_in_their_defaults(world: World) -> None:
    path = await installed(world, "cafedeployments")
    made = await world.post(path, _body("CafeDeployment"))
    assert made.status == 201
    spec = made.body["spec"]
    assert (spec["replicas"], spec["podSetType"], spec["historyLimit"]) == (1, "InPlaceSet", 20)
    assert spec["strategy"]["upgradeType"] == "Beta"
    assert (spec["strategy"]["batchSize"], spec["strategy"]["maxUnavailable"]) == (1, "25%")
    assert spec["topology"] == {"unitType": "None"}
    assert (made.meta["generation"], "status" in made.body) == (1, False)


@case
async def a_set_of_ours_fills_in_its_defaults(world: World) -> None:
    made = await world.post(await installed(world, "inplacesets"), _body("InPlaceSet"))
    assert made.body["spec"]["strategy"] == {
        "gracePeriodSeconds": 0,
        "maxUnavailable": "25%",
        "partition": 0,
        "paused": False,
        "podUpgradePolicy": "InPlaceIfPossible",
    }


@case
async def a_pod_template_of_ours_is_kept_whole(world: World) -> None:
    template = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "hostNetwork": True, "anything": {"x": [1, None]}}}
    made = await world.post(await installed(world, "inplacesets"), _body("InPlaceSet", template=template))
    assert made.status == 201
    assert made.body["spec"]["template"] == template


@case
async def a_batch_of_none_is_refused(world: World) -> None:
    await _refused(
        world, "cafedeployments", "spec.strategy.batchSize",
        "should be greater than or equal to 1", strategy={"batchSize": 0},
    )  # fmt: skip


@case
async def a_negative_size_is_refused(world: World) -> None:
    await _refused(world, "inplacesets", "spec.replicas", "should be greater than or equal to 0", replicas=-1)


@case
async def an_unknown_kind_of_set_is_refused(world: World) -> None:
    await _refused(
        world, "cafedeployments", "spec.podSetType", 'Unsupported value: "Lorry"', podSetType="Lorry"
    )


@case
async def a_set_without_selector_is_refused(world: World) -> None:
    path = await installed(world, "inplacesets")
    body = _body("InPlaceSet")
    del body["spec"]["selector"]
    answer = await world.post(path, body)
    assert (answer.status, answer.causes[0]) == (422, ("FieldValueRequired", "spec.selector"))


@case
async def a_set_without_spec_is_refused(world: World) -> None:
    path = await installed(world, "inplacesets")
    body = {"apiVersion": API_VERSION, "kind": "InPlaceSet", "metadata": {"name": "a"}}
    answer = await world.post(path, body)
    assert (answer.status, answer.causes[0]) == (422, ("FieldValueRequired", "spec"))


@case
async def an_empty_selector_is_refused(world: World) -> None:
    for plural in ("inplacesets", "cafedeployments"):
        await _refused(world, plural, "spec.selector", "selector.matchLabels is required", selector={})


@case
async def a_selector_that_misses_its_template_is_refused(world: World) -> None:
    await _refused(
        world, "inplacesets", "spec.template",
        "selector.matchLabels does not match template.metadata.labels",
        selector={"matchLabels": {"app": "b"}},
    )  # fmt: skip


@case
async def a_template_without_labels_is_refused(world: World) -> None:
    await _refused(
        world, "inplacesets", "spec.template",
        "selector.matchLabels does not match template.metadata.labels", template={"spec": TEMPLATE["spec"]},
    )  # fmt: skip


@case
async def a_selector_of_ours_never_changes(world: World) -> None:
    path = await installed(world, "cafedeployments")
    await world.post(path, _body("CafeDeployment"))
    labels = {"app": "a", "more": "b"}
    patch = {"spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}}
    answer = await world.patch(f"{path}/a", patch)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.selector")])
    assert "selector is immutable" in answer.message


@case
async def a_budget_in_which_nothing_moves_is_refused(world: World) -> None:
    for budget in (0, "0%", "101%", "x"):
        await _refused(
            world, "inplacesets", "spec.strategy.maxUnavailable",
            "strategy.maxUnavailable must be at least 1 or between 1% and 100%",
            strategy={"maxUnavailable": budget},
        )  # fmt: skip
    path = await installed(world, "inplacesets")
    for budget in (1, "1%", "100%"):
        body = _body("InPlaceSet", strategy={"maxUnavailable": budget})
        assert (await world.post(path, body, dryRun="All")).status == 201


@case
async def units_are_named_exactly_if_there_are_any(world: World) -> None:
    words = "topology.values names the units exactly if topology.unitType is Cell or Zone"
    for topology in ({"unitType": "Cell"}, {"unitType": "None", "values": ["a"]}):
        await _refused(world, "cafedeployments", "spec.topology.values", words, topology=topology)


@case
async def a_pin_of_an_unknown_unit_is_refused(world: World) -> None:
    topology = {"unitType": "Cell", "values": ["a", "b"], "unitReplicas": {"c": 1}}
    await _refused(
        world, "cafedeployments", "spec.topology.unitReplicas",
        "topology.unitReplicas pins a unit that topology.values doesn't name", topology=topology,
    )  # fmt: skip


@case
async def a_unit_named_twice_is_refused(world: World) -> None:
    topology = {"unitType": "Cell", "values": ["a", "a"]}
    answer = await _refused(
        world, "cafedeployments", "spec.topology.values[1]", 'Duplicate value: "a"', topology=topology
    )
    assert answer.causes[0][0] == "FieldValueDuplicate"


@case
async def a_grace_period_of_ours_is_bounded(world: World) -> None:
    await _refused(
        world, "inplacesets", "spec.strategy.gracePeriodSeconds",
        "should be less than or equal to 3600", strategy={"gracePeriodSeconds": 3601},
    )  # fmt: skip


@case
async def our_status_is_written_by_its_own_door_and_counts_no_generation(world: World) -> None:
    path = await installed(world, "cafedeployments")
    made = await world.post(path, _body("CafeDeployment"))
    patch = {
        "metadata": {"uid": made.meta["uid"], "resourceVersion": made.version},
        "status": {
            "phase": "Progressing",
            "replicas": 1,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
    answer = await world.patch(f"{path}/a/status", patch)
    assert (answer.status, answer.body["status"]["phase"]) == (200, "Progressing")
    assert answer.meta["generation"] == 1
    stale = await world.patch(f"{path}/a/status", patch)
    assert (stale.status, stale.reason) == (409, "Conflict")


@case
async def a_uid_is_no_guard_of_a_custom_status(world: World) -> None:
    """Unlike on built-in kinds. What guards the status of our kinds is the resource version."""
    path = await installed(world, "inplacesets")
    made = await world.post(path, _body("InPlaceSet"))
    patch = {"metadata": {"uid": "00000000-0000-4000-8000-000000000000"}, "status": {"replicas": 1}}
    answer = await world.patch(f"{path}/a/status", patch)
    assert (answer.status, answer.meta["uid"]) == (200, made.meta["uid"])
    spec = await world.patch(f"{path}/a", {"metadata": patch["metadata"], "spec": {"replicas": 2}})
    assert (spec.status, spec.causes) == (422, [("FieldValueInvalid", "metadata.uid")])


@case
async def our_sets_are_scaled_through_their_scale(world: World) -> None:
    path = await installed(world, "inplacesets")
    await world.post(path, _body("InPlaceSet"))
    await world.patch(f"{path}/a/status", {"status": {"replicas": 1, "labelSelector": "app=a"}})
    scale = await world.get(f"{path}/a/scale")
    assert scale.body["status"] == {"replicas": 1, "selector": "app=a"}
    scaled = await world.patch(f"{path}/a/scale", {"spec": {"replicas": 3}})
    assert (scaled.status, scaled.body["spec"]) == (200, {"replicas": 3})
    assert (await world.get(f"{path}/a")).meta["generation"] == 2
    assert (await world.patch(f"{path}/a/scale", {"spec": {"replicas": -1}})).status == 422


@case
async def our_columns_can_be_read(world: World) -> None:
    path = await installed(world, "cafedeployments")
    await world.post(path, _body("CafeDeployment", replicas=4))
    status = {"phase": "WaitingForConfirm", "updatedReplicas": 2, "waiting": {"message": "confirm group 1"}}
    await world.patch(f"{path}/a/status", {"status": status})
    table = await world.send("GET", path, accept=TABLE)
    names = [column["name"] for column in table.body["columnDefinitions"]]
    assert names == [
        "Name", "Desired", "Updated", "Available", "Group", "Phase", "Why", "Age", "Revision", "Plan",
    ]  # fmt: skip
    cells = table.body["rows"][0]["cells"]
    assert cells[:4] == ["a", 4, 2, None]
    assert cells[4:7] == [None, "WaitingForConfirm", "confirm group 1"]


@case
async def our_kinds_are_discovered_by_their_short_names(world: World) -> None:
    await installed(world, "cafedeployments")
    answer = await world.get(f"/apis/{API_VERSION}")
    found = {item["name"]: item for item in answer.body["resources"]}
    assert found["cafedeployments"]["shortNames"] == ["cafed"]
    assert found["inplacesets"]["shortNames"] == ["ips"]
    assert found["inplacesets"]["categories"] == ["cafe"]
    assert {"inplacesets/status", "inplacesets/scale"} <= found.keys()
    assert set(found["inplacesets"]["verbs"]) == {
        "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
    }  # fmt: skip


@case
async def an_applied_object_of_ours_owns_what_it_states(world: World) -> None:
    path = await installed(world, "cafedeployments")
    answer = await world.patch(f"{path}/a", _body("CafeDeployment"), APPLY, fieldManager="person")
    assert answer.status == 201
    (entry,) = answer.meta["managedFields"]
    assert (entry["manager"], entry["operation"], entry["apiVersion"]) == ("person", "Apply", API_VERSION)
    assert set(entry["fieldsV1"]["f:spec"]) == {"f:selector", "f:template"}
    image = {"spec": {"containers": [{"name": "main", "image": "x:2"}]}}
    taken = await world.patch(f"{path}/a", {"spec": {"template": image}}, fieldManager="other")
    assert taken.status == 200
    again = await world.patch(f"{path}/a", _body("CafeDeployment"), APPLY, fieldManager="person")
    assert (again.status, again.reason) == (409, "Conflict")


@case
async def conditions_of_ours_are_a_list_by_type(world: World) -> None:
    path = await installed(world, "inplacesets")
    await world.post(path, _body("InPlaceSet"))
    for manager, kind in (("one", "Ready"), ("two", "Progressing")):
        body = {
            "apiVersion": API_VERSION, "kind": "InPlaceSet", "metadata": {"name": "a"},
            "status": {"conditions": [{"type": kind, "status": "True"}]},
        }  # fmt: skip
        answer = await world.patch(f"{path}/a/status", body, APPLY, fieldManager=manager)
        assert answer.status == 200, answer.body
    assert [item["type"] for item in answer.body["status"]["conditions"]] == ["Ready", "Progressing"]
    twice = {"status": {"conditions": [{"type": "A", "status": "True"}, {"type": "A", "status": "False"}]}}
    refused = await world.patch(f"{path}/a/status", twice)
    assert (refused.status, refused.causes) == (422, [("FieldValueDuplicate", "status.conditions[1]")])
