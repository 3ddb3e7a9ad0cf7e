"""What goes with what: owners, namespaces, and pods that nobody misses."""

from cafe_sim.apiserver.kinds.catalogue import builtin_resources
from cafe_sim.contract import DeleteOptions, Json
from cafe_sim.machinery.kinds import BUILT_IN, DEFINITIONS
from cafe_sim.machinery.objects import is_deleting, owner_references
from tests.unit.sim_cluster.world import World, build_world

FOREGROUND = DeleteOptions(propagation="Foreground")
ORPHAN = DeleteOptions(propagation="Orphan")
MAPS = "configmaps"


def config_map(world: World, name: str, *owners: Json, namespace: str = "default", **ref: object) -> Json:
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": o["metadata"]["name"], "uid": o["metadata"]["uid"]}
        | ref
        for o in owners
    ]
    meta: Json = {"name": name} | ({"ownerReferences": references} if references else {})
    return world.api.create(MAPS, namespace, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})


def names(world: World, namespace: str = "default") -> set[str]:
    found = {obj["metadata"]["name"] for obj in world.api.list(MAPS, namespace)}
    return found - {"kube-root-ca.crt"}


def test_dependents_go_after_their_owner_down_to_the_last() -> None:
    world = build_world(0)
    parent = config_map(world, "parent")
    child = config_map(world, "child", parent)
    config_map(world, "grandchild", child)
    config_map(world, "other")
    world.run(1)
    world.delete(MAPS, "parent")
    world.run(1)
    assert names(world) == {"other"}


def test_an_object_with_a_living_owner_only_loses_the_other_reference() -> None:
    world = build_world(0)
    one, two = config_map(world, "one"), config_map(world, "two")
    config_map(world, "child", one, two)
    world.run(1)
    world.delete(MAPS, "one")
    world.run(1)
    left = owner_references(world.one(MAPS, "child"))
    assert [ref["name"] for ref in left] == ["two"]


def test_an_owner_that_never_was_is_as_good_as_gone() -> None:
    world = build_world(0)
    config_map(world, "child", {"metadata": {"name": "ghost", "uid": "no-such-uid"}})
    world.run(1)
    assert names(world) == set()


def test_an_owner_of_the_same_name_but_another_uid_is_a_stranger() -> None:
    world = build_world(0)
    config_map(world, "owner")
    config_map(world, "child", {"metadata": {"name": "owner", "uid": "the-one-before"}})
    world.run(1)
    assert names(world) == {"owner"}


def test_an_owner_in_another_namespace_is_no_owner() -> None:
    world = build_world(0)
    parent = config_map(world, "parent", namespace="kube-system")
    world.run(1)
    config_map(world, "child", parent)
    world.run(1)
    assert names(world) == set()
    assert names(world, "kube-system") == {"parent"}


def test_what_an_unknown_kind_owns_is_kept() -> None:
    world = build_world(0)
    owner = {"metadata": {"name": "x", "uid": "u"}}
    config_map(world, "child", owner, kind="Mystery", apiVersion="example.com/v1")
    world.run(1)
    assert names(world) == {"child"}


def test_in_the_foreground_the_owner_waits_for_those_that_block_it() -> None:
    world = build_world(0)
    parent = config_map(world, "parent")
    blocking = config_map(world, "blocking", parent, blockOwnerDeletion=True)
    config_map(world, "loose", parent)
    world.api.patch(MAPS, "default", "blocking", {"metadata": {"finalizers": ["example.com/slow"]}})
    world.run(1)
    world.delete(MAPS, "parent", options=FOREGROUND)
    world.run(60)
    assert names(world) == {"parent", "blocking", "loose"}
    assert is_deleting(world.one(MAPS, "blocking"))
    assert world.one(MAPS, "blocking")["metadata"]["uid"] == blocking["metadata"]["uid"]
    world.api.patch(MAPS, "default", "blocking", {"metadata": {"finalizers": None}})
    world.run(1)
    assert names(world) == set()


def test_orphans_keep_living_without_their_owner() -> None:
    world = build_world(0)
    parent = config_map(world, "parent")
    config_map(world, "child", parent)
    world.run(1)
    world.delete(MAPS, "parent", options=ORPHAN)
    world.run(1)
    assert names(world) == {"child"}
    assert owner_references(world.one(MAPS, "child")) == []


def test_a_deployment_takes_its_sets_and_pods_along() -> None:
    world = build_world()
    world.create_apps("Deployment", "web", {"replicas": 2})
    world.run(10)
    world.delete("deployments.apps", "web", options=FOREGROUND)
    world.run(0.1)
    assert world.api.get("deployments.apps", "default", "web") is not None
    world.run(30)
    assert world.api.get("deployments.apps", "default", "web") is None
    assert world.pods() == []
    assert world.api.list("replicasets.apps") == []


def test_pods_of_an_orphaned_set_are_adopted_again_by_an_equal_one() -> None:
    world = build_world()
    world.create_apps("ReplicaSet", "web", {"replicas": 2})
    world.run(10)
    before = {pod["metadata"]["uid"] for pod in world.pods()}
    world.delete("replicasets.apps", "web", options=ORPHAN)
    world.run(5)
    assert {pod["metadata"]["uid"] for pod in world.pods()} == before
    again = world.create_apps("ReplicaSet", "web", {"replicas": 2})
    world.run(5)
    assert {pod["metadata"]["uid"] for pod in world.pods()} == before
    assert {owner_references(pod)[0]["uid"] for pod in world.pods()} == {again["metadata"]["uid"]}


def test_custom_resources_own_and_are_owned() -> None:
    world = build_world(0)
    resource = "widgets.example.com"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names_ = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names_, "versions": [version]}
    definition = {"kind": "CustomResourceDefinition", "metadata": {"name": resource}, "spec": spec}
    world.api.create(DEFINITIONS, "", definition)
    world.run(2)
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
    widget = world.api.create(resource, "default", body)
    config_map(world, "child", widget, kind="Widget", apiVersion="example.com/v1")
    world.run(1)
    assert names(world) == {"child"}
    world.delete(resource, "w")
    world.run(1)
    assert names(world) == set()


def namespace(world: World, name: str) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    world.api.create("namespaces", "", body)
    world.run(1)


def test_every_namespace_gets_its_account_and_certificate_and_keeps_them() -> None:
    world = build_world(0)
    namespace(world, "team")
    assert world.one("serviceaccounts", "default", "team")
    assert "ca.crt" in world.one(MAPS, "kube-root-ca.crt", "team")["data"]
    world.delete(MAPS, "kube-root-ca.crt", "team")
    world.delete("serviceaccounts", "default", "team")
    world.run(1)
    assert world.one("serviceaccounts", "default", "team")
    assert world.one(MAPS, "kube-root-ca.crt", "team")


def test_a_namespace_goes_with_all_that_is_in_it() -> None:
    world = build_world(0)
    namespace(world, "team")
    config_map(world, "a", namespace="team")
    config_map(world, "b", namespace="team")
    world.api.delete("namespaces", "", "team")
    world.run(1)
    assert world.api.get("namespaces", "", "team") is None
    assert names(world, "team") == set()
    assert world.api.list("serviceaccounts", "team") == []


def test_a_namespace_says_what_holds_it() -> None:
    world = build_world(0)
    namespace(world, "team")
    config_map(world, "a", namespace="team")
    world.api.patch(MAPS, "team", "a", {"metadata": {"finalizers": ["example.com/slow"]}})
    world.api.delete("namespaces", "", "team")
    world.run(60)
    held = world.one("namespaces", "team", "")
    assert held["status"]["phase"] == "Terminating"
    remaining = world.condition(held, "NamespaceContentRemaining")
    assert remaining["message"] == "Some resources are remaining: configmaps has 1 resource instances"
    finalizers = world.condition(held, "NamespaceFinalizersRemaining")
    assert finalizers["message"].endswith("example.com/slow in 1 resource instances")
    world.api.patch(MAPS, "team", "a", {"metadata": {"finalizers": None}})
    world.run(1)
    assert world.api.get("namespaces", "", "team") is None


def test_every_kind_that_the_server_can_delete_is_known_here() -> None:
    served = {
        (r.key, r.group, r.kind, r.is_namespaced)
        for r in builtin_resources()
        if "delete" in r.verbs and r.group != "events.k8s.io"  # The same events under another name.
    }
    assert served == {tuple(kind) for kind in BUILT_IN}
