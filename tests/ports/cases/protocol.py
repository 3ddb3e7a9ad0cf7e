"""The protocol itself: paths, methods, media types, bodies that can't be read, discovery, health."""

from tests.ports.backend import APPLY, JSON_PATCH, MERGE, STRATEGIC, Answer, World, case
from tests.ports.objects import config_map, pod


def _is_status(answer: Answer, code: int, reason: str) -> None:
    assert (answer.status, answer.body["kind"], answer.reason) == (code, "Status", reason), answer.body
    assert (answer.body["status"], answer.body["code"]) == ("Failure", code)


@case
async def a_body_cut_short_is_a_bad_request(world: World) -> None:
    path = world.path("configmaps")
    await world.made("configmaps", config_map("a"))
    _is_status(await world.send("POST", path, b'{"a":'), 400, "BadRequest")
    for media in (MERGE, JSON_PATCH, STRATEGIC):
        _is_status(await world.send("PATCH", f"{path}/a", b'{"a":', media), 400, "BadRequest")


@case
async def a_body_that_is_no_object_is_a_bad_request(world: World) -> None:
    path = world.path("configmaps")
    for raw in (b"", b"[]", b'"text"', b"7"):
        _is_status(await world.send("POST", path, raw), 400, "BadRequest")


@case
async def a_body_in_unknown_form_is_unsupported(world: World) -> None:
    answer = await world.send("POST", world.path("configmaps"), b"a: 1", "text/nonsense")
    _is_status(answer, 415, "UnsupportedMediaType")


@case
async def a_body_may_be_yaml(world: World) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: '1'\n"
    answer = await world.send("POST", world.path("configmaps"), text, "application/yaml")
    assert (answer.status, answer.body["data"]) == (201, {"x": "1"})


@case
async def a_method_that_a_path_has_not_is_not_allowed(world: World) -> None:
    path = world.path("configmaps")
    _is_status(await world.put(path, config_map("a")), 405, "MethodNotAllowed")
    _is_status(await world.patch(path, {}), 405, "MethodNotAllowed")
    _is_status(await world.post(f"{path}/a", config_map("a")), 405, "MethodNotAllowed")
    _is_status(await world.delete(world.path("pods", "a", sub="status")), 405, "MethodNotAllowed")


@case
async def an_unknown_subresource_is_not_found(world: World) -> None:
    _is_status(await world.get(world.path("configmaps", "a", sub="status")), 404, "NotFound")
    _is_status(await world.get(world.path("pods", "a", sub="nothing")), 404, "NotFound")


@case
async def an_unknown_group_or_version_is_not_found(world: World) -> None:
    for path in ("/apis/none.cafe.test/v1/things", "/apis/apps/v9/deployments", "/api/v9/pods"):
        assert (await world.raw("GET", path)).status == 404


@case
async def a_get_says_what_it_has(world: World) -> None:
    await world.made("configmaps", config_map("a"))
    answer = await world.get(world.path("configmaps", "a"))
    assert (answer.status, answer.body["kind"], answer.body["apiVersion"]) == (200, "ConfigMap", "v1")
    assert answer.headers["content-type"].startswith("application/json")


@case
async def a_patch_may_be_a_rehearsal_with_its_effects_shown(world: World) -> None:
    made = await world.made("pods", pod("a"))
    patch = {"spec": {"containers": [{"name": "main", "image": "x:2"}]}}
    answer = await world.patch(world.path("pods", "a"), patch, STRATEGIC, dryRun="All")
    assert (answer.status, answer.meta["generation"]) == (200, 2)
    assert (await world.get(world.path("pods", "a"))).version == made.version


@case
async def an_unknown_word_for_a_rehearsal_is_invalid(world: World) -> None:
    answer = await world.post(world.path("configmaps"), config_map("a"), dryRun="Some")
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.causes == [("FieldValueNotSupported", "dryRun")]


@case
async def strictness_holds_for_patches_too(world: World) -> None:
    await world.made("pods", pod("a"))
    path = world.path("pods", "a")
    patch = {"spec": {"nonsense": 1}}
    answer = await world.patch(path, patch, MERGE, fieldValidation="Strict")
    assert (answer.status, answer.reason) == (422, "Invalid")
    lenient = await world.patch(path, patch, MERGE, fieldValidation="Ignore")
    assert (lenient.status, "warning" in lenient.headers) == (200, False)
    warned = await world.patch(path, patch, MERGE)
    assert (warned.status, warned.headers["warning"]) == (200, '299 - "unknown field \\"spec.nonsense\\""')


@case
async def an_unknown_strictness_is_invalid(world: World) -> None:
    answer = await world.post(world.path("configmaps"), config_map("a"), fieldValidation="Perhaps")
    assert (answer.status, answer.reason) == (422, "Invalid")


@case
async def groups_are_discovered(world: World) -> None:
    core = (await world.get("/api")).body
    assert (core["kind"], core["versions"]) == ("APIVersions", ["v1"])
    groups = (await world.get("/apis")).body
    assert groups["kind"] == "APIGroupList"
    names = {group["name"] for group in groups["groups"]}
    assert {"apps", "policy", "coordination.k8s.io", "events.k8s.io", "apiextensions.k8s.io"} <= names
    apps = (await world.get("/apis/apps")).body
    assert (apps["kind"], apps["preferredVersion"]) == (
        "APIGroup",
        {"groupVersion": "apps/v1", "version": "v1"},
    )


@case
async def resources_are_discovered(world: World) -> None:
    answer = await world.get("/apis/apps/v1")
    found = {item["name"]: item for item in answer.body["resources"]}
    deployments = found["deployments"]
    assert (deployments["kind"], deployments["namespaced"], deployments["singularName"]) == (
        "Deployment",
        True,
        "deployment",
    )
    assert (deployments["shortNames"], deployments["categories"]) == (["deploy"], ["all"])
    assert found["deployments/scale"]["kind"] == "Scale"
    assert {"deployments/status", "statefulsets", "replicasets", "controllerrevisions"} <= found.keys()


@case
async def the_pods_doors_are_discovered(world: World) -> None:
    answer = await world.get("/api/v1")
    found = {item["name"]: item for item in answer.body["resources"]}
    assert {"pods/status", "pods/eviction", "pods/binding", "pods/resize", "pods/log"} <= found.keys()
    eviction = found["pods/eviction"]
    assert (eviction["group"], eviction["version"], eviction["kind"]) == ("policy", "v1", "Eviction")
    assert found["serviceaccounts/token"]["kind"] == "TokenRequest"


@case
async def the_server_tells_its_version_and_health(world: World) -> None:
    version = (await world.get("/version")).body
    assert (version["major"], version["gitVersion"].startswith("v1.")) == ("1", True)
    for path in ("/healthz", "/livez", "/readyz"):
        answer = await world.raw("GET", path)
        assert (answer.status, answer.body) == (200, b"ok")


@case
async def apply_takes_json_as_the_yaml_that_it_is(world: World) -> None:
    text = b"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: 'y'}}"
    answer = await world.send("PATCH", world.path("configmaps", "a"), text, APPLY, fieldManager="person")
    assert (answer.status, answer.body["data"]) == (201, {"x": "y"})


@case
async def what_is_applied_must_name_itself_as_the_path_does(world: World) -> None:
    path = world.path("configmaps", "a")
    other = await world.patch(path, config_map("b"), APPLY, fieldManager="person")
    _is_status(other, 400, "BadRequest")
    bare = await world.patch(path, {"data": {"x": "y"}}, APPLY, fieldManager="person")
    assert bare.status in {400, 422}


@case
async def who_i_am_is_told(world: World) -> None:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await world.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
    assert answer.status == 201
    assert "system:authenticated" in answer.body["status"]["userInfo"]["groups"]


@case
async def what_i_may_do_is_told(world: World) -> None:
    attributes = {"namespace": world.namespace, "verb": "create", "resource": "pods"}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await world.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    assert (answer.status, answer.body["status"]["allowed"]) == (201, True)
