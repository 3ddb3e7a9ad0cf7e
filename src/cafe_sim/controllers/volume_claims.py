"""PersistentVolumeClaims are bound at once, each to a volume made for it."""

from datetime import timedelta

from cafe.kernel import ObjectKey
from cafe_sim.contract import ApiError, Json
from cafe_sim.controllers.base import Controller
from cafe_sim.machinery.objects import key_of, status_of, uid_of
from cafe_sim.machinery.recorder import Note

CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"
CLASS = "standard"


class VolumeClaimController(Controller):
    """A provisioner whose storage never runs out; volumes go with their claims (reclaim policy Delete)."""

    name = "persistentvolume-controller"

    def start(self) -> None:
        """Follow claims."""
        self._claims = self.follow(CLAIMS)

    def reconcile(self, key: ObjectKey) -> timedelta | None:
        """Bind a claim that isn't bound; remove the volume of one that is gone."""
        claim = self._claims.get(key)
        if claim is None:
            self._reclaim(key)
        elif status_of(claim).get("phase") != "Bound":
            self._bind(claim)
        return None

    def _bind(self, claim: Json) -> None:
        spec = claim["spec"]
        name = spec.get("volumeName") or f"pvc-{uid_of(claim)}"
        if self.client.api.get(VOLUMES, "", name) is None:
            self.client.create(VOLUMES, "", self._volume(claim, name))
            note = Note("Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {name}")
            self.event(claim, "v1", note)
        if spec.get("volumeName") != name:
            annotations = {
                "pv.kubernetes.io/bind-completed": "yes",
                "pv.kubernetes.io/bound-by-controller": "yes",
            }
            patch = {"metadata": {"annotations": annotations}, "spec": {"volumeName": name}}
            claim = self.client.patch(CLAIMS, key_of(claim), patch)
        requests = (spec.get("resources") or {}).get("requests") or {}
        status = {"phase": "Bound", "accessModes": spec.get("accessModes") or ["ReadWriteOnce"]}
        self.patch_status(CLAIMS, claim, {**status_of(claim), **status, "capacity": requests})

    def _volume(self, claim: Json, name: str) -> Json:
        spec, meta = claim["spec"], claim["metadata"]
        reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": meta["name"]}
        reference |= {"namespace": meta["namespace"], "uid": uid_of(claim)}
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": (spec.get("resources") or {}).get("requests") or {"storage": "1Gi"},
                "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": spec.get("storageClassName") or CLASS,
                "hostPath": {"path": f"/var/lib/cafe-sim/{name}"},
                "claimRef": reference,
            },
        }

    def _reclaim(self, key: ObjectKey) -> None:
        volumes = self.client.informer(VOLUMES)
        volumes.index("claim", _by_claim)
        for volume in volumes.by_index("claim", str(key)):
            try:
                self.client.delete(VOLUMES, key_of(volume))
            except ApiError as error:
                if error.status != 409:
                    raise


def _by_claim(volume: Json) -> tuple[str, ...]:
    ref = volume["spec"].get("claimRef")
    is_ours = volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    return (str(ObjectKey(ref["namespace"], ref["name"])),) if ref and is_ours else ()
