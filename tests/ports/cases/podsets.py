"""Which kind of pod set goes with what: refused where one object tells."""

from tests.ports.backend import Json, World, case
from tests.ports.cases.ours import SPEC, installed

CLAIM: Json = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
APPS = "cafedeployments"


def _app(**spec: object) -> Json:
    return {
        "apiVersion": "apps.cafe.sofastack.io/v1alpha1",
        "kind": "CafeDeployment",
        "metadata": {"name": "a"},
        "spec": {**SPEC, **spec},
    }


async def _refused(world: World, field: str, words: str, **spec: object) -> None:
    answer = await world.post(await installed(world, APPS), _app(**spec))
    assert (answer.status, answer.reason) == (422, "Invalid"), answer.body
    assert answer.causes[0][1] == field
    assert words in answer.message


@case
async def a_kind_of_set_never_changes(world: World) -> None:
    path = await installed(world, APPS)
    await world.post(path, _app())
    answer = await world.patch(f"{path}/a", {"spec": {"podSetType": "ReplicaSet"}})
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.podSetType")])
    assert "podSetType is immutable" in answer.message


@case
async def volumes_need_a_stateful_set(world: World) -> None:
    words = "volumeClaimTemplates and serviceName need podSetType StatefulSet"
    await _refused(world, "spec.podSetType", words, volumeClaimTemplates=[CLAIM])
    await _refused(world, "spec.podSetType", words, podSetType="ReplicaSet", serviceName="a")
    path = await installed(world, APPS)
    body = _app(podSetType="StatefulSet", volumeClaimTemplates=[CLAIM], serviceName="a")
    made = await world.post(path, body)
    assert (made.status, made.body["spec"]["volumeClaimTemplates"]) == (201, [CLAIM])
    retention = made.body["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert retention == {"whenDeleted": "Retain", "whenScaled": "Retain"}


@case
async def claims_never_change(world: World) -> None:
    path = await installed(world, APPS)
    await world.post(path, _app(podSetType="StatefulSet", volumeClaimTemplates=[CLAIM], serviceName="a"))
    larger = {**CLAIM, "spec": {**CLAIM["spec"], "resources": {"requests": {"storage": "2Gi"}}}}
    for spec in ({"volumeClaimTemplates": [larger]}, {"volumeClaimTemplates": None}, {"serviceName": "b"}):
        answer = await world.patch(f"{path}/a", {"spec": spec})
        assert answer.status == 422, spec
        assert "volumeClaimTemplates and serviceName are immutable" in answer.message
    assert (await world.patch(f"{path}/a", {"spec": {"replicas": 3}})).status == 200


@case
async def an_update_in_place_needs_an_in_place_set(world: World) -> None:
    words = "podUpgradePolicy InPlaceOnly and gracePeriodSeconds need podSetType InPlaceSet"
    for strategy in ({"podUpgradePolicy": "InPlaceOnly"}, {"gracePeriodSeconds": 5}):
        await _refused(world, "spec.podSetType", words, podSetType="StatefulSet", strategy=strategy)


@case
async def surge_needs_a_replica_set(world: World) -> None:
    words = "strategy.maxSurge needs podSetType ReplicaSet"
    await _refused(world, "spec.strategy.maxSurge", words, strategy={"maxSurge": 1})
    await _refused(
        world, "spec.strategy.maxSurge", words, podSetType="StatefulSet", strategy={"maxSurge": "10%"}
    )
    for surge in (-1, "101%", "x"):
        await _refused(
            world, "spec.strategy.maxSurge", "strategy.maxSurge must be at least 0 or between 0% and 100%",
            podSetType="ReplicaSet", strategy={"maxSurge": surge},
        )  # fmt: skip


@case
async def nothing_may_be_missing_only_where_something_may_come_first(world: World) -> None:
    words = "strategy.maxUnavailable must be at least 1 or between 1% and 100%"
    field = "spec.strategy.maxUnavailable"
    for kind in ("InPlaceSet", "ReplicaSet", "StatefulSet"):
        for budget in (0, "0%", "101%"):
            await _refused(world, field, words, podSetType=kind, strategy={"maxUnavailable": budget})
    path = await installed(world, APPS)
    for strategy in ({"maxUnavailable": 0, "maxSurge": 1}, {"maxUnavailable": "0%", "maxSurge": "25%"}):
        body = _app(podSetType="ReplicaSet", strategy=strategy)
        assert (await world.post(path, body, dryRun="All")).status == 201
