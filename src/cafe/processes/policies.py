"""The guard of traffic: what the API server itself refuses, with or without a controller.

    kubectl delete pod ──▶ API server ──▶ does a protection stand on it? ── yes ──▶ refused, and told why
    in-place image change ─────┘

The rules need nothing but the pod, so they are ValidatingAdmissionPolicies (KEP-3488): no call that could
fail, no certificate, and they hold while no controller runs. Decision 0016.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cafe.api.names import (
    APP_LABEL,
    DOMAIN,
    EXPECTED_ANNOTATION,
    FORCED_ANNOTATION,
    OPERATION_PREFIX,
    PROTECTION_PREFIX,
    TRAFFIC_GATE,
)
from cafe.kernel import ObjectKey
from cafe.kube.client import Client
from cafe.kube.patches import ApplyPatch
from cafe.kube.resources import Kind

GROUP: Final = "admissionregistration.k8s.io"
ADMISSION_POLICIES: Kind[dict[str, Any]] = Kind(
    GROUP, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", namespaced=False, type=dict
)
ADMISSION_BINDINGS: Kind[dict[str, Any]] = Kind(
    GROUP,
    "v1",
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
    namespaced=False,
    type=dict,
)
EXEMPT: Final = ("kube-system", "kube-node-lease")
COLLECTORS: Final = (
    *(
        f"system:serviceaccount:kube-system:{name}"
        for name in ("pod-garbage-collector", "generic-garbage-collector", "namespace-controller")
    ),
    "system:kube-controller-manager",
)
"""Who deletes what is over already, or whose owner or namespace is. So does the kubelet.

The last one is all controllers at once, where `--use-service-account-credentials` isn't set: were it not
exempt, no namespace of such a cluster could be deleted.
"""

TAINTERS: Final = tuple(
    f"system:serviceaccount:kube-system:{name}" for name in ("node-controller", "taint-eviction-controller")
)
"""Who deletes the pods of nodes that are lost. What is refused, it never tries again."""

READY: Final = (
    "has(oldObject.status.conditions) && "
    "oldObject.status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')"
)
NOTES: Final = "has(oldObject.metadata.annotations)"
OLD_NOTE: Final = "oldObject.metadata.annotations[k]"
REASONED: Final = """matches('"reason" *: *"[^"]')"""
SKIPPED: Final = (
    f"({NOTES} && '{EXPECTED_ANNOTATION}' in oldObject.metadata.annotations && "
    f"oldObject.metadata.annotations.exists(k, k.startsWith('{OPERATION_PREFIX}') && "
    f"""{OLD_NOTE}.matches('"force" *: *2') && {OLD_NOTE}.{REASONED} && """
    f"""{OLD_NOTE}.split('"').exists(n, n != '' && oldObject.metadata.annotations['{EXPECTED_ANNOTATION}']"""
    """.contains('"' + n + '":"' + f + '"'))))"""
)
"""Whether an operation of level 2 names the employer whose protection *f* is. CEL reads no JSON, so it looks
for words of the operation that are names in the annotation of those expected."""

PROTECTED: Final = (
    "has(oldObject.metadata.finalizers) && "
    f"oldObject.metadata.finalizers.exists(f, f.startsWith('{PROTECTION_PREFIX}') && !{SKIPPED})"
)
ATTACHING: Final = (
    f"{NOTES} && '{EXPECTED_ANNOTATION}' in oldObject.metadata.annotations && {READY} && "
    f"oldObject.status.conditions.exists(c, c.type == '{TRAFFIC_GATE}' && c.status == 'True')"
)
"""Whether employers may have begun to send a pod requests: its protections follow once they are seen to."""

IN_TRAFFIC: Final = f"({PROTECTED}) || ({ATTACHING})"
FORCED: Final = (
    f"{NOTES} && oldObject.metadata.annotations.exists(k, k.startsWith('{OPERATION_PREFIX}') && "
    f"""{OLD_NOTE}.matches('"force" *: *3') && {OLD_NOTE}.{REASONED})"""
)
"""Whether an operation stands that waits for nothing. When it ends, the pod is guarded again."""

RUNNING: Final = (
    "!has(oldObject.metadata.deletionTimestamp) && "
    "(!has(oldObject.status.phase) || !(oldObject.status.phase in ['Failed', 'Succeeded']))"
)


def _images(pod: str) -> str:
    """Return the expression of all images of *pod*; among the init containers are sidecars, which restart."""
    init = f"(has({pod}.spec.initContainers) ? {pod}.spec.initContainers.map(c, c.image) : [])"
    return f"{pod}.spec.containers.map(c, c.image) + {init}"


@dataclass(frozen=True, slots=True)
class Policy:
    """One rule about pods of applications.

    Attributes:
        operation: What is asked of the API server.
        conditions: By name, when the rule concerns a request at all; all must be true.
        rule: Must be true, or the request is refused.
        message: An expression: what is refused, why, and what to do.
    """

    name: str
    operation: str
    conditions: Mapping[str, str]
    rule: str
    message: str

    def spec(self) -> dict[str, Any]:
        """Return the spec of the ValidatingAdmissionPolicy."""
        not_ours = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": list(EXEMPT)}
        pods = {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": [self.operation],
            "resources": ["pods"],
            "scope": "Namespaced",
        }
        return {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [pods],
                "objectSelector": {"matchExpressions": [{"key": APP_LABEL, "operator": "Exists"}]},
                "namespaceSelector": {"matchExpressions": [not_ours]},
            },
            "matchConditions": [{"name": n, "expression": e} for n, e in self.conditions.items()],
            "validations": [
                {"expression": self.rule, "messageExpression": self.message, "reason": "Forbidden"}
            ],
        }


def _told(what: str, remedy: str) -> str:
    """Return the expression of a refusal's three parts."""
    return f"'Pod ' + oldObject.metadata.name + ' {what}: ' + ({_WHY}) + '. {remedy}'"


_WHY: Final = (
    f"({PROTECTED}) ? 'it may still receive requests, since ' + string(size(oldObject.metadata.finalizers"
    f".filter(f, f.startsWith('{PROTECTION_PREFIX}')))) + ' protections stand on it' "
    ": 'it may receive requests at any moment, since it is being attached'"
)
WAYS: Final = (
    "Or evict it, as kubectl drain does: its traffic is drained first. To override all this, see "
    "cafe traffic force --help."
)
IS_UNFORCED: Final = {"not-forced": f"!({FORCED})"}
NEW_NOTE: Final = "object.metadata.annotations[k]"
NEWLY_FORCED: Final = (
    f"""k.startsWith('{OPERATION_PREFIX}') && {NEW_NOTE}.matches('"force" *: *[1-9]') && """
    f"!({NOTES} && k in oldObject.metadata.annotations && {OLD_NOTE} == {NEW_NOTE})"
)
HAS_RECORD: Final = (
    f"'{FORCED_ANNOTATION}' in object.metadata.annotations && "
    f"object.metadata.annotations['{FORCED_ANNOTATION}'].{REASONED}"
)
STAYED: Final = (
    f"has(object.metadata.annotations) && '{FORCED_ANNOTATION}' in object.metadata.annotations "
    f"&& object.metadata.annotations['{FORCED_ANNOTATION}']"
    f".startsWith(oldObject.metadata.annotations['{FORCED_ANNOTATION}'])"
)

POLICIES: Final = (
    Policy(
        "no-delete-under-traffic",
        "DELETE",
        {
            "not-a-collector": f"!(request.userInfo.username in {list(COLLECTORS)})",
            "not-a-node": "!('system:nodes' in request.userInfo.groups)",
            "not-of-a-lost-node": f"!(request.userInfo.username in {list(TAINTERS)}) || ({READY})",
            "running": RUNNING,
            **IS_UNFORCED,
        },
        f"!({IN_TRAFFIC})",
        _told("is not deleted", f"Lower the replicas of its application: one is drained and goes. {WAYS}"),
    ),
    Policy(
        "no-image-under-traffic",
        "UPDATE",
        {"an-image": f"{_images('object')} != {_images('oldObject')}", "running": RUNNING, **IS_UNFORCED},
        f"!({IN_TRAFFIC})",
        _told("gets no other image", "Change the image of its application: that is released in groups."),
    ),
    Policy(
        "no-escape-under-traffic",
        "UPDATE",
        {
            "another-application": f"'{APP_LABEL}' in oldObject.metadata.labels "
            f"&& !(has(object.metadata.labels) && '{APP_LABEL}' in object.metadata.labels "
            f"&& object.metadata.labels['{APP_LABEL}'] == oldObject.metadata.labels['{APP_LABEL}'])",
            "running": RUNNING,
            **IS_UNFORCED,
        },
        f"!({IN_TRAFFIC})",
        _told(
            "keeps the label of its application",
            "Take it out of traffic first, and see cafe traffic offline --help.",
        ),
    ),
    Policy(
        "force-says-why",
        "UPDATE",
        {
            "newly-forced": "has(object.metadata.annotations) && "
            f"object.metadata.annotations.exists(k, {NEWLY_FORCED})"
        },
        f"({HAS_RECORD}) && object.metadata.annotations.all(k, !({NEWLY_FORCED}) || {NEW_NOTE}.{REASONED})",
        "'Pod ' + object.metadata.name + ' is not forced: neither the operation nor the record may lack a "
        f"reason. Write both in one request, the record as the annotation {FORCED_ANNOTATION}; "
        "cafe traffic force does.'",
    ),
    Policy(
        "forced-stays",
        "UPDATE",
        {
            "forced": f"{NOTES} && '{FORCED_ANNOTATION}' in oldObject.metadata.annotations",
        },
        STAYED,
        "'Pod ' + oldObject.metadata.name + ' was forced out of its protection. That stays on record: add to "
        f"the annotation {FORCED_ANNOTATION} if need be, but leave what it says.'",
    ),
)
"""All of them."""


def object_name(policy: Policy) -> str:
    """Return how a policy, and its binding, are called in a cluster."""
    return f"{policy.name}.{DOMAIN}"


def objects() -> list[tuple[Kind[dict[str, Any]], dict[str, Any]]]:
    """Return the objects by which all policies are in force."""
    found: list[tuple[Kind[dict[str, Any]], dict[str, Any]]] = []
    for policy in POLICIES:
        metadata = {"name": object_name(policy)}
        bound = {"policyName": metadata["name"], "validationActions": ["Deny"]}
        found.append((ADMISSION_POLICIES, {"metadata": metadata, "spec": policy.spec()}))
        found.append((ADMISSION_BINDINGS, {"metadata": metadata, "spec": bound}))
    return found


async def guard(client: Client) -> None:
    """Have the API server guard pods under traffic.

    Raises:
        cafe.kernel.Refusal: We may not.
    """
    for kind, body in objects():
        await client.patch(kind, ObjectKey("", body["metadata"]["name"]), ApplyPatch(body, force=True))
