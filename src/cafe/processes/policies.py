"""The guard of traffic: what the API server itself refuses, with or without a controller.

    kubectl delete pod ──▶ API server ──▶ does a protection stand on it? ── yes ──▶ refused, and told why
    in-place image change ─────┘

The rules need nothing but the pod, so they are ValidatingAdmissionPolicies (KEP-3488): no call that could
fail, no certificate, and they hold while no controller runs. Decision 0016.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cafe.api.names import APP_LABEL, DOMAIN, FORCED_ANNOTATION, PROTECTION_PREFIX
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
COLLECTORS: Final = tuple(
    f"system:serviceaccount:kube-system:{name}"
    for name in ("pod-garbage-collector", "generic-garbage-collector", "namespace-controller")
)
"""Who deletes what is over already, or whose owner or namespace is. So does the kubelet."""

PROTECTED: Final = (
    "has(oldObject.metadata.finalizers) && "
    f"oldObject.metadata.finalizers.exists(f, f.startsWith('{PROTECTION_PREFIX}'))"
)
FORCED: Final = (
    f"has(oldObject.metadata.annotations) && '{FORCED_ANNOTATION}' in oldObject.metadata.annotations"
)
RUNNING: Final = (
    "!has(oldObject.metadata.deletionTimestamp) && "
    "(!has(oldObject.status.phase) || !(oldObject.status.phase in ['Failed', 'Succeeded']))"
)


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
    protections = f"oldObject.metadata.finalizers.filter(f, f.startsWith('{PROTECTION_PREFIX}'))"
    return (
        f"'Pod ' + oldObject.metadata.name + ' {what}: it may still receive requests, since ' + "
        f"string(size({protections})) + ' protections stand on it. {remedy}'"
    )


WAYS: Final = (
    "Or evict it, as kubectl drain does: its traffic is drained first. To override all this, see "
    "cafe traffic force --help."
)
IS_UNFORCED: Final = {"not-forced": f"!({FORCED})"}
STAYED: Final = (
    f"has(object.metadata.annotations) && '{FORCED_ANNOTATION}' in object.metadata.annotations "
    f"&& object.metadata.annotations['{FORCED_ANNOTATION}'] "
    f"== oldObject.metadata.annotations['{FORCED_ANNOTATION}']"
)

POLICIES: Final = (
    Policy(
        "no-delete-under-traffic",
        "DELETE",
        {
            "not-a-collector": f"!(request.userInfo.username in {list(COLLECTORS)})",
            "not-a-node": "!('system:nodes' in request.userInfo.groups)",
            "running": RUNNING,
            **IS_UNFORCED,
        },
        f"!({PROTECTED})",
        _told("is not deleted", f"Lower the replicas of its application: one is drained and goes. {WAYS}"),
    ),
    Policy(
        "no-image-under-traffic",
        "UPDATE",
        {
            "an-image": "object.spec.containers.map(c, c.image) != oldObject.spec.containers.map(c, c.image)",
            "running": RUNNING,
            **IS_UNFORCED,
        },
        f"!({PROTECTED})",
        _told("gets no other image", "Change the image of its application: that is released in groups."),
    ),
    Policy(
        "forced-stays",
        "UPDATE",
        {"forced": FORCED},
        STAYED,
        "'Pod ' + oldObject.metadata.name + ' was forced out of its protection. That stays on record: leave "
        f"the annotation {FORCED_ANNOTATION} as it is.'",
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
