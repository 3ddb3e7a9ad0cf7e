import base64
import json
from collections.abc import Callable

from cafe_sim.apiserver.steps import WebhookCall, WebhookFailure, WebhookReply
from tests.ports.backend import Value
from tests.ports.objects import config_map
from tests.unit.sim_api.worlds import Sim, new_sim

GROUP = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"


def _with_hook(
    answer: Callable[[Value], Value], *, kind: str = "Validating", **more: Value
) -> tuple[Sim, list[Value]]:
    """Return a world with one webhook on ConfigMaps, and the requests that it sees."""
    asked: list[Value] = []

    def ask(call: WebhookCall) -> WebhookReply:
        request = call.review["request"]
        asked.append(request)
        response = answer(request)
        if isinstance(response, WebhookFailure):
            return response
        return {"response": {"uid": request["uid"], **response}}

    sim = new_sim(ask=ask)
    hook = {
        "name": "hook.cafe.test",
        "clientConfig": {"url": "https://hook.invalid/"},
        "rules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["*"]}
        ],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **more,
    }
    config = {"metadata": {"name": "hooks"}, "webhooks": [hook]}
    made = sim.send("POST", f"{GROUP}/{kind.lower()}webhookconfigurations", config)
    assert made.status == 201, made.body
    return sim, asked


def test_a_validating_webhook_may_refuse() -> None:
    sim, asked = _with_hook(lambda _: {"allowed": False, "status": {"message": "not today"}})
    answer = sim.send("POST", MAPS, config_map("a"))
    assert (answer.status, answer.reason) == (400, "")
    assert answer.message == 'admission webhook "hook.cafe.test" denied the request: not today'
    assert (asked[0]["operation"], asked[0]["object"]["metadata"]["name"]) == ("CREATE", "a")
    assert sim.send("GET", f"{MAPS}/a").status == 404


def test_a_mutating_webhook_may_change_the_object() -> None:
    steps = [{"op": "add", "path": "/data/added", "value": "yes"}]
    patch = base64.b64encode(json.dumps(steps).encode()).decode()
    sim, _ = _with_hook(
        lambda _: {"allowed": True, "patchType": "JSONPatch", "patch": patch}, kind="Mutating"
    )
    assert sim.send("POST", MAPS, config_map("a", x="1")).body["data"] == {"x": "1", "added": "yes"}


def test_a_webhook_that_fails_stops_writes_unless_it_may_be_ignored() -> None:
    sim, _ = _with_hook(lambda _: WebhookFailure("nobody there"))
    answer = sim.send("POST", MAPS, config_map("a"))
    assert (answer.status, answer.reason) == (500, "InternalError")
    assert 'failed calling webhook "hook.cafe.test": failed to call webhook: nobody there' in answer.message
    sim, _ = _with_hook(lambda _: WebhookFailure("nobody there"), failurePolicy="Ignore")
    assert sim.send("POST", MAPS, config_map("a")).status == 201


def test_a_webhook_is_asked_about_what_its_selector_selects() -> None:
    sim, asked = _with_hook(lambda _: {"allowed": True}, objectSelector={"matchLabels": {"guarded": "yes"}})
    sim.send("POST", MAPS, config_map("a"))
    assert asked == []
    sim.send(
        "PATCH", f"{MAPS}/a", {"metadata": {"labels": {"guarded": "yes"}}}, "application/merge-patch+json"
    )
    sim.send("DELETE", f"{MAPS}/a")
    assert [request["operation"] for request in asked] == ["UPDATE", "DELETE"]


def test_a_webhook_with_side_effects_refuses_a_dry_run() -> None:
    sim, asked = _with_hook(lambda _: {"allowed": True}, sideEffects="Some")
    answer = sim.send("POST", MAPS, config_map("a"), dryRun="All")
    assert (answer.status, asked) == (400, [])


def test_a_webhooks_warnings_reach_the_client() -> None:
    sim, _ = _with_hook(lambda _: {"allowed": True, "warnings": ["mind the gap"]})
    assert sim.send("POST", MAPS, config_map("a")).headers["warning"] == '299 - "mind the gap"'
