"""What may be a name, a label, an annotation: rules and wording of apimachinery's `validation`."""

import re
from collections.abc import Callable

from cafe_sim.apiserver.errors import FieldError
from cafe_sim.apiserver.values import Value
from cafe_sim.contract import Json

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    f"'{_LABEL}')"
)
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{_SUBDOMAIN}')"
)
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_LABEL_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
    f"validation is '{_LABEL_1035}')"
)
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_QUALIFIED_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    f"'{_QUALIFIED}')"
)
_VALUE = f"({_QUALIFIED})?"
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
    f"for validation is '{_VALUE}')"
)

_IS_LABEL = re.compile(_LABEL)
_IS_SUBDOMAIN = re.compile(_SUBDOMAIN)
_IS_LABEL_1035 = re.compile(_LABEL_1035)
_IS_QUALIFIED = re.compile(_QUALIFIED)
_IS_VALUE = re.compile(_VALUE)

NameRule = Callable[[str], list[str]]
"""Return what is wrong with a name."""


def dns_label(name: str) -> list[str]:
    """RFC 1123 label: namespaces, container names."""
    return _too_long(name, 63) + ([] if _IS_LABEL.fullmatch(name) else [_LABEL_TEXT])


def dns_label_1035(name: str) -> list[str]:
    """RFC 1035 label: services."""
    return _too_long(name, 63) + ([] if _IS_LABEL_1035.fullmatch(name) else [_LABEL_1035_TEXT])


def dns_subdomain(name: str) -> list[str]:
    """RFC 1123 subdomain: most names."""
    return _too_long(name, 253) + ([] if _IS_SUBDOMAIN.fullmatch(name) else [_SUBDOMAIN_TEXT])


def path_segment(name: str) -> list[str]:
    """Anything that can stand in a path: RBAC's names."""
    if name in {".", ".."}:
        return [f"may not be '{name}'"]
    return [f"may not contain '{bad}'" for bad in "/%" if bad in name]


def qualified_name(name: str) -> list[str]:
    """A label key: `name` or `prefix/name`."""
    parts = name.split("/")
    problems: list[str] = []
    if len(parts) == 2:
        prefix = parts[0]
        if not prefix:
            problems.append("prefix part must be non-empty")
        problems += [f"prefix part {text}" for text in dns_subdomain(prefix) if prefix]
    elif len(parts) > 2:
        return [
            f"a qualified name {_QUALIFIED_TEXT[10:]} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        ]
    last = parts[-1]
    if not last:
        problems.append("name part must be non-empty")
    elif len(last) > 63:
        problems.append("name part must be no more than 63 bytes")
    if not _IS_QUALIFIED.fullmatch(last):
        problems.append(_QUALIFIED_TEXT)
    return problems


def label_value(value: str) -> list[str]:
    """The value of a label."""
    long = ["must be no more than 63 bytes"] if len(value) > 63 else []
    return long + ([] if _IS_VALUE.fullmatch(value) else [_VALUE_TEXT])


def _too_long(name: str, limit: int) -> list[str]:
    return [f"must be no more than {limit} bytes"] if len(name) > limit else []


def check_labels(labels: Json | None, field: str) -> list[FieldError]:
    """Check keys and values of a map of labels."""
    errors = []
    for key, value in (labels or {}).items():
        errors += [FieldError("Invalid", field, key, text) for text in qualified_name(key)]
        errors += [FieldError("Invalid", field, value, text) for text in label_value(value)]
    return errors


_ANNOTATIONS_LIMIT = 256 * 1024


def check_annotations(annotations: Json | None, field: str) -> list[FieldError]:
    """Check keys and the total size of annotations."""
    errors, size = [], 0
    for key, value in (annotations or {}).items():
        errors += [FieldError("Invalid", field, key, text) for text in qualified_name(key.lower())]
        size += len(key) + len(value)
    if size > _ANNOTATIONS_LIMIT:
        errors.append(FieldError("TooLong", field, "", f"may not be more than {_ANNOTATIONS_LIMIT} bytes"))
    return errors


def check_label_selector(selector: Value, field: str) -> list[FieldError]:
    """Check a `metav1.LabelSelector`."""
    errors = []
    for key, value in ((selector or {}).get("matchLabels") or {}).items():
        at = f"{field}.matchLabels"
        errors += [FieldError("Invalid", at, key, text) for text in qualified_name(key)]
        errors += [FieldError("Invalid", at, value, text) for text in label_value(value)]
    for index, item in enumerate((selector or {}).get("matchExpressions") or []):
        errors += _check_expression(item, f"{field}.matchExpressions[{index}]")
    return errors


def _check_expression(item: Json, field: str) -> list[FieldError]:
    operator, values = item.get("operator", ""), item.get("values") or []
    errors = []
    if operator in {"In", "NotIn"}:
        if not values:
            text = "must be specified when `operator` is 'In' or 'NotIn'"
            errors.append(FieldError("Required", f"{field}.values", None, text))
    elif operator in {"Exists", "DoesNotExist"}:
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(FieldError("Forbidden", f"{field}.values", None, text))
    else:
        errors.append(FieldError("Invalid", f"{field}.operator", operator, "not a valid selector operator"))
    return errors + [
        FieldError("Invalid", f"{field}.key", item.get("key"), text)
        for text in qualified_name(item.get("key", ""))
    ]
