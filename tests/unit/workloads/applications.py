"""Applications as people write them, for laws of leaving and coming back."""

from typing import Any

from hypothesis import strategies as st

from cafe.api.names import API_VERSION, APP_LABEL, UPDATE_GATE
from cafe.cli.ports import SourceDocument
from cafe.processes.commandline import RealExporter

Json = dict[str, Any]

TEMPLATE: Json = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "app", "image": "web:1"}]},
}
CLAIM: Json = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def app(name: str = "web", **spec: Any) -> Json:  # noqa: ANN401 -- any field
    """Return a CafeDeployment; *spec* goes over a plain one."""
    whole = {"replicas": 10, "selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE, **spec}
    return {
        "apiVersion": API_VERSION,
        "kind": "CafeDeployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": whole,
    }


def exported(*bodies: Json, is_live: bool = False, namespace: str = "") -> list[Json]:
    """Return the plain objects that stand for documents."""
    documents = [SourceDocument("file", number, 1, body) for number, body in enumerate(bodies, 1)]
    found = RealExporter().export(documents, namespace, is_live=is_live)
    return [document for one in found for document in one.documents]


def losses(*bodies: Json, is_live: bool = False) -> dict[str, str]:
    """Return what is lost: the field by the code."""
    documents = [SourceDocument("file", number, 1, body) for number, body in enumerate(bodies, 1)]
    found = RealExporter().export(documents, "", is_live=is_live)
    return {loss.code: loss.field for one in found for loss in one.losses}


COUNTS = st.integers(1, 20)
PERCENTS = st.integers(1, 100).map(lambda n: f"{n}%")
WORDS = st.dictionaries(st.sampled_from(["k", "l.m/n"]), st.sampled_from(["u", "v"]), max_size=2)

POD_SPECS = st.fixed_dictionaries(
    {"containers": st.just(TEMPLATE["spec"]["containers"])},
    optional={
        "nodeSelector": st.dictionaries(st.sampled_from("kl"), st.sampled_from("uv"), min_size=1),
        "readinessGates": st.just([{"conditionType": "example.com/warm"}]),
        "terminationGracePeriodSeconds": st.integers(0, 60),
        "affinity": st.just(
            {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]
                    }
                }
            }
        ),
    },
)


@st.composite
def templates(draw: st.DrawFn) -> Json:
    meta: Json = {"labels": {**draw(WORDS), "app": "web"}}
    if annotations := draw(WORDS):
        meta["annotations"] = annotations
    return {"metadata": meta, "spec": draw(POD_SPECS)}


@st.composite
def strategies_both_can_say(draw: st.DrawFn, kind: str) -> Json:
    """Draw a strategy of which nothing is lost: numbers, not shares of them."""
    seconds = draw(st.integers(0, 30))
    found: Json = {"minReadySeconds": seconds}
    if kind != "StatefulSet":  # That has no deadline and no pause.
        found["progressDeadlineSeconds"] = draw(st.sampled_from([0, 600]) | st.integers(seconds + 1, 9000))
        found["pause"] = draw(st.booleans())
    if kind == "ReplicaSet":
        found["maxSurge"] = draw(st.just(0) | COUNTS | PERCENTS)
        found["maxUnavailable"] = draw(COUNTS if found["maxSurge"] == 0 else COUNTS | st.just(0))
    else:
        found["maxUnavailable"] = draw(COUNTS if kind == "InPlaceSet" else COUNTS | PERCENTS)
    return found


@st.composite
def apps_both_can_say(draw: st.DrawFn) -> Json:
    """Draw an application that a Deployment or a StatefulSet can say whole, groups apart."""
    kind = draw(st.sampled_from(["InPlaceSet", "ReplicaSet", "StatefulSet"]))
    more: Json = {}
    if kind == "StatefulSet":
        more["serviceName"] = draw(st.sampled_from(["", "web"]))
        more["volumeClaimTemplates"] = draw(st.sampled_from([[], [CLAIM]]))
        retained = st.sampled_from(["Retain", "Delete"])
        more["persistentVolumeClaimRetentionPolicy"] = {
            "whenDeleted": draw(retained),
            "whenScaled": draw(retained),
        }
    made = app(
        podSetType=kind,
        replicas=draw(COUNTS),
        template=draw(templates()),
        strategy=draw(strategies_both_can_say(kind)),
        historyLimit=draw(st.integers(0, 30)),
        **more,
    )
    made["metadata"] |= {name: words for name in ("labels", "annotations") if (words := draw(WORDS))}
    return made


@st.composite
def apps_of_all_sorts(draw: st.DrawFn) -> Json:
    """Draw any application that the API server takes, as it holds it after a while."""
    kind = draw(st.sampled_from(["InPlaceSet", "ReplicaSet", "StatefulSet"]))
    units = draw(st.sampled_from([[], ["cell-a"], ["cell-a", "cell-b"], ["a", "B.c", "d"]]))
    topology: Json = {
        "unitType": draw(st.sampled_from(["Cell", "Zone"])) if units else "None",
        "values": units,
    }
    replicas = draw(st.integers(0, 20))
    if len(units) > 1 and draw(st.booleans()):
        topology["unitReplicas"] = {units[0]: draw(st.integers(0, replicas))}
    if units and draw(st.booleans()):
        topology["overrides"] = [{"units": units[:1], "labels": {"tier": "gold"}}]
    strategy: Json = {
        "maxUnavailable": draw(COUNTS | PERCENTS),
        "minReadySeconds": draw(st.sampled_from([0, 5, 900])),
        "progressDeadlineSeconds": draw(st.sampled_from([0, 1, 600])),
        "pause": draw(st.booleans()),
    }
    if kind == "ReplicaSet":
        strategy["maxSurge"] = draw(st.just(0) | COUNTS | PERCENTS | st.just("0%"))
    template = draw(templates())
    template["spec"] = {**template["spec"], "readinessGates": [{"conditionType": UPDATE_GATE}]}
    template["metadata"]["labels"][APP_LABEL] = "web"
    made = app(podSetType=kind, replicas=replicas, template=template, strategy=strategy, topology=topology)
    made["metadata"] |= {"uid": "u", "resourceVersion": "7", "managedFields": [], "generation": 3}
    return made
