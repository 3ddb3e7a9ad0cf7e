"""What a person asked for that can't be done: told in three parts, and the program ends with 2."""

import difflib
from collections.abc import Collection
from typing import Final

EXIT_CODE: Final = 2
"""Of a program that was asked for something impossible."""


class BadInput(Exception):
    """A tape, a name or a number that means nothing here.

    Args:
        what: What is wrong.
        why: How one can tell.
        remedy: What to do next.
    """

    def __init__(self, what: str, why: str, remedy: str) -> None:
        super().__init__(f"{what}\nwhy  {why}\ndo   {remedy}")
        self.what = what
        self.why = why
        self.remedy = remedy


def demand_known(word: str, name: str, known: Collection[str], where: str) -> None:
    """Refuse a name that is not among *known*, and say which ones are near.

    Args:
        word: What is named: `fault`, `rule`, `step`.
        name: The name.
        known: All names that there are.
        where: In which tape or option it stands.

    Raises:
        BadInput: It is unknown.
    """
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or [
        each for each in sorted(known) if set(name.split()) & set(each.split())
    ]
    meant = ", ".join(f'"{each}"' for each in near[:3])
    raise BadInput(
        f'There is no {word} named "{name}".',
        f"{where} names it; {len(known)} {word}s are known" + (f", near ones are {meant}." if meant else "."),
        f"Name one of these; `python -m cafe_sim.harness list` shows all {word}s.",
    )
