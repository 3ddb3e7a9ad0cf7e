"""What the controller of HorizontalPodAutoscalers does.

No node runs anything here: the cases make the pods that a ReplicaSet created run, and write what they use
into their annotations.
"""

from collections.abc import Callable

from tests.ports.backend import MERGE, TABLE, Answer, Json, World, case
from tests.ports.cases.autoscaling import API, APPS, CPU, HALF, SCALERS, made_scaler, scaler
from tests.ports.cases.ours import SPEC, installed
from tests.ports.objects import deployment, pod

USAGE = "cafe.test/usage"
OURS = "apps.cafe.sofastack.io/v1alpha1"
AT_ONCE = {"scaleDown": {"stabilizationWindowSeconds": 0}}
_COMPUTED = "FailedComputeMetricsReplicas"
EARLY = "2026-01-01T00:00:00Z"


def _container() -> Json:
    requests = {"requests": {"cpu": "100m", "memory": "64Mi"}}
    return {"name": "main", "image": "registry.invalid/main:1", "resources": requests}


async def _deployed(world: World, replicas: int, usage: str = "") -> None:
    """Make the Deployment `a`, and its pods run."""
    body = deployment("a", replicas=replicas)
    body["spec"]["template"]["spec"] = {"containers": [_container()], "schedulerName": "nobody"}
    await world.made("deployments", body, APPS)
    await _run(world, await _pods(world, replicas), usage)
    path = world.path("deployments", "a", api=APPS)
    await world.until(path, lambda found: found.body["status"].get("readyReplicas", 0) == replicas)


async def _pods(world: World, count: int) -> list[str]:
    """Wait for so many pods, and return their names."""
    found = await world.until(world.path("pods"), lambda answer: len(answer.body["items"]) == count)
    return [item["metadata"]["name"] for item in found.body["items"]]


async def _run(world: World, names: list[str], usage: str = "") -> None:
    """Do a kubelet's work, and write what the pods use."""
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": EARLY}
    status = {"phase": "Running", "startTime": EARLY, "conditions": [ready]}
    for name in names:
        answer = await world.patch(world.path("pods", name, sub="status"), {"status": status}, MERGE)
        assert answer.status == 200, answer.body
        await _use(world, name, usage)


async def _use(world: World, name: str, usage: str) -> None:
    patch = {"metadata": {"annotations": {USAGE: usage or None}}}
    assert (await world.patch(world.path("pods", name), patch)).status == 200


def _conditions(found: Answer) -> dict[str, tuple[str, str]]:
    listed = found.body["status"].get("conditions") or []
    return {item["type"]: (item["status"], item["reason"]) for item in listed}


def _message(found: Answer, kind: str) -> str:
    listed = found.body["status"].get("conditions") or []
    return next((str(item["message"]) for item in listed if item["type"] == kind), "")


async def _until(world: World, path: str, kind: str, *wanted: str) -> Answer:
    """Wait until a condition has that status and reason."""
    return await world.until(path, lambda found: _conditions(found).get(kind) == wanted)


async def _events(world: World, reason: str) -> list[str]:
    found = await world.until(
        world.path("events"), lambda answer: any(item["reason"] == reason for item in answer.body["items"])
    )
    return [item["message"] for item in found.body["items"] if item["reason"] == reason]


@case
async def a_deployment_under_load_grows(world: World) -> None:
    await _deployed(world, 2, "cpu=100m,memory=16Mi")
    path = await made_scaler(world, metrics=CPU)
    assert len(await _pods(world, 4)) == 4
    found = await world.until(path, lambda answer: answer.body["status"].get("desiredReplicas") == 4)
    assert found.body["status"]["lastScaleTime"]
    # In the next look the new pods don't run yet: they will take their share of the load.
    found = await world.until(path, lambda answer: answer.body["status"].get("currentReplicas") == 4)
    current = {"averageUtilization": 100, "averageValue": "100m"}
    status = found.body["status"]
    assert status["currentMetrics"] == [{"type": "Resource", "resource": {"name": "cpu", "current": current}}]
    assert "observedGeneration" not in status
    assert _conditions(found) == {
        "AbleToScale": ("True", "ReadyForNewScale"),
        "ScalingActive": ("True", "ValidMetricFound"),
        "ScalingLimited": ("False", "DesiredWithinRange"),
    }
    told = "New size: 4; reason: cpu resource utilization (percentage of request) above target"
    assert await _events(world, "SuccessfulRescale") == [told]
    table = await world.send("GET", path, accept=TABLE)
    assert table.body["rows"][0]["cells"][2:6] == ["cpu: 100%/50%", "1", 10, 4]


@case
async def a_deployment_at_rest_shrinks(world: World) -> None:
    await _deployed(world, 3, "cpu=10m,memory=20Mi")
    memory = {"name": "memory", "target": {"type": "AverageValue", "averageValue": "32Mi"}}
    metrics = [*CPU, {"type": "Resource", "resource": memory}]
    path = await made_scaler(world, metrics=metrics, behavior=AT_ONCE)
    # Memory asks for more than the CPU does: the largest proposal counts.
    await _pods(world, 2)
    found = await world.until(path, lambda answer: answer.body["status"].get("desiredReplicas") == 2)
    assert found.body["status"]["currentMetrics"][1]["resource"]["current"] == {"averageValue": "20Mi"}
    assert "New size: 2; reason: All metrics below target" in await _events(world, "SuccessfulRescale")


@case
async def a_calm_of_a_moment_takes_no_pods_away(world: World) -> None:
    await _deployed(world, 2, "cpu=10m")
    path = await made_scaler(world, metrics=CPU)
    found = await _until(world, path, "AbleToScale", "True", "ScaleDownStabilized")
    assert found.body["status"]["desiredReplicas"] == 2
    assert _conditions(found)["ScalingLimited"] == ("False", "DesiredWithinRange")
    assert "applying the highest recent recommendation" in _message(found, "AbleToScale")


@case
async def a_load_within_the_tolerance_changes_nothing(world: World) -> None:
    await _deployed(world, 2, "cpu=54m")
    path = await made_scaler(world, metrics=CPU, behavior=AT_ONCE)
    found = await _until(world, path, "ScalingActive", "True", "ValidMetricFound")
    assert (found.body["status"]["desiredReplicas"], "lastScaleTime" in found.body["status"]) == (2, False)


@case
async def an_autoscaler_goes_no_further_than_its_bounds(world: World) -> None:
    await _deployed(world, 2, "cpu=400m")
    path = await made_scaler(world, metrics=CPU, maxReplicas=3)
    await _pods(world, 3)
    found = await _until(world, path, "ScalingLimited", "True", "TooManyReplicas")
    words = "the desired replica count is more than the maximum replica count"
    assert _message(found, "ScalingLimited") == words


@case
async def an_autoscaler_brings_its_target_within_bounds_without_metrics(world: World) -> None:
    await _deployed(world, 1)
    path = await made_scaler(world, minReplicas=2, maxReplicas=3)
    await _pods(world, 2)
    why = "New size: 2; reason: Current number of replicas below Spec.MinReplicas"
    assert why in await _events(world, "SuccessfulRescale")
    await world.patch(path, {"spec": {"minReplicas": 1, "maxReplicas": 1}})
    await _pods(world, 1)


@case
async def a_policy_limits_how_fast_a_target_grows(world: World) -> None:
    await _deployed(world, 2, "cpu=400m")
    policies = [{"type": "Pods", "value": 1, "periodSeconds": 600}]
    path = await made_scaler(world, metrics=CPU, behavior={"scaleUp": {"policies": policies}})
    await _pods(world, 3)
    await _until(world, path, "ScalingLimited", "True", "ScaleUpLimit")
    await world.until(path, lambda found: found.body["status"].get("currentReplicas") == 3)
    assert len((await world.get(world.path("pods"))).body["items"]) == 3


@case
async def pods_without_metrics_leave_a_target_as_it_is(world: World) -> None:
    await _deployed(world, 2)
    path = await made_scaler(world, metrics=CPU)
    found = await _until(world, path, "ScalingActive", "False", "FailedGetResourceMetric")
    detail = "unable to get metrics for resource cpu: no metrics returned from resource metrics API"
    failure = f"failed to get cpu utilization: {detail}"
    assert _message(found, "ScalingActive") == f"the HPA was unable to compute the replica count: {failure}"
    assert found.body["status"]["currentMetrics"] == [{"type": ""}]
    assert await _events(world, "FailedGetResourceMetric") == [failure]
    assert await _events(world, _COMPUTED) == [
        "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: "
        + failure
    ]


@case
async def a_pod_that_requests_nothing_has_no_utilization(world: World) -> None:
    await world.made("deployments", deployment("a", replicas=1), APPS)
    names = await _pods(world, 1)
    await _run(world, names, "cpu=10m")
    path = await made_scaler(world, metrics=CPU)
    found = await _until(world, path, "ScalingActive", "False", "FailedGetResourceMetric")
    words = f"missing request for cpu in container main of Pod {names[0]}"
    assert _message(found, "ScalingActive").endswith(words)


@case
async def metrics_of_apis_that_are_not_served_fail(world: World) -> None:
    await _deployed(world, 1, "cpu=10m")
    goal = {"type": "AverageValue", "averageValue": "5"}
    about = {"apiVersion": "v1", "kind": "Service", "name": "a"}
    metric = {"metric": {"name": "x"}, "target": goal}
    no_custom = "unable to fetch metrics from custom metrics API: no custom metrics API "
    no_custom += "(custom.metrics.k8s.io) registered"
    path = await made_scaler(world, metrics=[{"type": "Pods", "pods": metric}])
    found = await _until(world, path, "ScalingActive", "False", "FailedGetPodsMetric")
    assert _message(found, "ScalingActive").endswith(f": unable to get metric x: {no_custom}")
    metrics = [{"type": "Object", "object": {**metric, "describedObject": about}}]
    await world.patch(path, {"spec": {"metrics": metrics}})
    found = await _until(world, path, "ScalingActive", "False", "FailedGetObjectMetric")
    words = f"unable to get metric x: Service on {world.namespace} a/{no_custom}"
    assert _message(found, "ScalingActive").endswith(words)
    await world.patch(path, {"spec": {"metrics": [{"type": "External", "external": metric}]}})
    found = await _until(world, path, "ScalingActive", "False", "FailedGetExternalMetric")
    words = (
        f"unable to get external metric {world.namespace}/x/nil: unable to fetch metrics from external "
        "metrics API: the server could not find the requested resource (get x.external.metrics.k8s.io)"
    )
    assert _message(found, "ScalingActive").endswith(words)
    about_a = f"unable to get metric x: Service on {world.namespace} a/{no_custom}"
    told = await world.until(world.path("events"), lambda found: _count(found, _COMPUTED) == 3)
    assert {event["message"] for event in told.body["items"] if event["reason"] == _COMPUTED} == {
        f"invalid metrics (1 invalid out of 1), first error is: {text}"
        for text in (
            f"failed to get pods metric value: unable to get metric x: {no_custom}",
            f"failed to get object metric value: failed to get x object metric: {about_a}",
            f"failed to get x external metric value: failed to get x external metric: {words}",
        )
    }


def _count(found: Answer, reason: str) -> int:
    return sum(item["reason"] == reason for item in found.body["items"])


@case
async def a_target_without_replicas_is_left_alone(world: World) -> None:
    await world.made("deployments", deployment("a"), APPS)
    path = await made_scaler(world, minReplicas=2)
    found = await _until(world, path, "ScalingActive", "False", "ScalingDisabled")
    assert found.body["status"]["desiredReplicas"] == 0
    words = "scaling is disabled since the replica count of the target is zero"
    assert _message(found, "ScalingActive") == words


@case
async def a_target_that_is_not_there_has_no_scale(world: World) -> None:
    path = await made_scaler(world)
    found = await _until(world, path, "AbleToScale", "False", "FailedGetScale")
    failure = 'deployments.apps "a" not found'
    words = f"the HPA controller was unable to get the target's current scale: {failure}"
    assert _message(found, "AbleToScale") == words
    assert await _events(world, "FailedGetScale") == [failure]


@case
async def a_target_of_an_unknown_kind_has_no_scale(world: World) -> None:
    ref = {"apiVersion": "nowhere.test/v1", "kind": "Nothing", "name": "a"}
    path = await made_scaler(world, scaleTargetRef=ref)
    found = await _until(world, path, "AbleToScale", "False", "FailedGetScale")
    assert 'no matches for kind "Nothing" in group "nowhere.test"' in _message(found, "AbleToScale")


async def _ours(world: World, kind: str, spec: Json) -> str:
    """Make `a` of a kind of ours with two busy pods, and its autoscaler; return the path of `a`."""
    collection = await installed(world, f"{kind.lower()}s")
    body = {"apiVersion": OURS, "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    made = await world.post(collection, body)
    assert made.status == 201, made.body
    status = {"replicas": 2, "labelSelector": "app=a"}
    reported = await world.patch(f"{collection}/a/status", {"status": status})
    assert reported.status == 200, reported.body
    for name in ("p", "q"):
        await world.made("pods", pod(name, labels={"app": "a"}, containers=[_container()]))
    await _run(world, ["p", "q"], "cpu=150m")
    ref = {"apiVersion": OURS, "kind": kind, "name": "a"}
    path = await made_scaler(world, scaleTargetRef=ref, metrics=CPU, behavior=AT_ONCE)
    # The real controller looks for new kinds every half minute.
    await _slowly(world, path, lambda found: _conditions(found).get("AbleToScale", ("",))[0] == "True")
    return f"{collection}/a"


async def _slowly(world: World, path: str, wanted: Callable[[Answer], bool]) -> None:
    try:
        await world.until(path, wanted)
    except AssertionError:
        await world.until(path, wanted)


@case
async def a_deployment_of_ours_grows_and_shrinks_with_its_load(world: World) -> None:
    path = await _ours(world, "CafeDeployment", {**SPEC, "replicas": 2})
    await world.until(path, lambda found: found.body["spec"]["replicas"] == 6)
    for name in ("p", "q"):
        await _use(world, name, "cpu=10m")
    await world.until(path, lambda found: found.body["spec"]["replicas"] == 1)


@case
async def a_service_of_ours_grows_and_shrinks_with_its_load(world: World) -> None:
    path = await _ours(world, "CafeAppService", {**SPEC, "publish": {"replicas": 2}})
    await world.until(path, lambda found: found.body["spec"]["publish"]["replicas"] == 6)
    for name in ("p", "q"):
        await _use(world, name, "cpu=10m")
    await world.until(path, lambda found: found.body["spec"]["publish"]["replicas"] == 1)


@case
async def a_kind_of_ours_that_does_not_say_how_many_it_wants_is_not_scaled(world: World) -> None:
    collection = await installed(world, "cafeappservices")
    body = {"apiVersion": OURS, "kind": "CafeAppService", "metadata": {"name": "a"}, "spec": SPEC}
    assert (await world.post(collection, body)).status == 201
    scale = await world.get(f"{collection}/a/scale")
    failure = 'Internal error occurred: the spec replicas field ".spec.publish.replicas" does not exist'
    assert (scale.status, scale.reason, scale.message) == (500, "InternalError", failure)
    ref = {"apiVersion": OURS, "kind": "CafeAppService", "name": "a"}
    path = await made_scaler(world, scaleTargetRef=ref)
    words = f"the HPA controller was unable to get the target's current scale: {failure}"
    await _slowly(world, path, lambda found: _message(found, "AbleToScale") == words)
    # Whoever sets it once, through the scale too, has it scaled from then on.
    scaled = await world.patch(f"{collection}/a/scale", {"spec": {"replicas": 2}})
    assert (scaled.status, scaled.body["spec"]) == (200, {"replicas": 2})
    await _until(world, path, "AbleToScale", "True", "SucceededGetScale")


@case
async def a_stateful_set_grows_with_its_load(world: World) -> None:
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [_container()]}}
    template["spec"]["schedulerName"] = "nobody"
    spec = {"selector": {"matchLabels": {"app": "a"}}, "serviceName": "a", "template": template}
    await world.made("statefulsets", {"metadata": {"name": "a"}, "spec": {**spec, "replicas": 1}}, APPS)
    await _run(world, await _pods(world, 1), "memory=160Mi")
    memory = {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 100}}
    ref = {"apiVersion": APPS, "kind": "StatefulSet", "name": "a"}
    await made_scaler(world, scaleTargetRef=ref, metrics=[{"type": "Resource", "resource": memory}])
    path = world.path("statefulsets", "a", api=APPS)
    await world.until(path, lambda found: found.body["spec"]["replicas"] == 3)


@case
async def two_autoscalers_for_the_same_pods_scale_nothing(world: World) -> None:
    await _deployed(world, 2, "cpu=50m")
    path = await made_scaler(world, metrics=CPU)
    await world.made(SCALERS, scaler("b", metrics=CPU), API)
    found = await _until(world, path, "ScalingActive", "False", "AmbiguousSelector")
    words, _, names = _message(found, "ScalingActive").partition(": ")
    assert words == "pods by selector app=a are controlled by multiple HPAs"
    assert sorted(names.strip("[]").split()) == [f"{world.namespace}/a", f"{world.namespace}/b"]


@case
async def a_target_without_a_selector_is_notmade_scaler(world: World) -> None:
    collection = await installed(world, "cafedeployments")
    body = {"apiVersion": OURS, "kind": "CafeDeployment", "metadata": {"name": "a"}}
    await world.post(collection, {**body, "spec": {**SPEC, "replicas": 2}})
    path = await made_scaler(
        world, scaleTargetRef={"apiVersion": OURS, "kind": "CafeDeployment", "name": "a"}
    )
    await _slowly(world, path, lambda found: "ScalingActive" in _conditions(found))
    found = await _until(world, path, "ScalingActive", "False", "InvalidSelector")
    assert _message(found, "ScalingActive") == "the HPA target's scale is missing a selector"
    assert await _events(world, "SelectorRequired") == ["selector is required"]


@case
async def who_has_no_metrics_counts_as_idle_when_it_is_about_more_pods(world: World) -> None:
    await _deployed(world, 3, "cpu=80m")
    await _use(world, (await _pods(world, 3))[0], "")
    path = await made_scaler(world, metrics=CPU)
    # 160m by 3 pods are 53 %: within the tolerance. Of the two that are known it is 80 %.
    found = await _until(world, path, "ScalingActive", "True", "ValidMetricFound")
    assert found.body["status"]["desiredReplicas"] == 3
    shown = found.body["status"]["currentMetrics"][0]["resource"]["current"]
    assert shown == {"averageUtilization": 80, "averageValue": "80m"}


@case
async def who_has_no_metrics_counts_as_busy_when_it_is_about_fewer_pods(world: World) -> None:
    await _deployed(world, 4, "cpu=0m")
    await _use(world, (await _pods(world, 4))[0], "")
    path = await made_scaler(world, metrics=CPU, behavior=AT_ONCE)
    await _until(world, path, "AbleToScale", "True", "SucceededRescale")
    # 100m by 4 pods are 25 %, half of the target.
    assert "New size: 2; reason: All metrics below target" in await _events(world, "SuccessfulRescale")


@case
async def a_container_counts_alone(world: World) -> None:
    body = deployment("a", replicas=2)
    log = {"name": "log", "image": "registry.invalid/log:1"}
    body["spec"]["template"]["spec"] = {"containers": [_container(), log], "schedulerName": "nobody"}
    await world.made("deployments", body, APPS)
    await _run(world, await _pods(world, 2), "cpu=200m")
    source = {**HALF, "container": "main"}
    path = await made_scaler(world, metrics=[{"type": "ContainerResource", "containerResource": source}])
    await _pods(world, 4)
    found = await _until(world, path, "AbleToScale", "True", "ReadyForNewScale")
    current = {"averageUtilization": 100, "averageValue": "100m"}
    told = {"name": "cpu", "container": "main", "current": current}
    assert found.body["status"]["currentMetrics"] == [
        {"type": "ContainerResource", "containerResource": told}
    ]


@case
async def what_pods_use_is_read_by_name_and_by_label(world: World) -> None:
    containers = [_container(), {"name": "log", "image": "registry.invalid/log:1"}]
    for name in ("p", "q", "idle"):
        await world.made("pods", pod(name, containers=containers))
    await _run(world, ["p", "q"], "cpu=251m,memory=64Mi")
    await _run(world, ["idle"])
    path = world.path("pods", api="metrics.k8s.io/v1beta1")
    listed = await world.get(path)
    assert (listed.status, listed.body["kind"]) == (200, "PodMetricsList")
    assert sorted(item["metadata"]["name"] for item in listed.body["items"]) == ["p", "q"]
    chosen = await world.get(path, labelSelector="app=q")
    assert [item["metadata"]["name"] for item in chosen.body["items"]] == ["q"]
    one = (await world.get(f"{path}/p")).body
    assert one["containers"] == [
        {"name": "main", "usage": {"cpu": "126m", "memory": "32Mi"}},
        {"name": "log", "usage": {"cpu": "125m", "memory": "32Mi"}},
    ]
    assert (one["kind"], one["window"], one["metadata"]["labels"]) == ("PodMetrics", "15s", {"app": "p"})
    missing = await world.get(f"{path}/idle")
    assert (missing.status, missing.reason) == (404, "NotFound")
    assert missing.message == 'pods.metrics.k8s.io "idle" not found'
