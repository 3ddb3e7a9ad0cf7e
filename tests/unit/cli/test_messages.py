"""Both languages say everything."""

import re
import string
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import cafe.cli
from cafe.cli.lazy import LazyGroup
from cafe.cli.main import root
from cafe.cli.messages import LANGUAGES, Catalogue, language_of, load

SOURCES = Path(cafe.cli.__file__).parent


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def commands(group: LazyGroup) -> Iterator[click.Command]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield command
        if isinstance(command, LazyGroup):
            yield from commands(command)


def test_each_language_has_each_message_with_the_same_fields() -> None:
    english, *others = (load(language) for language in LANGUAGES)
    for other in others:
        assert other.keys() == english.keys()
        for key, text in english.items():
            assert other[key].strip(), key
            assert fields(other[key]) == fields(text), key


def test_chinese_messages_are_in_chinese() -> None:
    same = {key for key, text in load("zh_cn").items() if text == load("en")[key]}
    assert same <= {"group.beta", "matrix.beta", "preview.image"}


def test_each_text_of_help_is_in_the_catalogue() -> None:
    catalogue = Catalogue("en")
    for command in (root, *commands(root)):
        assert command.help is not None
        assert catalogue.has(command.help), command.name
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help is not None, (command.name, option.name)
                assert catalogue.has(option.help), (command.name, option.name)


def test_each_key_that_the_code_names_is_in_the_catalogue() -> None:
    catalogue = Catalogue("en")
    named = re.compile(r"""(?:words|say|speak)\(\s*"([a-zA-Z_.]+)\"""")
    found = {key for path in SOURCES.rglob("*.py") for key in named.findall(path.read_text())}
    assert len(found) > 40
    assert {key for key in found if not catalogue.has(key)} == set()


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh_cn"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_the_language_is_the_environment_s(environment: dict[str, str], language: str) -> None:
    assert language_of(environment) == language
