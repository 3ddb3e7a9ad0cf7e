"""What a controller tells people about an object."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened, for an Event.

    Attributes:
        reason: One word in CamelCase.
        message: What happened, for people.
    """

    reason: str
    message: str
    is_warning: bool = False
