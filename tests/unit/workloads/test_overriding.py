"""What single units have otherwise: applied, refused, hashed, and told."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cafe.api.cafedeployment import CafeDeployment, Topology
from cafe.api.names import (
    ADOPT_ANNOTATION,
    APP_LABEL,
    LAUNCH_PRIORITY_ANNOTATION,
    POD_REVISION_LABEL,
    REVISION_LABEL,
    UNIT_LABEL,
)
from cafe.api.overrides import (
    ContainerOverride,
    EnvOverride,
    ResourceOverride,
    Setting,
    UnitOverride,
    demand_hits,
    settings_by_unit,
)
from cafe.api.shapes import LabelRequirement, LabelSelector, PodTemplate, TemplateMetadata
from cafe.kernel import Refusal
from cafe.kube.objects import ControllerRevision
from cafe.workloads.adapters.revisions import data_of, fact_of, holds
from cafe.workloads.domain.adopting import source_of
from cafe.workloads.domain.facts import RevisionFact
from cafe.workloads.domain.overriding import demand_overrides, overridden, pod_revisions, unit_changes
from cafe.workloads.domain.revisions import MakeRevision, UseRevision, find_revision, hash_of
from tests.unit.workloads.releaseworld import application

UNITS = ("a", "b", "c")
SELECTOR = LabelSelector(match_labels={"app": "shop"})
TEMPLATE = PodTemplate(
    metadata=TemplateMetadata(labels={"app": "shop", "tier": "iron"}, annotations={"note": "all"}),
    spec={
        "initContainers": [{"name": "init", "image": "init:1"}],
        "containers": [
            {
                "name": "app",
                "image": "app:1",
                "env": [{"name": "MODE", "value": "fast"}, {"name": "LAST", "value": "z"}],
                "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            },
            {"name": "proxy", "image": "proxy:1"},
        ],
        "nodeSelector": {"disk": "ssd"},
    },
)
FROM_NODE = {"fieldRef": {"fieldPath": "spec.nodeName"}}


def entry(*units: str, box: ContainerOverride | None = None, **more: Any) -> UnitOverride:  # noqa: ANN401 -- fields
    return UnitOverride(units=[*(units or ("a",))], containers=[box] if box else [], **more)


def box(name: str = "app", *env: EnvOverride, **more: Any) -> ContainerOverride:  # noqa: ANN401 -- fields
    return ContainerOverride(name=name, env=[*env], **more)


def amounts(**requests: str | int) -> ResourceOverride:
    return ResourceOverride(requests=requests)


def container(template: PodTemplate, name: str) -> dict[str, Any]:
    everyone = [*template.spec["initContainers"], *template.spec["containers"]]
    (found,) = [c for c in everyone if c["name"] == name]
    return dict(found)


def app_with(*overrides: UnitOverride, template: PodTemplate = TEMPLATE) -> CafeDeployment:
    app = application(6, units="abc")
    topology = Topology(unit_type="Cell", values=[*UNITS], overrides=[*overrides])
    return msgspec.structs.replace(
        app, spec=msgspec.structs.replace(app.spec, topology=topology, template=template)
    )


# One thing set by each of these; all of them are different things.
ATOMS: tuple[UnitOverride, ...] = (
    entry(box=box(image="app:2")),
    entry(box=box("init", image="init:2")),
    entry(box=box("proxy", image="proxy:2")),
    entry(box=box("app", EnvOverride(name="MODE", value="slow"))),
    entry(box=box("app", EnvOverride(name="NODE", value_from=FROM_NODE))),
    entry(box=box("app", EnvOverride(name="EMPTY"))),
    entry(box=box(resources=amounts(cpu=2))),
    entry(box=box(resources=ResourceOverride(limits={"memory": "2Gi", "cpu": "2"}))),
    entry(box=box("proxy", resources=amounts(cpu="100m"))),
    entry(labels={"tier": "gold"}),
    entry(labels={"more": "yes"}),
    entry(annotations={"note": "mine", "why": "try"}),
)


@st.composite
def override_lists(draw: st.DrawFn) -> list[UnitOverride]:
    """Draw overrides that don't contradict each other: no two of them set the same thing."""
    chosen = draw(st.lists(st.sampled_from(range(len(ATOMS))), unique=True, max_size=6))
    found: list[UnitOverride] = []
    for index in chosen:
        units = draw(st.lists(st.sampled_from(UNITS), unique=True, min_size=1, max_size=3))
        found.append(msgspec.structs.replace(ATOMS[index], units=units))
    return found


# Applying


def test_each_thing_lands_where_it_belongs_and_nothing_else_changes() -> None:
    found = overridden(TEMPLATE, ATOMS, "a")
    app = container(found, "app")
    assert app["image"] == "app:2"
    assert app["env"] == [
        {"name": "MODE", "value": "slow"},
        {"name": "LAST", "value": "z"},
        {"name": "EMPTY", "value": ""},
        {"name": "NODE", "valueFrom": FROM_NODE},
    ]
    assert app["resources"] == {
        "requests": {"cpu": 2, "memory": "1Gi"},
        "limits": {"memory": "2Gi", "cpu": "2"},
    }
    assert container(found, "init")["image"] == "init:2"
    assert container(found, "proxy") == {
        "name": "proxy",
        "image": "proxy:2",
        "resources": {"requests": {"cpu": "100m"}},
    }
    assert found.metadata.labels == {"app": "shop", "tier": "gold", "more": "yes"}
    assert found.metadata.annotations == {"note": "mine", "why": "try"}
    assert found.spec["nodeSelector"] == {"disk": "ssd"}


@given(override_lists(), st.sampled_from(UNITS))
def test_a_unit_s_template_says_what_its_overrides_set_and_else_what_the_template_says(
    overrides: list[UnitOverride], unit: str
) -> None:
    found = overridden(TEMPLATE, overrides, unit)
    mine = settings_by_unit(overrides).get(unit, {})
    for setting in {s for held in settings_by_unit(ATOMS).values() for s in held}:
        assert setting.value_in(found) == mine.get(setting, setting.value_in(TEMPLATE)), setting.path


@given(override_lists(), st.randoms(use_true_random=False))
def test_the_order_of_entries_and_units_means_nothing(overrides: list[UnitOverride], chance: Any) -> None:  # noqa: ANN401 -- a Random
    turned = [
        msgspec.structs.replace(one, units=chance.sample(one.units, len(one.units))) for one in overrides
    ]
    chance.shuffle(turned)
    template = msgspec.to_builtins(TEMPLATE)
    for unit in UNITS:
        assert overridden(TEMPLATE, turned, unit) == overridden(TEMPLATE, overrides, unit)
    assert hash_of(template, 0, turned) == hash_of(template, 0, overrides)
    known = RevisionFact("web-x", "x", 1, template, overrides=overrides)
    assert find_revision("web", template, [known], 0, turned) == UseRevision(known)


@given(override_lists())
def test_a_template_is_not_changed_by_what_is_made_of_it(overrides: list[UnitOverride]) -> None:
    before = msgspec.json.encode(TEMPLATE)
    for unit in UNITS:
        overridden(TEMPLATE, overrides, unit)
    assert msgspec.json.encode(TEMPLATE) == before


# Refusing


@given(override_lists())
def test_what_hits_something_once_is_not_refused(overrides: list[UnitOverride]) -> None:
    demand_hits(SELECTOR, TEMPLATE, overrides)


REFUSED: list[tuple[Sequence[UnitOverride], str, str]] = [
    ([entry(box=box("ghost", image="x"))], "BadOverride", "It has: app, proxy, init"),
    ([entry(box=box(image="app:1"))], "BadOverride", "app.image to what the template says"),
    ([entry(labels={"tier": "iron"})], "BadOverride", "labels[tier]"),
    ([entry(annotations={"note": "all"})], "BadOverride", "annotations[note]"),
    ([entry(box=box("app", EnvOverride(name="MODE", value="fast")))], "BadOverride", "app.env[MODE]"),
    ([entry(box=box(resources=amounts(cpu="0.5")))], "BadOverride", "app.resources.requests.cpu"),
    ([entry(box=box(resources=amounts(cpu="lots")))], "BadOverride", "no amount"),
    ([entry("a", "b", labels={"x": "1"}), entry("b", labels={"x": "2"})], "BadOverride", "overrides of b"),
    ([entry("a", labels={"x": "1"}), entry("a", labels={"x": "1"})], "BadOverride", "labels[x]"),
    ([entry(labels={"app": "other"})], "SelectorMismatch", "pods of a"),
    *(([entry(labels={key: "x"})], "BadOverride", "CAFE writes itself") for key in (APP_LABEL, UNIT_LABEL)),
    *(
        ([entry(labels={key: "x"})], "BadOverride", "CAFE writes itself")
        for key in (POD_REVISION_LABEL, REVISION_LABEL)
    ),
]


@pytest.mark.parametrize(("overrides", "code", "words"), REFUSED)
def test_what_hits_nothing_or_twice_is_refused(
    overrides: Sequence[UnitOverride], code: str, words: str
) -> None:
    with pytest.raises(Refusal, match=words.replace("[", r"\[").replace("]", r"\]")) as refused:
        demand_hits(SELECTOR, TEMPLATE, overrides)
    assert refused.value.code == code
    assert refused.value.remedy


def test_rules_of_a_selector_count_too() -> None:
    rule = LabelRequirement(key="canary", operator="DoesNotExist")
    selector = LabelSelector(match_labels={"app": "shop"}, match_expressions=[rule])
    with pytest.raises(Refusal) as refused:
        demand_hits(selector, TEMPLATE, [entry(labels={"canary": "yes"})])
    assert refused.value.code == "SelectorMismatch"


def test_a_launch_priority_of_single_units_must_name_containers_too() -> None:
    for text, is_sound in (("proxy=10", True), ("ghost=10", False)):
        app = app_with(entry("b", annotations={LAUNCH_PRIORITY_ANNOTATION: text}))
        if is_sound:
            demand_overrides(app)
            continue
        with pytest.raises(Refusal) as refused:
            demand_overrides(app)
        assert refused.value.code == "BadLaunchPriority"


def test_an_amount_that_the_template_does_not_have_can_be_set() -> None:
    demand_hits(SELECTOR, TEMPLATE, [entry(box=box("proxy", resources=amounts(cpu="0.5")))])


def test_running_pods_are_not_adopted_while_a_unit_has_something_otherwise() -> None:
    app = app_with(entry(labels={"x": "y"}))
    meta = msgspec.structs.replace(app.metadata, annotations={ADOPT_ANNOTATION: "Deployment/old"})
    with pytest.raises(Refusal) as refused:
        source_of(msgspec.structs.replace(app, metadata=meta))
    assert refused.value.code == "BadAdoption"


# Revisions


def hash_in(unit: str, overrides: Sequence[UnitOverride], known: Sequence[RevisionFact] = ()) -> str:
    template = msgspec.to_builtins(TEMPLATE)
    held = RevisionFact("web-x", hash_of(template, 0, overrides), 9, template, overrides=overrides)
    return pod_revisions(held, UNITS, known, 0).get(unit, held.hash)


@given(override_lists(), override_lists())
def test_pods_have_another_hash_exactly_if_their_own_template_is_another(
    before: list[UnitOverride], after: list[UnitOverride]
) -> None:
    for unit in UNITS:
        is_same = overridden(TEMPLATE, before, unit) == overridden(TEMPLATE, after, unit)
        assert (hash_in(unit, before) == hash_in(unit, after)) is is_same


def test_without_overrides_the_hash_is_the_template_s_alone() -> None:
    template = msgspec.to_builtins(TEMPLATE)
    assert hash_of(template, 0, []) == hash_of(template, 0)
    assert hash_of(template, 3, []) == hash_of(template, 3)
    assert hash_of(template, 0, ATOMS) != hash_of(template, 0)
    assert hash_of(template, 1, ATOMS) != hash_of(template, 0, ATOMS)
    held = RevisionFact("web-x", "x", 1, template)
    assert pod_revisions(held, UNITS, [held], 0) == {}


def test_a_template_that_was_released_by_itself_keeps_the_hash_that_a_collision_gave_it() -> None:
    plain = RevisionFact("web-odd", "odd", 1, msgspec.to_builtins(TEMPLATE))
    assert hash_in("b", [ATOMS[0]], [plain]) == "odd"
    assert hash_in("a", [ATOMS[0]], [plain]) != "odd"


def test_equal_templates_with_other_overrides_are_other_revisions() -> None:
    template = msgspec.to_builtins(TEMPLATE)
    known = RevisionFact("web-x", "x", 4, template)
    made = find_revision("web", template, [known], 0, [ATOMS[0]])
    assert isinstance(made, MakeRevision)
    assert (made.number, made.overrides) == (5, [ATOMS[0]])


def stored(wanted: MakeRevision) -> ControllerRevision:
    return msgspec.convert(
        {"metadata": {"name": wanted.name}, "data": {"spec": data_of(wanted)}, "revision": wanted.number},
        ControllerRevision,
    )


def made(*overrides: UnitOverride) -> MakeRevision:
    return MakeRevision("web-x", "x", 1, msgspec.to_builtins(TEMPLATE), [*overrides])


def test_a_stored_revision_tells_its_overrides_and_is_no_other_one() -> None:
    assert fact_of(stored(made(*ATOMS))).overrides == [*ATOMS]
    assert fact_of(stored(made())).overrides == ()
    assert holds(stored(made(ATOMS[0], ATOMS[9])), made(ATOMS[9], ATOMS[0]))
    assert not holds(stored(made(ATOMS[0])), made())
    assert not holds(stored(made()), made(ATOMS[0]))
    assert data_of(made()).keys() == {"template"}


@pytest.mark.parametrize("topology", [{}, {"overrides": [{"labels": {}}]}, "x"])
def test_a_revision_whose_overrides_somebody_broke_is_nobody_s(topology: object) -> None:
    found = stored(made())
    data = {"spec": {**found.data["spec"], "topology": topology}}
    assert fact_of(msgspec.structs.replace(found, data=data)).template == {}


# Telling


def told(now: CafeDeployment, wanted: CafeDeployment) -> list[tuple[str, str, Any, Any]]:
    return [("".join(c.units), c.setting.path, c.old, c.new) for c in unit_changes(now, wanted)]


def with_image(image: str) -> PodTemplate:
    first, *others = TEMPLATE.spec["containers"]
    spec = {**TEMPLATE.spec, "containers": [{**first, "image": image}, *others]}
    return msgspec.structs.replace(TEMPLATE, spec=spec)


AHEAD = entry("a", "b", box=box(image="app:2"))


@pytest.mark.parametrize(
    ("now", "wanted", "lines"),
    [
        pytest.param(app_with(), app_with(AHEAD), [("ab", "app.image", "app:1", "app:2")], id="begins"),
        pytest.param(app_with(AHEAD), app_with(), [("ab", "app.image", "app:2", "app:1")], id="ends"),
        pytest.param(app_with(AHEAD), app_with(AHEAD), [], id="stays and nothing else changes"),
        pytest.param(
            app_with(AHEAD),
            app_with(AHEAD, template=with_image("app:3")),
            [("ab", "app.image", "app:2", "app:2")],
            id="stays while the others change",
        ),
        pytest.param(
            app_with(AHEAD),
            app_with(template=with_image("app:2")),
            [("ab", "app.image", "app:2", "app:2")],
            id="the others catch up",
        ),
        pytest.param(
            app_with(),
            app_with(entry("c", labels={"x": "y"}), entry("a", labels={"x": "z"})),
            [("a", "labels[x]", None, "z"), ("c", "labels[x]", None, "y")],
            id="otherwise in two ways",
        ),
    ],
)
def test_what_an_edit_changes_in_single_units_is_told(
    now: CafeDeployment, wanted: CafeDeployment, lines: list[tuple[str, str, Any, Any]]
) -> None:
    assert told(now, wanted) == lines


def test_settings_are_called_as_people_call_them() -> None:
    names = {s.path for held in settings_by_unit(ATOMS).values() for s in held}
    assert {"init.image", "app.env[NODE]", "app.resources.limits.cpu", "labels[tier]"} < names
    assert Setting("", "annotations", "note").path == "annotations[note]"
