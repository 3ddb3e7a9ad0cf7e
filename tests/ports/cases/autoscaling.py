"""HorizontalPodAutoscalers as the API server keeps them: defaults, rules, columns."""

from tests.ports.backend import APPLY, STRATEGIC, TABLE, Json, Value, World, case

API = "autoscaling/v2"
SCALERS = "horizontalpodautoscalers"
APPS = "apps/v1"
HALF = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
CPU = [{"type": "Resource", "resource": HALF}]


def scaler(name: str = "a", **spec: Value) -> Json:
    target = {"apiVersion": APPS, "kind": "Deployment", "name": "a"}
    full = {"scaleTargetRef": target, "maxReplicas": 10, **spec}
    body = {"apiVersion": API, "kind": "HorizontalPodAutoscaler", "metadata": {"name": name}}
    return {**body, "spec": {key: value for key, value in full.items() if value is not None}}


async def made_scaler(world: World, **spec: Value) -> str:
    """Make the autoscaler `a`, and return its path."""
    await world.made(SCALERS, scaler(**spec), API)
    return world.path(SCALERS, "a", api=API)


@case
async def an_autoscaler_gets_its_defaults(world: World) -> None:
    made = await world.made(SCALERS, scaler(), API)
    target = {"type": "Utilization", "averageUtilization": 80}
    assert made.body["spec"] == {
        "scaleTargetRef": {"apiVersion": APPS, "kind": "Deployment", "name": "a"},
        "minReplicas": 1,
        "maxReplicas": 10,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }
    assert made.body["status"] == {"desiredReplicas": 0, "currentMetrics": None}
    assert "generation" not in made.meta


@case
async def a_behavior_fills_in_both_directions(world: World) -> None:
    policies = [{"type": "Pods", "value": 1, "periodSeconds": 60}]
    made = await world.made(SCALERS, scaler(behavior={"scaleDown": {"policies": policies}}), API)
    percent = {"type": "Percent", "value": 100, "periodSeconds": 15}
    assert made.body["spec"]["behavior"] == {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, percent],
        },
        "scaleDown": {"selectPolicy": "Max", "policies": policies},
    }


_REFUSED: tuple[tuple[Json, str, str, str], ...] = (
    ({"maxReplicas": None}, "Required", "maxReplicas", "must be set and greater than 0"),
    ({"maxReplicas": -1}, "Invalid", "maxReplicas", "-1: must be greater than or equal to 1"),
    ({"minReplicas": 0}, "Invalid", "minReplicas", "0: must be greater than or equal to 1"),
    ({"minReplicas": 11}, "Invalid", "maxReplicas", "10: must be greater than or equal to `minReplicas`"),
    ({"scaleTargetRef": {"apiVersion": APPS, "name": "a"}}, "Required", "scaleTargetRef.kind", ""),
    ({"scaleTargetRef": {"apiVersion": APPS, "kind": "X"}}, "Required", "scaleTargetRef.name", ""),
    (
        {"scaleTargetRef": {"kind": "Deployment", "name": "a"}},
        "Invalid", "scaleTargetRef.apiVersion", '"": apiVersion must specify API group',
    ),
    (
        {"scaleTargetRef": {"apiVersion": APPS, "kind": "a/b", "name": "a"}},
        "Invalid", "scaleTargetRef.kind", "may not contain '/'",
    ),
    ({"metrics": [{"type": "Guess"}]}, "NotSupported", "metrics[0].type", 'supported values: "ContainerRes'),
    (
        {"metrics": [{"type": "Resource"}]},
        "Required", "metrics[0].resource", "must populate information for the given metric source",
    ),
    (
        {"metrics": [{"type": "Resource", "resource": {**HALF, "name": ""}}]},
        "Required", "metrics[0].resource.name", "must specify a resource name",
    ),
    (
        {"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}]},
        "Required", "metrics[0].resource.target.averageUtilization",
        "must set either a target raw value or a target utilization",
    ),
    (
        {"metrics": [{"type": "Resource", "resource": {
            "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 0}}}]},
        "Invalid", "metrics[0].resource.target.averageUtilization", "0: must be greater than 0",
    ),
    (
        {"metrics": [{"type": "Resource", "resource": {
            "name": "cpu", "target": {"type": "AverageValue", "averageValue": "0"}}}]},
        "Invalid", "metrics[0].resource.target.averageValue", "must be positive",
    ),
    (
        {"metrics": [{"type": "Resource", "resource": {
            "name": "cpu",
            "target": {"type": "AverageValue", "averageValue": "1", "averageUtilization": 1}}}]},
        "Forbidden", "metrics[0].resource.target.averageValue",
        "may not set both a target raw value and a target utilization",
    ),
    (
        {"metrics": [{"type": "ContainerResource", "containerResource": HALF}]},
        "Required", "metrics[0].containerResource.container", "must specify a container",
    ),
    (
        {"metrics": [{"type": "Pods", "pods": {
            "metric": {"name": "x"}, "target": {"type": "Value", "value": "1"}}}]},
        "Required", "metrics[0].pods.target.averageValue", "must specify a positive target averageValue",
    ),
    (
        {"metrics": [{"type": "External", "external": {
            "metric": {"name": ""}, "target": {"type": "Value", "value": "1"}}}]},
        "Required", "metrics[0].external.metric.name", "must specify a metric name",
    ),
    (
        {"behavior": {"scaleUp": {"stabilizationWindowSeconds": 3601}}},
        "Invalid", "behavior.scaleUp.stabilizationWindowSeconds", "3601: must be less than or equal to 3600",
    ),
    (
        {"behavior": {"scaleUp": {"stabilizationWindowSeconds": -1}}},
        "Invalid", "behavior.scaleUp.stabilizationWindowSeconds", "must be greater than or equal to zero",
    ),
    (
        {"behavior": {"scaleDown": {"selectPolicy": "Most"}}},
        "NotSupported", "behavior.scaleDown.selectPolicy", 'supported values: "Disabled", "Max", "Min"',
    ),
    (
        {"behavior": {"scaleDown": {"policies": [{"type": "Cells", "value": 1, "periodSeconds": 1}]}}},
        "NotSupported", "behavior.scaleDown.policies[0].type", 'supported values: "Percent", "Pods"',
    ),
    (
        {"behavior": {"scaleDown": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 1}]}}},
        "Invalid", "behavior.scaleDown.policies[0].value", "0: must be greater than zero",
    ),
    (
        {"behavior": {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1801}]}}},
        "Invalid", "behavior.scaleDown.policies[0].periodSeconds", "must be less than or equal to 1800",
    ),
    ({"behavior": {"scaleUp": {"tolerance": "-1"}}}, "Invalid", "behavior.scaleUp.tolerance", "equal to 0"),
)  # fmt: skip


@case
async def an_autoscaler_is_checked(world: World) -> None:
    for spec, kind, field, words in _REFUSED:
        answer = await world.post(world.path(SCALERS, api=API), scaler(**spec))
        assert (answer.status, answer.reason) == (422, "Invalid"), spec
        assert (f"FieldValue{kind}", f"spec.{field}") in answer.causes, answer.body
        assert words in answer.message, answer.message


@case
async def an_autoscaler_tells_all_that_is_wrong_in_order(world: World) -> None:
    both = {**CPU[0], "pods": {"metric": {"name": "x"}, "target": {"type": "Sum", "averageValue": "1"}}}
    answer = await world.post(
        world.path(SCALERS, api=API),
        scaler(minReplicas=0, maxReplicas=-2, scaleTargetRef={"name": "a"}, metrics=[both]),
    )
    assert answer.causes == [
        ("FieldValueInvalid", "spec.minReplicas"),
        ("FieldValueInvalid", "spec.maxReplicas"),
        ("FieldValueRequired", "spec.scaleTargetRef.kind"),
        ("FieldValueInvalid", "spec.scaleTargetRef.apiVersion"),
        ("FieldValueInvalid", "spec.metrics[0].pods.target.type"),
        ("FieldValueForbidden", "spec.metrics[0].pods"),
        ("FieldValueForbidden", "spec.metrics"),
    ], answer.message


@case
async def an_autoscaler_is_patched(world: World) -> None:
    path = await made_scaler(world)
    more = await world.patch(path, {"spec": {"maxReplicas": 20}}, STRATEGIC)
    assert (more.status, more.body["spec"]["maxReplicas"]) == (200, 20)
    refused = await world.patch(path, {"spec": {"minReplicas": 21}})
    assert (refused.status, refused.causes) == (422, [("FieldValueInvalid", "spec.maxReplicas")])
    # Metrics are one value: a patch replaces them all.
    other = await world.patch(path, {"spec": {"metrics": CPU}}, STRATEGIC)
    assert other.body["spec"]["metrics"] == CPU
    again = await world.put(path, scaler())
    assert (again.status, again.body["spec"]["maxReplicas"]) == (200, 10)


@case
async def an_autoscalers_status_has_a_door_of_its_own(world: World) -> None:
    path = await made_scaler(world)
    through = await world.patch(f"{path}/status", {"spec": {"maxReplicas": 2}, "status": {"x": 1}})
    assert (through.status, through.body["spec"]["maxReplicas"]) == (200, 10)
    refused = await world.patch(f"{path}/status", {"status": {"desiredReplicas": -1}})
    assert (refused.status, refused.causes) == (422, [("FieldValueInvalid", "status.desiredReplicas")])
    around = await world.patch(path, {"status": {"desiredReplicas": 7}})
    assert around.body["status"]["desiredReplicas"] == 0


@case
async def an_autoscalers_table_has_the_columns_of_kubectl(world: World) -> None:
    memory = {"name": "memory", "target": {"type": "AverageValue", "averageValue": "64Mi"}}
    outside = {"metric": {"name": "x"}, "target": {"type": "Value", "value": "3"}}
    metrics = [*CPU, {"type": "Resource", "resource": memory}, {"type": "External", "external": outside}]
    path = await made_scaler(world, metrics=metrics, minReplicas=2)
    answer = await world.send("GET", path, accept=TABLE)
    names = [column["name"] for column in answer.body["columnDefinitions"]]
    assert names == ["Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"]
    targets = "cpu: <unknown>/50%, memory: <unknown>/64Mi + 1 more..."
    assert answer.body["rows"][0]["cells"][:6] == ["a", "Deployment/a", targets, "2", 10, 0]


@case
async def an_autoscalers_metrics_and_policies_are_owned_whole(world: World) -> None:
    policies = [{"type": "Pods", "value": 1, "periodSeconds": 60}]
    body = scaler(metrics=CPU, behavior={"scaleDown": {"policies": policies}})
    path = world.path(SCALERS, "a", api=API)
    made = await world.patch(path, body, APPLY, fieldManager="one")
    assert made.status == 201, made.body
    (entry,) = made.meta["managedFields"]
    assert entry["fieldsV1"] == {
        "f:spec": {
            "f:scaleTargetRef": {"f:apiVersion": {}, "f:kind": {}, "f:name": {}},
            "f:maxReplicas": {},
            "f:metrics": {},
            "f:behavior": {"f:scaleDown": {"f:policies": {}}},
        }
    }
    other = scaler(metrics=[{"type": "Resource", "resource": {**HALF, "name": "memory"}}])
    refused = await world.patch(path, other, APPLY, fieldManager="two")
    assert (refused.status, refused.causes) == (409, [("FieldManagerConflict", ".spec.metrics")])
    # What is given up goes back to its default.
    del body["spec"]["metrics"], body["spec"]["behavior"]
    less = await world.patch(path, body, APPLY, fieldManager="one")
    assert less.body["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 80
    assert "behavior" not in less.body["spec"]
