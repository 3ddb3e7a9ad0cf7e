"""Admission webhooks: who is asked about which write, what they are told, and what their answer does.

built-in plug-ins change -> mutating webhooks, by name -> rules of the kind -> validating webhooks, by name
"""

import base64
import binascii
from collections.abc import Iterator
from datetime import timedelta
from typing import Protocol

import cel
import msgspec

from cafe_sim.apiserver import errors
from cafe_sim.apiserver.context import Context, Target
from cafe_sim.apiserver.errors import StatusError
from cafe_sim.apiserver.matching import concerns, operation_of
from cafe_sim.apiserver.patches.json_patch import apply_json_patch
from cafe_sim.apiserver.resource import Surroundings
from cafe_sim.apiserver.steps import Steps, WebhookCall, WebhookFailure, WebhookReply
from cafe_sim.apiserver.values import dig
from cafe_sim.apiserver.writing import Admission
from cafe_sim.contract import Json

MUTATING = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
VALIDATING = "validatingwebhookconfigurations.admissionregistration.k8s.io"
_QUIET = {"None", "NoneOnDryRun"}
_DEFAULT_TIMEOUT = 10


class Around(Surroundings, Protocol):
    """What webhooks need of the world."""

    @property
    def may_ask(self) -> bool:
        """The cluster's own parts can ask webhooks without waiting."""


class WebhookAdmission:
    """The built-in plug-ins, with webhooks behind them.

    Args:
        inner: The built-in plug-ins.
        around: The world.
    """

    def __init__(self, inner: Admission, around: Around) -> None:
        self._inner = inner
        self._around = around

    def change(self, target: Target, context: Context, new: Json, old: Json | None) -> Steps[Json]:
        """Return the object as plug-ins and mutating webhooks want it.

        Raises:
            StatusError: It is refused.
        """
        new = yield from self._inner.change(target, context, new, old)
        asked: list[tuple[Json, Json]] = []
        for hook in self._hooks(MUTATING, target, context):
            before = new
            new = yield from self._ask_to_change(hook, target, context, (new, old))
            asked.append((hook, new))
            if new is not before:
                # Who asked to see later changes is asked again, once.
                for earlier, seen in asked[:-1]:
                    if earlier.get("reinvocationPolicy") == "IfNeeded" and seen is not new:
                        new = yield from self._ask_to_change(earlier, target, context, (new, old))
        return new

    def judge(self, target: Target, context: Context, new: Json, old: Json | None) -> Steps[None]:
        """Ask the validating webhooks.

        Raises:
            StatusError: It is refused.
        """
        yield from self._inner.judge(target, context, new, old)
        for hook in self._hooks(VALIDATING, target, context):
            if self._concerns(hook, target, new, old):
                yield from self._ask(hook, target, context, (new, old))

    def judge_posted(self, target: Target, context: Context, posted: Json) -> Steps[None]:
        """Ask the validating webhooks about what is posted to a subresource; it is stored nowhere.

        Raises:
            StatusError: It is refused.
        """
        for hook in self._hooks(VALIDATING, target, context):
            if self._concerns(hook, target, posted, None):
                yield from self._ask(hook, target, context, (posted, None))

    def _hooks(self, key: str, target: Target, context: Context) -> Iterator[Json]:
        if target.resource.group == "admissionregistration.k8s.io":
            return  # Else a broken webhook could never be taken away.
        if context.is_trusted and not self._around.may_ask:
            return
        for config in self._around.every(key):
            yield from config.get("webhooks") or []

    def _ask_to_change(
        self, hook: Json, target: Target, context: Context, objects: tuple[Json, Json | None]
    ) -> Steps[Json]:
        new, old = objects
        if not self._concerns(hook, target, new, old):
            return new
        answer = yield from self._ask(hook, target, context, objects)
        patch = None if answer is None else answer.get("patch")
        if not patch:
            return new
        try:
            steps = msgspec.json.decode(base64.b64decode(patch))
            changed: Json = apply_json_patch(new, steps)
        except (msgspec.DecodeError, binascii.Error, StatusError) as error:
            raise errors.internal(f'failed calling webhook "{hook["name"]}": bad patch: {error}') from error
        return changed

    def _concerns(self, hook: Json, target: Target, new: Json, old: Json | None) -> bool:
        if not concerns(hook, target, (new, old), self._around):
            return False
        variables = {
            "object": new or None,
            "oldObject": old,
            "request": {"operation": operation_of(new, old)},
        }
        return all(_holds(item, variables) for item in hook.get("matchConditions") or [])

    def _ask(
        self, hook: Json, target: Target, context: Context, objects: tuple[Json, Json | None]
    ) -> Steps[Json | None]:
        """Ask one webhook; return its response, or None if it failed and may be ignored."""
        name = hook["name"]
        if context.is_dry_run and hook.get("sideEffects") not in _QUIET:
            raise errors.bad_request(f'admission webhook "{name}" does not support dry run')
        review = self._review(target, context, objects)
        seconds = timedelta(seconds=hook.get("timeoutSeconds", _DEFAULT_TIMEOUT))
        reply = yield WebhookCall(name, hook["clientConfig"], review, seconds)
        response = _response(reply, review["request"]["uid"])
        if isinstance(response, WebhookFailure):
            if hook.get("failurePolicy") == "Ignore":
                return None
            raise errors.internal(f'failed calling webhook "{name}": failed to call webhook: {response.why}')
        context.warn([str(text) for text in response.get("warnings") or []])
        if not response.get("allowed"):
            raise _denied(name, response)
        return response

    def _review(self, target: Target, context: Context, objects: tuple[Json, Json | None]) -> Json:
        new, old = objects
        resource = target.resource
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        if target.subresource == "eviction":
            kind = {"group": "policy", "version": "v1", "kind": "Eviction"}
        place = {"group": resource.group, "version": resource.version, "resource": resource.plural}
        request: Json = {
            "uid": self._around.entropy.uid(),
            "kind": kind,
            "resource": place,
            "requestKind": kind,
            "requestResource": place,
            "name": target.name or dig(new, "metadata", "name") or "",
            "operation": operation_of(new, old),
            "userInfo": {"username": context.user.name, "groups": list(context.user.groups)},
            "object": new or None,
            "oldObject": old,
            "dryRun": context.is_dry_run,
            "options": None,
        }
        if target.resource.is_namespaced:
            request["namespace"] = target.namespace
        if target.subresource:
            request["subResource"] = request["requestSubResource"] = target.subresource
        return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}


def _holds(condition: Json, variables: Json) -> bool:
    try:
        return bool(cel.evaluate(condition["expression"], variables))
    except (ValueError, RuntimeError, TypeError) as error:
        text = f"failed to evaluate match condition {condition.get('name', '')}: {error}"
        raise errors.internal(text) from error


def _response(reply: WebhookReply, uid: str) -> Json | WebhookFailure:
    if isinstance(reply, WebhookFailure):
        return reply
    response = reply.get("response")
    if not isinstance(response, dict):
        return WebhookFailure("the webhook's answer has no response")
    if response.get("uid") != uid:
        return WebhookFailure(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    return response


def _denied(name: str, response: Json) -> StatusError:
    status = response.get("status") or {}
    code = int(status.get("code") or 400)
    told = status.get("message") or status.get("reason")
    text = f'admission webhook "{name}" denied the request'
    text += f": {told}" if told else " without explanation"
    return StatusError(code, status.get("reason") or "", text)
