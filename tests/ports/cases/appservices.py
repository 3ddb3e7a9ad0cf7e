"""Application services and their revisions, as the API server keeps them."""

from cafe.api.names import API_VERSION
from tests.ports.backend import Json, World, case
from tests.ports.cases.ours import installed

LABELS = {"app": "shop"}


def _content(image: str = "shop:1") -> Json:
    containers = [{"name": "shop", "image": image}]
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": containers}}
    return {"selector": {"matchLabels": LABELS}, "template": template}


def _service(**spec: object) -> Json:
    spec = {**_content(), **spec}
    return {
        "apiVersion": API_VERSION,
        "kind": "CafeAppService",
        "metadata": {"name": "shop"},
        "spec": spec,
    }


@case
async def an_application_revision_never_changes_but_can_be_held(world: World) -> None:
    spec = {"service": "shop", "number": 1, "digest": "d", "content": _content()}
    body = {
        "apiVersion": API_VERSION,
        "kind": "CafeAppRevision",
        "metadata": {"name": "shop-1"},
        "spec": spec,
    }
    path = await installed(world, "cafeapprevisions")
    assert (await world.post(path, body)).status == 201
    for change in ({"content": _content("shop:2")}, {"number": 2}, {"digest": "e"}, {"service": "other"}):
        answer = await world.patch(f"{path}/shop-1", {"spec": change})
        assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.content")]), answer.body
        assert "a revision never changes; edit the CafeAppService" in answer.message
    held = await world.patch(f"{path}/shop-1", {"spec": {"hold": {"reason": "lost orders"}}})
    assert (held.status, held.body["spec"]["hold"]) == (200, {"reason": "lost orders"})


@case
async def an_application_service_keeps_its_services_by_name(world: World) -> None:
    path = await installed(world, "cafeappservices")
    ports = [{"name": "http", "port": 80, "anything": {"x": 1}}]
    made = await world.post(path, _service(services=[{"name": "shop", "spec": {"ports": ports}}]))
    assert made.status == 201, made.body
    assert made.body["spec"]["services"][0]["spec"]["ports"] == ports
    assert made.body["spec"]["publish"] == {"pause": False}
    assert (made.body["spec"]["draft"], made.body["spec"]["driftPolicy"]) == (False, "Repair")
    twice = _service(services=[{"name": "shop"}, {"name": "shop"}])
    answer = await world.post(path, {**twice, "metadata": {"name": "other"}})
    assert (answer.status, answer.causes[0]) == (422, ("FieldValueDuplicate", "spec.services[1]"))


@case
async def an_application_service_is_scaled_by_what_is_published(world: World) -> None:
    path = await installed(world, "cafeappservices")
    await world.post(path, _service())
    scaled = await world.patch(f"{path}/shop/scale", {"spec": {"replicas": 3}})
    assert (scaled.status, scaled.body["spec"]) == (200, {"replicas": 3})
    assert (await world.get(f"{path}/shop")).body["spec"]["publish"] == {"pause": False, "replicas": 3}


@case
async def the_selector_of_an_application_service_matches_and_never_changes(world: World) -> None:
    path = await installed(world, "cafeappservices")
    answer = await world.post(path, _service(selector={"matchLabels": {"app": "other"}}))
    assert (answer.status, answer.causes[0][1]) == (422, "spec.template")
    await world.post(path, _service())
    labels = {**LABELS, "more": "b"}
    patch = {"spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}}
    changed = await world.patch(f"{path}/shop", patch)
    assert (changed.status, changed.causes) == (422, [("FieldValueInvalid", "spec.selector")])


@case
async def a_disruption_budget_in_which_no_node_could_be_drained_is_refused(world: World) -> None:
    path = await installed(world, "cafeappservices")
    for budget in (0, "0%", "101%"):
        deploy = {"disruption": {"maxUnavailable": budget}}
        answer = await world.post(path, _service(deploy=deploy))
        assert (answer.status, answer.causes[0][1]) == (422, "spec.deploy.disruption.maxUnavailable")
        assert "with 0 no node could ever be drained" in answer.message
