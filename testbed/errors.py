"""What can go wrong with a testbed, in words for the person who wanted one."""

from collections.abc import Sequence


class Lacking(Exception):
    """The machine lacks something.

    Attributes:
        names: What is lacking, each with what to do about it.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("this machine lacks: " + "; ".join(names))
        self.names = tuple(names)


class NotStarted(Exception):
    """A program ended, or was not ready in time; the message holds the end of its log."""
