"""ValidatingAdmissionPolicies (KEP-3488): rules in CEL, judged before any webhook is asked.

Only what a policy without parameters says: match constraints and conditions, validations, `Deny`. What can't
be evaluated is treated as its failure policy says. The cluster's own parts are judged where they delete pods.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import cel

from cafe_sim.apiserver import errors
from cafe_sim.apiserver.context import Context, Target
from cafe_sim.apiserver.crds.expressions import FUNCTIONS, Program
from cafe_sim.apiserver.errors import StatusError
from cafe_sim.apiserver.matching import concerns, operation_of
from cafe_sim.apiserver.resource import Surroundings
from cafe_sim.apiserver.steps import Steps
from cafe_sim.apiserver.writing import Admission
from cafe_sim.contract import Json

POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"
BINDINGS = "validatingadmissionpolicybindings.admissionregistration.k8s.io"
CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}


class PolicyAdmission:
    """The built-in plug-ins, with policies behind them.

    Args:
        inner: The built-in plug-ins.
        around: The world.
    """

    def __init__(self, inner: Admission, around: Surroundings) -> None:
        self._inner = inner
        self._around = around

    def change(self, target: Target, context: Context, new: Json, old: Json | None) -> Steps[Json]:
        """Return the object as plug-ins want it: policies only judge.

        Raises:
            StatusError: It is refused.
        """
        return (yield from self._inner.change(target, context, new, old))

    def judge(self, target: Target, context: Context, new: Json, old: Json | None) -> Steps[None]:
        """Refuse what a policy in force refuses.

        Raises:
            StatusError: It is refused.
        """
        yield from self._inner.judge(target, context, new, old)
        is_anonymous = context.is_trusted and not context.is_named
        if is_anonymous or target.resource.group == "admissionregistration.k8s.io":
            return  # Else a broken policy could never be taken away.
        for policy in self._in_force():
            constraints = policy["spec"].get("matchConstraints") or {}
            rules = constraints.get("resourceRules") or []
            if concerns({**constraints, "rules": rules}, target, (new, old), self._around):
                self._judge(policy, _variables(context, new, old))

    def judge_posted(self, target: Target, context: Context, posted: Json) -> Steps[None]:
        """Refuse nothing: policies on what is posted to subresources are not modelled."""
        del target, context, posted
        yield from ()

    def _in_force(self) -> Iterator[Json]:
        named = {str(b["spec"]["policyName"]) for b in self._around.every(BINDINGS) if _denies(b)}
        return (p for p in self._around.every(POLICIES) if p["metadata"]["name"] in named)

    @staticmethod
    def _judge(policy: Json, variables: dict[str, Any]) -> None:
        spec, name = policy["spec"], policy["metadata"]["name"]
        try:
            if not all(_said(c["expression"], variables) for c in spec.get("matchConditions") or []):
                return
            broken = [v for v in spec.get("validations") or [] if not _said(v["expression"], variables)]
        except (ValueError, RuntimeError, TypeError) as error:
            if spec.get("failurePolicy", "Fail") == "Ignore":
                return
            raise errors.internal(f"policy '{name}' with binding '{name}' denied request: {error}") from error
        for validation in broken:
            raise _denied(name, validation, variables)


def _denies(binding: Json) -> bool:
    return "Deny" in (binding["spec"].get("validationActions") or [])


def _variables(context: Context, new: Json, old: Json | None) -> dict[str, Any]:
    who = {"username": context.user.name, "groups": list(context.user.groups)}
    request = {"operation": operation_of(new, old), "userInfo": who}
    return {"object": new or None, "oldObject": old, "request": request}


def _said(expression: str, variables: dict[str, Any]) -> Any:  # noqa: ANN401 -- whatever it says
    return _compiled(expression).execute(cel.Context(variables=variables, functions=FUNCTIONS))


@lru_cache(maxsize=256)
def _compiled(expression: str) -> Program:
    """Compile an expression once: each write of a pod is judged by several."""
    return cel.compile(expression)


def _denied(name: str, validation: Json, variables: dict[str, Any]) -> StatusError:
    told = validation.get("message") or f"failed expression: {validation['expression']}"
    if expression := validation.get("messageExpression"):
        told = str(_said(expression, variables))
    reason = validation.get("reason") or "Invalid"
    text = f"ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: {told}"
    return StatusError(CODES.get(reason, 422), reason, text)
