"""Questions that are answered and not stored: who am I, may I. Everybody may do everything here."""

from cafe_sim.apiserver.context import Target, User
from cafe_sim.apiserver.values import Value
from cafe_sim.contract import Json

_ACCESS = {"subjectaccessreviews", "selfsubjectaccessreviews", "localsubjectaccessreviews"}


class Reviewer:
    """Answers reviews."""

    def answer(self, target: Target, user: User, body: Value) -> Json | None:
        """Return the answer to a review, or None if the target is no review."""
        plural = target.resource.plural
        asked: Json = body if isinstance(body, dict) else {}
        who = {"username": user.name, "groups": list(user.groups)}
        if user.uid:
            who["uid"] = user.uid
        status: Json | None = None
        if plural == "selfsubjectreviews":
            status = {"userInfo": who}
        elif plural == "tokenreviews":
            status = {"authenticated": True, "user": who}
        elif plural in _ACCESS:
            status = {"allowed": True, "reason": "the simulated cluster lets everybody do everything"}
        elif plural == "selfsubjectrulesreviews":
            every = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
            paths = {"verbs": ["*"], "nonResourceURLs": ["*"]}
            status = {"resourceRules": [every], "nonResourceRules": [paths], "incomplete": False}
        if status is None:
            return None
        head = {"kind": target.resource.kind, "apiVersion": target.resource.api_version}
        return {
            **head,
            "metadata": {"creationTimestamp": None},
            "spec": asked.get("spec") or {},
            "status": status,
        }
