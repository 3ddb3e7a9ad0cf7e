"""Prose in the user's language. Flags, JSON and enums stay English; a test keeps the languages complete."""

import importlib
from collections.abc import Mapping
from functools import cache
from typing import cast

LANGUAGES = ("en", "zh_cn")
"""One module each, with a table MESSAGES."""


class Catalogue:
    """The messages of one language.

    Args:
        language: One of LANGUAGES.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._messages = load(language)

    def __call__(self, key: str, **values: object) -> str:
        """Return a message, filled in.

        Raises:
            KeyError: There is no such message: a bug, found by the catalogue's test.
        """
        text = self._messages[key]
        return text.format(**values) if values else text

    def word(self, enum: str) -> str:
        """Return the word for an API enum or state; the enum itself if there is none."""
        return self._messages.get(f"word.{enum}", enum)

    def has(self, key: str) -> bool:
        """Say whether there is such a message."""
        return key in self._messages


@cache
def load(language: str) -> Mapping[str, str]:
    """Return one language's table."""
    module = importlib.import_module(f"cafe.cli.messages.{language}")
    return cast("Mapping[str, str]", module.MESSAGES)


def language_of(environment: Mapping[str, str]) -> str:
    """Return the language that LC_ALL, LC_MESSAGES or LANG ask for (POSIX: the first that is set)."""
    wanted = next((environment[n] for n in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(n)), "")
    return "zh_cn" if wanted.lower().startswith("zh") else "en"
