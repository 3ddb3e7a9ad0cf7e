"""The names that CAFE writes on objects: labels, annotations, conditions, finalizers.

Everything of ours lives under one domain, so that an operator can tell at a glance who wrote what.
"""

DOMAIN = "cafe.sofastack.io"
GROUP = "apps.cafe.sofastack.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

FIELD_MANAGER = "cafe"

UNIT_LABEL = f"{DOMAIN}/unit"
"""On an InPlaceSet and its pods: the cell or zone they belong to."""

APP_LABEL = f"{DOMAIN}/app"
"""On an InPlaceSet and its pods: the CafeDeployment they belong to."""

SERVICE_LABEL = f"{DOMAIN}/app-service"
"""On whatever is rendered from a CafeAppService, and on its revisions: the service."""

APP_REVISION_ANNOTATION = f"{DOMAIN}/app-revision"
"""On whatever is rendered from a CafeAppService: the number of the revision it was rendered from."""

RENDERED_ANNOTATION = f"{DOMAIN}/rendered"
"""On whatever is rendered from a CafeAppService: digest of what was asked for, which tells drift."""

DRAIN_FINALIZER = f"{DOMAIN}/drain"
"""On a CafeAppService: it goes only after its pods are gone."""

CELL_LABEL = f"{DOMAIN}/cell"
"""On nodes: the cell they belong to."""

ZONE_LABEL = "topology.kubernetes.io/zone"
"""On nodes: the well-known zone label."""

REVISION_LABEL = "controller-revision-hash"
"""On pods: the hash of the ControllerRevision they run; the well-known label of apps/v1."""

POD_REVISION_LABEL = f"{DOMAIN}/pod-revision"
"""On the pods of native sets: the hash of the CafeDeployment's revision they were made from."""

UNIT_GOAL_ANNOTATION = f"{DOMAIN}/unit-goal"
"""On native sets: what a unit is asked for, and by which release, as JSON."""

TEMPLATE_ANNOTATION = f"{DOMAIN}/template"
"""On native sets: digest of the pod template that was written; tells a change from what the API adds."""

SPECIFIED_DELETE_LABEL = f"{DOMAIN}/specified-delete"
"""On a pod, with any value: replace this pod as soon as the budget allows it."""

SKIP_ANNOTATION = f"{DOMAIN}/skip"
"""On a pod: why a release need not wait for it, as a person says; it counts again once it serves, and
is dropped when the pod is brought to another revision."""

DELETION_COST_ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
"""On pods: lower is deleted first (KEP-2255)."""

INSTANCE_LABEL = f"{DOMAIN}/instance-id"
"""On a pod of an InPlaceSet: the number of the instance that it is, which outlives it."""

LAUNCH_PRIORITY_ANNOTATION = f"{DOMAIN}/launch-priority"
"""On a pod template: in which order containers get new images in a living pod, as `proxy=10, app=0`."""

UPDATE_STATE_ANNOTATION = f"{DOMAIN}/inplace-update-state"
"""On a pod whose update in place is under way: what is changed, and the containers before it."""

CONFIRM_ANNOTATION = f"{DOMAIN}/upgrade-confirmed"
"""On a CafeDeployment: `false` while a group waits; a person answers `<group>/<planHash>` or `true`."""

FIRST_NUMBER_ANNOTATION = f"{DOMAIN}/first-number"
"""On revisions: the number that they were made with; one that is used again gets a new one."""

ADOPT_ANNOTATION = f"{DOMAIN}/adopt"
"""On a CafeDeployment without sets: `Deployment/<name>`, whose running pods become its own."""

CHANGE_CAUSE_ANNOTATION = "kubernetes.io/change-cause"
"""On a CafeDeployment: why it was changed; copied to its revisions, as kubectl rollout history knows it."""

UPDATE_GATE = f"{DOMAIN}/in-place-update-ready"
"""The readiness gate of every pod of an InPlaceSet: False while the pod is being changed."""

CONTROLLER_NAMESPACE = "cafe-system"
"""Where the controller and its lease live."""

CONTROLLER_LEASE = "cafe-controller"
"""The Lease by which the controller's replicas elect a leader."""

TRAFFIC_GATE = f"{DOMAIN}/traffic-on"
"""The readiness gate of guarded pods: False while any operation stands on the pod."""

EXPECTED_ANNOTATION = f"{DOMAIN}/expected"
"""On guarded pods: what must carry their traffic before they count, as `{"Kind/ns/name": finalizer}`."""

PROTECTION_PREFIX = f"prot.{DOMAIN}/"
"""Of finalizers on pods: one for each employer from which the pod may still receive traffic."""

OPERATION_PREFIX = f"op.{DOMAIN}/"
"""Of annotations on pods: one for each operation for which the pod is to be out of traffic."""

ACK_PREFIX = f"ack.{DOMAIN}/"
"""Of annotations on pods: what an employer's adapter has proven last, and how."""

ATTACHED_PREFIX = f"at.{DOMAIN}/"
"""Of annotations on pods: the address under which an employer was told of it; the pod may get another."""

FORCED_ANNOTATION = f"{DOMAIN}/forced"
"""On a pod whose protection was overridden: when, by whom and why. It stays."""

UNBIND_FINALIZER = f"{DOMAIN}/unbind"
"""On a TrafficBinding: it goes only after no pod is protected by its pools."""
