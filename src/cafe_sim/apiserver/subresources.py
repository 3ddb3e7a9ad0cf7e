"""`binding`, `eviction`, `scale`, `finalize` and `token`: small doors into an object."""

from dataclasses import replace
from datetime import timedelta

from cafe_sim.apiserver import errors
from cafe_sim.apiserver.context import Context, Target
from cafe_sim.apiserver.deleting import Deleter
from cafe_sim.apiserver.errors import FieldError, StatusError, not_supported
from cafe_sim.apiserver.kinds.pods import bound, evicted
from cafe_sim.apiserver.metadata import stamp
from cafe_sim.apiserver.resource import Surroundings
from cafe_sim.apiserver.selectors import matches_selector
from cafe_sim.apiserver.steps import Steps
from cafe_sim.apiserver.store import Store
from cafe_sim.apiserver.values import Value, dig, with_path
from cafe_sim.apiserver.webhooks import WebhookAdmission
from cafe_sim.contract import DeleteOptions, Json

_EVICTED_AT_ONCE = ("Pending", "Succeeded", "Failed")


class Subresources:
    """What can be posted to a subresource."""

    def __init__(
        self, store: Store, around: Surroundings, deleter: Deleter, admission: WebhookAdmission
    ) -> None:
        self._store = store
        self._around = around
        self._deleter = deleter
        self._admission = admission

    def create(self, target: Target, context: Context, body: Value) -> Steps[Json]:
        """Post *body* to the target's subresource.

        Raises:
            StatusError: 404, 405, 409 or 429 (an eviction that a budget forbids).
        """
        if target.subresource == "binding":
            _check_binding(body)
        if target.subresource == "eviction":
            # Before the pod and the options are looked at (registry/core/pod/storage EvictionREST.Create).
            yield from self._admission.judge_posted(target, context, body)
        old = self._store.table(target.resource.key).get(target.namespace, target.name)
        if old is None:
            raise errors.not_found(target.resource.plural, target.resource.group, target.name)
        if target.subresource == "binding":
            return self._bind(target.name, context, old, body)
        if target.subresource == "eviction":
            return (yield from self._evict(target, context, old, body))
        if target.subresource == "token":
            _check_token(old, body)
            return self._token(old, body)
        raise errors.not_allowed(target.resource.plural, target.resource.group, "create")

    def bind(self, target: Target, context: Context, body: Value) -> Steps[Json]:
        """Post a Binding to the collection, as old schedulers do.

        Raises:
            StatusError: 404 or 409.
        """
        yield from ()
        _check_binding(body)
        name = dig(body, "metadata", "name") or ""
        pod = self._store.table("pods").get(target.namespace, name)
        if pod is None:
            raise errors.not_found("pods", "", name)
        return self._bind(name, context, pod, body)

    def _bind(self, name: str, context: Context, pod: Json, body: Json) -> Json:
        node = dig(body, "target", "name")
        meta = body.get("metadata") or {}
        if meta.get("uid") and meta["uid"] != pod["metadata"]["uid"]:
            why = (
                f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: "
                f"{pod['metadata']['uid']}"
            )
            raise errors.conflict("pods/binding", "", name, why)
        if pod["metadata"].get("deletionTimestamp"):
            why = f"pod {name} is being deleted, cannot be assigned to a host"
            raise errors.conflict("pods/binding", "", name, why)
        if pod["spec"].get("nodeName"):
            why = f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
            raise errors.conflict("pods/binding", "", name, why)
        if pod["spec"].get("schedulingGates"):
            why = f"pod {name} has non-empty .spec.schedulingGates"
            raise errors.conflict("pods/binding", "", name, why)
        if not context.is_dry_run:
            new = bound(pod, node, meta.get("annotations") or {}, stamp(self._around.now()))
            self._store.commit("pods", "MODIFIED", pod, new)
        return _success(201)

    def _evict(self, target: Target, context: Context, pod: Json, body: Json) -> Steps[Json]:
        asked: Json = body.get("deleteOptions") or {}
        context.is_dry_run = context.is_dry_run or "All" in (asked.get("dryRun") or [])
        grace = asked.get("gracePeriodSeconds")
        wanted = asked.get("preconditions") or {}
        options = DeleteOptions(
            grace_period=None if grace is None else timedelta(seconds=grace),
            uid=wanted.get("uid"),
            resource_version=wanted.get("resourceVersion"),
        )
        is_live = dig(pod, "status", "phase") not in _EVICTED_AT_ONCE
        if is_live and not pod["metadata"].get("deletionTimestamp"):
            self._spend_budget(pod, context)
        if not context.is_dry_run and self._is_meant(pod, options):
            marked = evicted(pod, stamp(self._around.now()))
            if marked != pod:
                pod = self._store.commit("pods", "MODIFIED", pod, marked)
            if options.resource_version:
                options = replace(options, resource_version=pod["metadata"]["resourceVersion"])
        yield from self._deleter.delete(
            Target(target.resource, target.namespace, target.name), context, options, is_judged=False
        )
        return _success(201)

    @staticmethod
    def _is_meant(pod: Json, options: DeleteOptions) -> bool:
        meta = pod["metadata"]
        return options.uid in {None, meta["uid"]} and options.resource_version in {
            None,
            meta["resourceVersion"],
        }

    def _spend_budget(self, pod: Json, context: Context) -> None:
        meta = pod["metadata"]
        budgets = [
            budget
            for budget in self._around.every("poddisruptionbudgets.policy", meta["namespace"])
            if matches_selector(dig(budget, "spec", "selector"), meta.get("labels"))
        ]
        if not budgets:
            return
        if len(budgets) > 1:
            text = (
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not "
                "support."
            )
            raise StatusError(500, "", text)
        budget = budgets[0]
        status = budget.get("status") or {}
        if not _is_ready(pod) and _spares_unready(budget, status):
            return
        name = budget["metadata"]["name"]
        if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
            raise _too_many(f"The disruption budget {name} is still being processed by the server.")
        if status.get("disruptionsAllowed", 0) <= 0:
            healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
            text = f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
            raise _too_many(text)
        if context.is_dry_run:
            return
        disrupted = {**(status.get("disruptedPods") or {}), meta["name"]: stamp(self._around.now())}
        left = {**status, "disruptionsAllowed": status["disruptionsAllowed"] - 1, "disruptedPods": disrupted}
        key = "poddisruptionbudgets.policy"
        self._store.commit(key, "MODIFIED", budget, {**budget, "status": left})

    def _token(self, account: Json, body: Json) -> Json:
        seconds = int(dig(body, "spec", "expirationSeconds") or 3600)
        meta = account["metadata"]
        token = f"sim.{meta['namespace']}.{meta['name']}.{self._around.entropy.uid()}"
        status = {
            "token": token,
            "expirationTimestamp": stamp(self._around.now() + timedelta(seconds=seconds)),
        }
        spec = {"audiences": ["https://kubernetes.default.svc"], **(body.get("spec") or {})}
        head = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"}
        names = {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "creationTimestamp": stamp(self._around.now()),
        }
        return {**head, "metadata": names, "spec": {**spec, "expirationSeconds": seconds}, "status": status}


def _success(code: int) -> Json:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}


def _is_ready(pod: Json) -> bool:
    conditions = dig(pod, "status", "conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _spares_unready(budget: Json, status: Json) -> bool:
    if dig(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    return bool(
        status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0)
        and status.get("desiredHealthy", 0) > 0
    )


def _too_many(detail: str) -> StatusError:
    cause = {"reason": "DisruptionBudget", "message": detail}
    text = "Cannot evict pod as it would violate the pod's disruption budget."
    return StatusError(429, "TooManyRequests", text, [cause])


def scale_of(obj: Json, selector: str, paths: tuple[str, str]) -> Json:
    """Return the `autoscaling/v1` Scale of an object.

    Args:
        obj: The scaled object.
        selector: Its pods' selector as a string.
        paths: Dotted paths of the wanted and of the present number.
    """
    meta = obj["metadata"]
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    wanted = dig(obj, *paths[0].strip(".").split("."))
    present = dig(obj, *paths[1].strip(".").split("."))
    scale: Json = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: meta[name] for name in names if name in meta},
        "spec": {"replicas": wanted} if wanted else {},
        "status": {"replicas": present or 0},
    }
    if selector:
        scale["status"]["selector"] = selector
    return scale


def scaled(obj: Json, replicas: int, path: str) -> Json:
    """Return *obj* with another wanted number.

    Raises:
        StatusError: 422, the number is negative.
    """
    if replicas < 0:
        error = FieldError("Invalid", "spec.replicas", replicas, "must be greater than or equal to 0")
        raise errors.invalid("Scale", "autoscaling", obj["metadata"]["name"], [error])
    return with_path(obj, tuple(path.strip(".").split(".")), replicas)


def selector_text(selector: Value) -> str:
    """Write a `metav1.LabelSelector` as a query would."""
    if not isinstance(selector, dict):
        return ""
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for item in selector.get("matchExpressions") or []:
        values = ",".join(sorted(item.get("values") or []))
        words = {"In": f" in ({values})", "NotIn": f" notin ({values})", "Exists": ""}
        if item["operator"] == "DoesNotExist":
            parts.append(f"!{item['key']}")
        else:
            parts.append(item["key"] + words[item["operator"]])
    return ",".join(parts)


def _check_token(account: Json, body: Json) -> None:
    seconds = int(dig(body, "spec", "expirationSeconds") or 3600)
    if seconds >= _SHORTEST_TOKEN:
        return
    text = "may not specify a duration less than 10 minutes"
    error = FieldError("Invalid", "spec.expirationSeconds", seconds, text)
    raise errors.invalid("TokenRequest", "authentication.k8s.io", account["metadata"]["name"], [error])


_SHORTEST_TOKEN = 600


def _check_binding(body: Json) -> None:
    """Refuse a target that is no node, before the pod is looked for.

    Raises:
        StatusError: 500 without a reason: the real server doesn't make a 422 of these.
    """
    kind, found = dig(body, "target", "kind"), []
    if kind not in {None, "", "Node"}:
        found.append(not_supported("target.kind", kind, ("Node", "<empty>")))
    if not dig(body, "target", "name"):
        found.append(FieldError("Required", "target.name"))
    texts = [f"{error.field}: {error.body()}" for error in found]
    if texts:
        raise StatusError(500, "", texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
