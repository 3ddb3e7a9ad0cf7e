"""Which pods an InPlaceSet has: made, adopted, let go, replaced, deleted."""

from collections import Counter
from datetime import timedelta

from cafe.api.names import SPECIFIED_DELETE_LABEL, UPDATE_STATE_ANNOTATION
from cafe_sim.apiserver.steps import WebhookCall, WebhookReply
from cafe_sim.contract import DeleteOptions, Json
from tests.simulation.world import (
    PODS,
    REVISIONS,
    SETS,
    World,
    a_set,
    a_template,
    a_world,
    gate,
    image,
    is_available,
    lowest,
    restarts,
)
from tests.worlds.clock import in_virtual_time

DEPLOYED = timedelta(minutes=1)


async def settled(world: World, **more: object) -> None:
    """Bring up the set `web` and wait until it has nothing left to do."""
    world.apply(a_set(**more))  # type: ignore[arg-type]
    await world.run(lambda: world.is_settled("web"))


def names(world: World) -> list[str]:
    return [pod["metadata"]["name"] for pod in world.pods()]


def label(world: World, pod: str, **labels: str | None) -> None:
    world.patch(PODS, pod, {"metadata": {"labels": dict(labels)}})


def owner(pod: Json) -> str | None:
    owners = pod["metadata"].get("ownerReferences") or []
    return next((o["name"] for o in owners if o.get("controller")), None)


def an_orphan(name: str = "stray") -> Json:
    template = a_template()
    gates = [{"conditionType": "cafe.sofastack.io/in-place-update-ready"}]
    metadata = {"name": name, "labels": {"app": "web"}}
    return {"metadata": metadata, "spec": {**template["spec"], "readinessGates": gates}}


@in_virtual_time
async def test_a_deleted_pod_is_replaced() -> None:
    async with a_world() as world:
        await settled(world)
        gone = names(world)[0]
        world.api.delete(PODS, "default", gone)
        await world.run(lambda: gone not in names(world) and world.is_settled("web"))
        assert len(names(world)) == 3


@in_virtual_time
async def test_a_matching_orphan_is_adopted_and_counted() -> None:
    async with a_world() as world:
        world.api.create(PODS, "default", an_orphan())
        await settled(world)
        assert len(names(world)) == 3
        assert all(owner(pod) == "web" for pod in world.pods())
        seen = [e.new for r, e in world.commits if r == PODS and e.new["metadata"]["name"] == "stray"]
        assert "web" in {owner(state) for state in seen}


@in_virtual_time
async def test_a_relabelled_pod_is_let_go_and_replaced_and_comes_back_when_relabelled() -> None:
    async with a_world() as world:
        await settled(world)
        left = names(world)[0]
        label(world, left, app="debug")
        await world.run(lambda: owner(world.pod(left)) is None and world.is_settled("web"))
        await world.run(lambda: len(names(world)) == 4)
        assert restarts(world.pod(left)) == 0
        label(world, left, app="web")
        await world.run(lambda: len(names(world)) == 3 and world.is_settled("web"))
        assert all(owner(pod) == "web" for pod in world.pods())


@in_virtual_time
async def test_a_pod_of_another_owner_is_left_alone() -> None:
    async with a_world() as world:
        body = an_orphan("foreign")
        holder = world.api.create("configmaps", "default", {"metadata": {"name": "holder"}})
        reference = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": "holder",
            "uid": holder["metadata"]["uid"],
            "controller": True,
        }
        body["metadata"]["ownerReferences"] = [reference]
        world.api.create(PODS, "default", body)
        await settled(world)
        await world.rest()
        assert len(names(world)) == 4
        assert owner(world.pod("foreign")) == "holder"


@in_virtual_time
async def test_two_sets_with_one_selector_never_share_a_pod() -> None:
    async with a_world() as world:
        world.apply(a_set(2))
        world.apply(a_set(2, name="other"))
        await world.run(lambda: world.is_settled("web") and world.is_settled("other"))
        assert Counter(owner(pod) for pod in world.pods()) == {"web": 2, "other": 2}


@in_virtual_time
async def test_failed_and_evicted_pods_are_replaced() -> None:
    async with a_world() as world:
        await settled(world)
        for name, reason in zip(names(world), ("Evicted", "NodeAffinity", "OutOfcpu"), strict=True):
            world.patch(PODS, name, {"status": {"phase": "Failed", "reason": reason}}, "status")
        await world.rest()
        await world.run(lambda: world.is_settled("web") and all(is_available(p) for p in world.pods()))
        assert len(names(world)) == 3
        assert not any(pod["status"]["phase"] == "Failed" for pod in world.pods())


@in_virtual_time
async def test_a_pod_asked_to_go_is_replaced_within_the_budget() -> None:
    async with a_world() as world:
        await settled(world, replicas=4, strategy={"maxUnavailable": 1})
        old, since = names(world), len(world.commits)
        for name in old:
            label(world, name, **{SPECIFIED_DELETE_LABEL: "true"})
        await world.run(lambda: not set(old) & set(names(world)) and world.is_settled("web"))
        assert len(names(world)) == 4
        assert lowest(world, since) == 3


@in_virtual_time
async def test_scaling_down_takes_sick_pods_then_those_of_lowest_cost() -> None:
    async with a_world() as world:
        await settled(world, replicas=5)
        sick, cheap, *others = names(world)
        pod = world.pod(sick)
        world.cluster.kubelets[pod["spec"]["nodeName"]].hang(pod["metadata"]["uid"], "app")
        cost = {"controller.kubernetes.io/pod-deletion-cost": "-5"}
        world.annotate(PODS, cheap, **cost)
        world.edit(SETS, "web", replicas=4)
        await world.run(lambda: len(names(world)) == 4 and world.is_settled("web"))
        world.edit(SETS, "web", replicas=3)
        await world.run(lambda: len(names(world)) == 3 and world.is_settled("web"))
        assert cheap not in names(world)
        assert len(set(others) & set(names(world))) >= 2


@in_virtual_time
async def test_scaling_to_zero_and_back_is_heard() -> None:
    async with a_world() as world:
        await settled(world)
        world.edit(SETS, "web", replicas=0)
        await world.run(lambda: not names(world) and world.is_settled("web"))
        world.edit(SETS, "web", replicas=2)
        await world.run(lambda: len(names(world)) == 2 and world.is_settled("web"))


@in_virtual_time
async def test_the_scale_subresource_scales_a_set() -> None:
    async with a_world() as world:
        await settled(world)
        world.api.patch(SETS, "default", "web", {"spec": {"replicas": 5}}, "scale")
        await world.run(lambda: len(names(world)) == 5 and world.is_settled("web"))
        assert world.status(SETS, "web")["replicas"] == 5


@in_virtual_time
async def test_idle_revisions_beyond_the_limit_are_forgotten() -> None:
    async with a_world() as world:
        await settled(world, replicas=1, historyLimit=2)
        for number in range(2, 7):
            world.set_image(SETS, "web", f"web:{number}")
            await world.run(lambda: world.is_settled("web"))
        await world.rest()
        assert sorted(r["revision"] for r in world.api.list(REVISIONS)) == [4, 5, 6]


@in_virtual_time
async def test_a_revision_whose_name_is_taken_gets_another_name() -> None:
    async with a_world(is_controlled=False) as world:
        # What the controller would store is learnt from a world of the same kind.
        world.start_controller()
        await settled(world, replicas=1)
        taken = world.api.list(REVISIONS)[0]["metadata"]["name"]
        world.api.delete(SETS, "default", "web")
        await world.run(lambda: not world.api.list(REVISIONS))
        stranger = {"metadata": {"name": taken}, "revision": 7, "data": {"mine": "not yours"}}
        world.api.create(REVISIONS, "default", stranger)
        await settled(world, replicas=1)
        assert world.status(SETS, "web")["collisionCount"] == 1
        stored = {r["metadata"]["name"]: r for r in world.api.list(REVISIONS)}
        assert len(stored) == 2
        assert stored[taken]["data"] == {"mine": "not yours"}
        assert len(names(world)) == 1


def refuse_pods(world: World) -> list[str]:
    """Refuse every new pod, as an exhausted quota does; return the names that were tried."""
    tried: list[str] = []

    def ask(call: WebhookCall) -> WebhookReply:
        request = call.review["request"]
        tried.append(request["object"]["metadata"]["name"])
        status = {"message": "exceeded quota: pods", "code": 403}
        return {"response": {"uid": request["uid"], "allowed": False, "status": status}}

    world.hooks.append(ask)
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
    hook = {
        "name": "quota.cafe.test",
        "clientConfig": {"url": "https://quota.invalid/"},
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    body = {"metadata": {"name": "quota"}, "webhooks": [hook]}
    world.api.create("validatingwebhookconfigurations.admissionregistration.k8s.io", "", body)
    return tried


@in_virtual_time
async def test_a_refused_pod_is_tried_once_a_pass_and_told() -> None:
    async with a_world() as world:
        tried = refuse_pods(world)
        world.apply(a_set(100))
        await world.run(lambda: bool(tried))
        await world.clock.sleep(timedelta(seconds=5))
        assert len(tried) <= 2  # Slow start: one of a hundred; and once more for the new status.
        told = world.condition(SETS, "web", "Progressing")
        assert (told["status"], told["reason"]) == ("False", "FailedCreate")
        assert "exceeded quota" in told["message"]
        await world.clock.sleep(timedelta(minutes=10))
        assert len(tried) <= 62
        assert len(world.events("FailedCreate")) == 1
        world.api.delete("validatingwebhookconfigurations.admissionregistration.k8s.io", "", "quota")
        await world.run(lambda: len(names(world)) == 100)


@in_virtual_time
async def test_a_template_that_no_pod_can_have_is_told_and_the_running_pods_stay() -> None:
    async with a_world() as world:
        await settled(world)
        before = names(world)
        world.edit(SETS, "web", template={"spec": {"restartPolicy": "Sometimes"}})
        await world.run(lambda: bool(world.events("FailedCreate")))
        await world.clock.sleep(timedelta(minutes=5))
        assert len(set(before) & set(names(world))) == 2
        assert "restartPolicy" in world.condition(SETS, "web", "Progressing")["message"]
        world.edit(SETS, "web", template={"spec": {"restartPolicy": None}})
        await world.run(lambda: world.is_settled("web"))
        assert len(names(world)) == 3
        assert len(set(before) & set(names(world))) == 2


@in_virtual_time
async def test_pods_of_a_lost_node_are_replaced_on_another() -> None:
    async with a_world() as world:
        await settled(world, replicas=4)
        lost = world.pods()[0]["spec"]["nodeName"]
        world.cluster.kubelets[lost].power_off()
        await world.run(
            lambda: sum(is_available(p) and p["spec"]["nodeName"] != lost for p in world.pods()) == 4,
            timedelta(minutes=15),
        )
        for pod in world.pods():
            if pod["spec"]["nodeName"] == lost:
                world.api.delete(
                    PODS, "default", pod["metadata"]["name"], DeleteOptions(grace_period=timedelta())
                )
        await world.run(lambda: world.is_settled("web"))
        assert len(names(world)) == 4


@in_virtual_time
async def test_a_deleted_set_takes_its_pods_and_revisions_with_it() -> None:
    async with a_world() as world:
        await settled(world)
        world.api.delete(SETS, "default", "web")
        await world.run(lambda: not world.pods() and not world.api.list(REVISIONS))
        await world.rest()
        assert not world.pods()


@in_virtual_time
async def test_a_corrupted_state_annotation_heals_without_a_restart() -> None:
    async with a_world() as world:
        await settled(world)
        for text, name in zip(("{", "[]", '{"revision":"x","since":"never"}'), names(world), strict=True):
            world.annotate(PODS, name, **{UPDATE_STATE_ANNOTATION: text})
        await world.rest()
        await world.run(lambda: world.is_settled("web") and all(is_available(p) for p in world.pods()))
        assert not any(
            UPDATE_STATE_ANNOTATION in (p["metadata"].get("annotations") or {}) for p in world.pods()
        )
        assert sum(restarts(pod) for pod in world.pods()) == 0


@in_virtual_time
async def test_a_state_annotation_corrupted_in_mid_update_heals() -> None:
    async with a_world() as world:
        await settled(world, replicas=2, strategy={"maxUnavailable": 1})
        world.set_image(SETS, "web", "web:2")
        await world.run(lambda: any(image(p) == "web:2" for p in world.pods()))
        name = next(p["metadata"]["name"] for p in world.pods() if image(p) == "web:2")
        world.annotate(PODS, name, **{UPDATE_STATE_ANNOTATION: "garbage"})
        await world.run(lambda: world.is_settled("web") and all(is_available(p) for p in world.pods()))
        assert [image(p) for p in world.pods()] == ["web:2", "web:2"]


@in_virtual_time
async def test_a_status_that_somebody_overwrote_is_told_anew() -> None:
    async with a_world() as world:
        await settled(world)
        good = world.status(SETS, "web")
        world.patch(
            SETS,
            "web",
            {"status": {"replicas": 77, "currentRevision": "nonsense", "conditions": []}},
            "status",
        )
        await world.run(lambda: world.status(SETS, "web")["replicas"] == 3)
        await world.rest()
        now = world.status(SETS, "web")
        assert {k: v for k, v in now.items() if k != "conditions"} == {
            k: v for k, v in good.items() if k != "conditions"
        }
        assert len(names(world)) == 3


@in_virtual_time
async def test_a_gate_that_somebody_lowered_is_raised_again() -> None:
    async with a_world() as world:
        await settled(world)
        pod = world.pods()[0]
        conditions = [
            {**c, "status": "False"} if c["type"].startswith("cafe") else c
            for c in pod["status"]["conditions"]
        ]
        world.patch(PODS, pod["metadata"]["name"], {"status": {"conditions": conditions}}, "status")
        await world.run(lambda: gate(world.pods()[0]) == "False")
        await world.run(lambda: all(is_available(p) for p in world.pods()))


@in_virtual_time
async def test_a_pod_that_lost_its_revision_label_gets_it_back_or_is_replaced() -> None:
    async with a_world() as world:
        await settled(world)
        label(world, names(world)[0], **{"controller-revision-hash": None})
        await world.rest()
        await world.run(lambda: world.is_settled("web"))
        assert len(names(world)) == 3
        assert len({p["metadata"]["labels"].get("controller-revision-hash") for p in world.pods()}) == 1


@in_virtual_time
async def test_a_set_at_rest_writes_nothing_for_half_an_hour() -> None:
    async with a_world() as world:
        await settled(world)
        await world.rest()
        commits, writes = len(world.commits), len(world.writes)
        await world.clock.sleep(timedelta(minutes=30))
        assert len(world.writes) == writes
        assert len(world.commits) == commits
