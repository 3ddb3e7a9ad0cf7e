"""What slows a person or a machine down on purpose: budgets, webhooks, guards, terminating namespaces."""

import base64
import json

from tests.ports.backend import Answer, Json, World, case
from tests.ports.objects import config_map, pod

POLICY = "policy/v1"
HOOKS = "/apis/admissionregistration.k8s.io/v1"


def _budget(**spec: object) -> Json:
    full = {"selector": {"matchLabels": {"app": "a"}}, **spec}
    return {"apiVersion": POLICY, "kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": full}


async def _evict(world: World, name: str = "a", **options: object) -> Answer:
    body = {"apiVersion": POLICY, "kind": "Eviction", "metadata": {"name": name}, **options}
    return await world.post(world.path("pods", name, sub="eviction"), body)


async def _ready_pod(world: World) -> None:
    # On a node that isn't there: the collector of orphaned pods waits 40 s before it acts.
    await world.made("pods", pod("a", nodeName="no-such-node"))
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    await world.patch(world.path("pods", "a", sub="status"), {"status": status})


@case
async def an_eviction_beyond_the_budget_is_to_be_tried_later(world: World) -> None:
    await _ready_pod(world)
    await world.made("poddisruptionbudgets", _budget(minAvailable=1), POLICY)
    path = world.path("poddisruptionbudgets", "b", api=POLICY)
    await world.until(path, lambda b: b.body["status"].get("currentHealthy") == 1)
    answer = await _evict(world)
    assert (answer.status, answer.reason) == (429, "TooManyRequests")
    assert answer.message == "Cannot evict pod as it would violate the pod's disruption budget."
    assert answer.causes == [("DisruptionBudget", "")]
    assert (await world.get(world.path("pods", "a"))).status == 200
    await world.delete(world.path("pods", "a"), {"gracePeriodSeconds": 0})


@case
async def an_eviction_within_the_budget_is_counted(world: World) -> None:
    await _ready_pod(world)
    await world.made("poddisruptionbudgets", _budget(maxUnavailable=1), POLICY)
    path = world.path("poddisruptionbudgets", "b", api=POLICY)
    # A lone pod belongs to nothing that says how many there should be.
    found = await world.until(path, lambda b: b.body["status"].get("observedGeneration") == 1)
    assert found.body["status"]["disruptionsAllowed"] == 0
    await world.patch(path, {"spec": {"maxUnavailable": None, "minAvailable": 0}})
    await world.until(path, lambda b: b.body["status"].get("disruptionsAllowed") == 1)
    answer = await _evict(world)
    assert (answer.status, answer.body["status"]) == (201, "Success")
    marked = await world.get(world.path("pods", "a"))
    assert "deletionTimestamp" in marked.meta
    conditions = {item["type"]: item.get("reason") for item in marked.body["status"]["conditions"]}
    assert conditions["DisruptionTarget"] == "EvictionByEvictionAPI"
    await world.delete(world.path("pods", "a"), {"gracePeriodSeconds": 0})


@case
async def an_eviction_may_name_the_pod_it_means(world: World) -> None:
    await world.made("pods", pod("a"))
    other = {"preconditions": {"uid": "00000000-0000-4000-8000-000000000000"}}
    answer = await _evict(world, deleteOptions=other)
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert (await world.get(world.path("pods", "a"))).status == 200


@case
async def an_eviction_of_nothing_is_not_found(world: World) -> None:
    answer = await _evict(world, "no")
    assert (answer.status, answer.reason) == (404, "NotFound")


@case
async def an_eviction_may_be_rehearsed(world: World) -> None:
    await world.made("pods", pod("a"))
    answer = await _evict(world, deleteOptions={"dryRun": ["All"]})
    assert answer.status == 201
    assert (await world.get(world.path("pods", "a"))).status == 200


def _hook(world: World, kind: str, client: Json, **more: object) -> Json:
    hook = {
        "name": "hook.cafe.test",
        "clientConfig": client,
        "rules": [
            {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 2,
        **more,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
        "metadata": {"name": world.namespace}, "webhooks": [hook],
    }  # fmt: skip


async def _hooked(world: World, body: Json, probe: object) -> None:
    """Configure a webhook and wait until the server, which learns of it by watching, asks it."""
    path = f"{HOOKS}/{body['kind'].lower()}s"
    answer = await world.post(path, body)
    assert answer.status == 201, answer.body
    world.later(lambda: world.delete(f"{path}/{world.namespace}"))
    for number in range(200):
        tried = await world.post(world.path("configmaps"), config_map(f"probe-{number}"), dryRun="All")
        if probe(tried):  # type: ignore[operator]
            return
        await world.pause()
    raise AssertionError(f"the webhook is never asked: {tried.body}")


@case
async def a_webhook_that_denies_is_quoted(world: World) -> None:
    def answer(request: Json) -> Json:
        return {"allowed": False, "status": {"message": f"no {request['kind']['kind']} today"}}

    client = world.hook(answer)
    body = _hook(world, "ValidatingWebhookConfiguration", client)
    await _hooked(world, body, lambda tried: tried.status != 201)
    denied = await world.post(world.path("configmaps"), config_map("a"))
    assert (denied.status, denied.reason) == (400, "")
    assert denied.message == 'admission webhook "hook.cafe.test" denied the request: no ConfigMap today'


@case
async def a_webhook_chooses_the_status_of_its_refusal(world: World) -> None:
    client = world.hook(
        lambda _: {"allowed": False, "status": {"code": 422, "message": "odd", "reason": "Invalid"}}
    )
    body = _hook(world, "ValidatingWebhookConfiguration", client)
    await _hooked(world, body, lambda tried: tried.status != 201)
    denied = await world.post(world.path("configmaps"), config_map("a"))
    assert (denied.status, denied.reason) == (422, "Invalid")
    assert denied.message == 'admission webhook "hook.cafe.test" denied the request: odd'


@case
async def a_webhook_denies_without_a_word(world: World) -> None:
    client = world.hook(lambda _: {"allowed": False})
    body = _hook(world, "ValidatingWebhookConfiguration", client)
    await _hooked(world, body, lambda tried: tried.status != 201)
    denied = await world.post(world.path("configmaps"), config_map("a"))
    assert denied.status == 400
    assert denied.message == 'admission webhook "hook.cafe.test" denied the request without explanation'


@case
async def a_webhook_warns(world: World) -> None:
    client = world.hook(lambda _: {"allowed": True, "warnings": ["mind the gap"]})
    body = _hook(world, "ValidatingWebhookConfiguration", client)
    await _hooked(world, body, lambda tried: "warning" in tried.headers)
    made = await world.post(world.path("configmaps"), config_map("a"))
    assert (made.status, made.headers["warning"]) == (201, '299 - "mind the gap"')


@case
async def an_eviction_is_put_to_webhooks_before_anything_else(world: World) -> None:
    seen: list[Json] = []

    def answer(request: Json) -> Json:
        seen.append(request)
        status = {"code": 429, "reason": "TooManyRequests", "message": "not now"}
        is_meant = request["resource"]["resource"] == "pods" and not request["dryRun"]
        return {"allowed": not is_meant, "status": status}

    body = _hook(world, "ValidatingWebhookConfiguration", world.hook(answer), sideEffects="NoneOnDryRun")
    body["webhooks"][0]["rules"][0]["resources"] += ["pods/eviction"]
    await world.made("pods", pod("a"))
    await _hooked(world, body, lambda _: bool(seen))
    denied = await _evict(world)
    assert (denied.status, denied.reason) == (429, "TooManyRequests")
    assert denied.message == 'admission webhook "hook.cafe.test" denied the request: not now'
    asked = seen[-1]
    assert (asked["operation"], asked["name"], asked["subResource"]) == ("CREATE", "a", "eviction")
    assert (asked["kind"]["kind"], asked["resource"]["resource"]) == ("Eviction", "pods")
    assert asked["object"]["metadata"]["name"] == "a"
    # What the eviction itself says of a rehearsal is not looked at yet.
    assert (await _evict(world, deleteOptions={"dryRun": ["All"]})).status == 429
    body = {"apiVersion": POLICY, "kind": "Eviction", "metadata": {"name": "a"}}
    rehearsed = await world.post(world.path("pods", "a", sub="eviction"), body, dryRun="All")
    assert rehearsed.status == 201
    assert (await world.get(world.path("pods", "a"))).status == 200


@case
async def a_webhook_changes_what_is_stored(world: World) -> None:
    steps = [{"op": "add", "path": "/metadata/labels", "value": {"stamped": "yes"}}]
    patch = base64.b64encode(json.dumps(steps).encode()).decode()

    def answer(request: Json) -> Json:
        if request["operation"] != "CREATE":
            return {"allowed": True}
        return {"allowed": True, "patchType": "JSONPatch", "patch": patch}

    body = _hook(world, "MutatingWebhookConfiguration", world.hook(answer))
    await _hooked(world, body, lambda tried: "labels" in tried.meta)
    made = await world.post(world.path("configmaps"), config_map("a", x="1"))
    assert (made.status, made.meta["labels"]) == (201, {"stamped": "yes"})
    assert (await world.get(world.path("configmaps", "a"))).meta["labels"] == {"stamped": "yes"}


@case
async def a_webhook_sees_a_deletion_with_the_old_object(world: World) -> None:
    seen: list[Json] = []

    def answer(request: Json) -> Json:
        seen.append(request)
        return {"allowed": request["operation"] != "DELETE" or "probe" in request["name"]}

    body = _hook(world, "ValidatingWebhookConfiguration", world.hook(answer))
    await _hooked(world, body, lambda _: bool(seen))
    await world.made("configmaps", config_map("a", x="1"))
    denied = await world.delete(world.path("configmaps", "a"))
    assert (denied.status, (await world.get(world.path("configmaps", "a"))).status) == (400, 200)
    last = [request for request in seen if request["name"] == "a"][-1]
    assert (last["operation"], last["object"], last["oldObject"]["data"]) == ("DELETE", None, {"x": "1"})
    assert (last["namespace"], last["name"], last["dryRun"]) == (world.namespace, "a", False)


@case
async def an_unreachable_webhook_that_must_not_fail_stops_the_write(world: World) -> None:
    client = {"url": "https://127.0.0.1:1/nobody"}
    body = _hook(world, "ValidatingWebhookConfiguration", client, failurePolicy="Fail")
    await _hooked(world, body, lambda tried: tried.status != 201)
    failed = await world.post(world.path("configmaps"), config_map("a"))
    assert (failed.status, failed.reason) == (500, "InternalError")
    assert failed.message.startswith(
        'Internal error occurred: failed calling webhook "hook.cafe.test": failed to call webhook: Post '
        '"https://127.0.0.1:1/nobody'
    )


@case
async def an_object_selector_spares_the_others(world: World) -> None:
    client = world.hook(lambda _: {"allowed": False})
    body = _hook(world, "ValidatingWebhookConfiguration", client)
    body["webhooks"].append(
        {**body["webhooks"][0], "name": "two.cafe.test", "objectSelector": {"matchLabels": {"x": "y"}}}
    )
    body["webhooks"][0]["matchConditions"] = [
        {"name": "probes", "expression": "object.metadata.name.startsWith('probe')"}
    ]
    await _hooked(world, body, lambda tried: tried.status != 201)
    assert (await world.post(world.path("configmaps"), config_map("a"))).status == 201
    other = config_map("b")
    other["metadata"]["labels"] = {"x": "y"}
    assert (await world.post(world.path("configmaps"), other)).status == 400


@case
async def webhooks_that_change_come_before_those_that_judge(world: World) -> None:
    steps = [{"op": "add", "path": "/metadata/annotations", "value": {"stamped": "yes"}}]
    patch = base64.b64encode(json.dumps(steps).encode()).decode()

    def judge(request: Json) -> Json:
        return {"allowed": "annotations" not in request["object"]["metadata"]}

    def change(_: Json) -> Json:
        return {"allowed": True, "patchType": "JSONPatch", "patch": patch}

    judging = _hook(world, "ValidatingWebhookConfiguration", world.hook(judge))
    changing = _hook(world, "MutatingWebhookConfiguration", world.hook(change))
    await _hooked(world, changing, lambda tried: "annotations" in tried.meta)
    await _hooked(world, judging, lambda tried: tried.status != 201)
    denied = await world.post(world.path("configmaps"), config_map("a", x="1"))
    assert (denied.status, (await world.get(world.path("configmaps", "a"))).status) == (400, 404)


@case
async def a_webhook_that_may_fail_is_passed_over(world: World) -> None:
    steps = [{"op": "add", "path": "/metadata/annotations", "value": {"stamped": "yes"}}]
    patch = base64.b64encode(json.dumps(steps).encode()).decode()
    client = world.hook(lambda _: {"allowed": True, "patchType": "JSONPatch", "patch": patch})
    body = _hook(world, "MutatingWebhookConfiguration", {"url": "https://127.0.0.1:1/nobody"})
    body["webhooks"][0]["failurePolicy"] = "Ignore"
    body["webhooks"].append({**body["webhooks"][0], "name": "two.cafe.test", "clientConfig": client})
    await _hooked(world, body, lambda tried: "annotations" in tried.meta)
    made = await world.post(world.path("configmaps"), config_map("a", x="1"))
    assert (made.status, made.meta["annotations"]) == (201, {"stamped": "yes"})


@case
async def what_the_rules_of_a_kind_refuse_no_webhook_judges(world: World) -> None:
    seen: list[str] = []

    def answer(request: Json) -> Json:
        seen.append(request["name"])
        return {"allowed": True}

    body = _hook(world, "ValidatingWebhookConfiguration", world.hook(answer))
    await _hooked(world, body, lambda _: bool(seen))
    bad = config_map("bad")
    bad["data"] = {"not a key": "1"}
    assert (await world.post(world.path("configmaps"), bad)).status == 422
    assert "bad" not in seen


@case
async def what_a_webhook_adds_belongs_to_nobody(world: World) -> None:
    steps = [{"op": "add", "path": "/metadata/annotations", "value": {"stamped": "yes"}}]
    patch = base64.b64encode(json.dumps(steps).encode()).decode()
    client = world.hook(lambda _: {"allowed": True, "patchType": "JSONPatch", "patch": patch})
    body = _hook(world, "MutatingWebhookConfiguration", client)
    await _hooked(world, body, lambda tried: "annotations" in tried.meta)
    made = await world.post(world.path("configmaps"), config_map("a", x="1"), fieldManager="hand")
    owned = {entry["manager"]: entry["fieldsV1"] for entry in made.meta["managedFields"]}
    assert made.meta["annotations"] == {"stamped": "yes"}
    assert owned == {"hand": {"f:data": {".": {}, "f:x": {}}}}


@case
async def a_rehearsal_asks_webhooks_too(world: World) -> None:
    seen: list[Json] = []

    def answer(request: Json) -> Json:
        seen.append(request)
        return {"allowed": "probe" in request["name"]}

    body = _hook(world, "ValidatingWebhookConfiguration", world.hook(answer))
    await _hooked(world, body, lambda _: bool(seen))
    denied = await world.post(world.path("configmaps"), config_map("a"), dryRun="All")
    assert (denied.status, seen[-1]["dryRun"]) == (400, True)


@case
async def an_eviction_under_two_budgets_is_an_error(world: World) -> None:
    await _ready_pod(world)
    for name in ("b", "c"):
        body = _budget(minAvailable=0)
        body["metadata"]["name"] = name
        await world.made("poddisruptionbudgets", body, POLICY)
    answer = await _evict(world)
    assert (answer.status, answer.reason) == (500, "")
    assert answer.message == (
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    )
    await world.delete(world.path("pods", "a"), {"gracePeriodSeconds": 0})


@case
async def a_pod_that_is_over_is_evicted_whatever_the_budget_says(world: World) -> None:
    await world.made("pods", pod("a", nodeName="no-such-node"))
    await world.patch(world.path("pods", "a", sub="status"), {"status": {"phase": "Succeeded"}})
    await world.made("poddisruptionbudgets", _budget(minAvailable=1), POLICY)
    assert (await _evict(world)).status == 201
    await world.delete(world.path("pods", "a"), {"gracePeriodSeconds": 0})


@case
async def a_pod_that_has_no_node_is_evicted_whatever_the_budget_says(world: World) -> None:
    await world.made("poddisruptionbudgets", _budget(minAvailable=1), POLICY)
    await world.made("pods", pod("a"))
    assert (await _evict(world)).status == 201
    assert (await world.get(world.path("pods", "a"))).status == 404


@case
async def an_eviction_uses_the_budget_up(world: World) -> None:
    await _ready_pod(world)
    await world.made("poddisruptionbudgets", _budget(minAvailable=0), POLICY)
    path = world.path("poddisruptionbudgets", "b", api=POLICY)
    await world.until(path, lambda b: b.body["status"].get("disruptionsAllowed") == 1)
    assert (await _evict(world)).status == 201
    counted = await world.get(path)
    assert counted.body["status"]["disruptionsAllowed"] == 0
    await world.delete(world.path("pods", "a"), {"gracePeriodSeconds": 0})


@case
async def a_second_eviction_of_a_pod_that_finalizers_hold_writes_nothing(world: World) -> None:
    body = pod("a")
    body["metadata"]["finalizers"] = ["cafe.test/one"]
    await world.made("pods", body)
    await _evict(world)
    first = await world.get(world.path("pods", "a"))
    [condition] = first.body["status"]["conditions"]
    assert condition["lastProbeTime"] is None
    assert (condition["type"], condition["reason"]) == ("DisruptionTarget", "EvictionByEvictionAPI")
    assert (await _evict(world)).status == 201
    again = await world.get(world.path("pods", "a"))
    conditions = again.body["status"]["conditions"]
    # The collector of orphaned pods may come by: it alone writes other words.
    assert again.version == first.version or conditions[0]["reason"] == "DeletionByPodGC"
    await world.patch(world.path("pods", "a"), {"metadata": {"finalizers": None}})


@case
async def what_forbids_deletions_forbids_no_evictions(world: World) -> None:
    seen: list[Json] = []

    def answer(request: Json) -> Json:
        seen.append(request)
        return {"allowed": request["operation"] != "DELETE"}

    body = _hook(world, "ValidatingWebhookConfiguration", world.hook(answer))
    rules = [
        {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps", "pods"]}
    ]
    body["webhooks"][0]["rules"] = rules
    await _hooked(world, body, lambda _: bool(seen))
    await world.made("pods", pod("a"))
    denied = await world.delete(world.path("pods", "a"), {"gracePeriodSeconds": 0})
    assert (denied.status, (await world.get(world.path("pods", "a"))).status) == (400, 200)
    assert (await _evict(world)).status == 201
    assert (await world.get(world.path("pods", "a"))).status == 404
