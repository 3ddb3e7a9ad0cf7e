"""What a service says of its application: its content, the content's digest, and what is wrong with it."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct

from cafe.api.cafeapprevision import AppConfig, AppContent, ConfigPolicy
from cafe.api.cafeappservice import CafeAppServiceSpec
from cafe.api.overrides import demand_hits
from cafe.api.selectors import demand_match
from cafe.kernel import Digest, Refusal, digest_of

CONFIG_REFERENCES = frozenset({"configMap", "configMapRef", "configMapKeyRef"})
"""Where a PodSpec names a ConfigMap: volumes, projected sources, envFrom, env."""


def content_of(spec: CafeAppServiceSpec) -> AppContent:
    """Return the part of a spec that a revision keeps."""
    return AppContent(**{name: getattr(spec, name) for name in AppContent.__struct_fields__})


def plain(content: AppContent) -> dict[str, Any]:
    """Return a content as JSON without the fields that have their default.

    So a digest stays what it was when a later version of CAFE knows a further field: an upgrade makes no
    revisions.
    """
    return _fields(content, has_defaults=False)


def spelled_out(content: AppContent) -> dict[str, Any]:
    """Return a content as JSON with all its fields, for comparing."""
    return _fields(content, has_defaults=True)


def _fields(value: Struct, *, has_defaults: bool) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for field in msgspec.structs.fields(value):
        held = getattr(value, field.name)
        default = field.default if field.default_factory is NODEFAULT else field.default_factory()
        if has_defaults or held != default:
            told[field.encode_name] = _told(held, has_defaults=has_defaults)
    return told


def _told(value: Any, *, has_defaults: bool) -> Any:  # noqa: ANN401 -- any part of a content
    if isinstance(value, Struct):
        return _fields(value, has_defaults=has_defaults)
    if isinstance(value, Mapping):
        return {key: _told(item, has_defaults=has_defaults) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_told(item, has_defaults=has_defaults) for item in value]
    return msgspec.to_builtins(value)


def digest_of_content(content: AppContent) -> Digest:
    """Return the digest of a content; equal contents have equal digests, in every version of CAFE."""
    return digest_of(plain(content))


def config_names(template_spec: Any) -> Iterator[str]:  # noqa: ANN401 -- any part of a PodSpec
    """Yield the name of every ConfigMap that a PodSpec refers to."""
    if isinstance(template_spec, Mapping):
        for key, value in template_spec.items():
            if key in CONFIG_REFERENCES and isinstance(value, Mapping) and "name" in value:
                yield str(value["name"])
            else:
                yield from config_names(value)
    elif isinstance(template_spec, list | tuple):
        for item in template_spec:
            yield from config_names(item)


def renamed_configs(template_spec: Any, names: Mapping[str, str]) -> Any:  # noqa: ANN401 -- as above
    """Return a PodSpec that refers to the ConfigMaps by their new names."""
    if isinstance(template_spec, Mapping):
        return {
            key: {**value, "name": names.get(value["name"], value["name"])}
            if key in CONFIG_REFERENCES and isinstance(value, Mapping) and "name" in value
            else renamed_configs(value, names)
            for key, value in template_spec.items()
        }
    if isinstance(template_spec, list | tuple):
        return [renamed_configs(item, names) for item in template_spec]
    return template_spec


def demand_sound(content: AppContent) -> None:
    """Refuse a content that could never run as it is meant.

    Raises:
        Refusal: `SelectorMismatch`, `NoContainers`, `BadOverride` or `ConfigUnused`.
    """
    demand_match(content.selector, content.template.metadata.labels)
    if not content.template.spec.get("containers"):
        raise Refusal(
            "NoContainers",
            "template.spec.containers is empty.",
            "A pod without containers is refused by the API server.",
            "Add a container to the template.",
        )
    overrides = content.deploy.topology.overrides
    demand_hits(content.selector, content.template, overrides)
    used = {*config_names(content.template.spec), *config_names(msgspec.to_builtins(overrides))}
    idle = [c.name for c in content.configs if is_versioned(c) and c.name not in used]
    if idle:
        raise Refusal(
            "ConfigUnused",
            f"The template refers to no config called {', '.join(idle)}.",
            "Each content of a Versioned config is a ConfigMap of its own, which only the pod template can "
            "name.",
            "Refer to it in the template, set its policy to Shared, or remove it.",
        )


def is_versioned(config: AppConfig) -> bool:
    """Whether each content of the config is a ConfigMap of its own."""
    return config.policy is ConfigPolicy.VERSIONED
