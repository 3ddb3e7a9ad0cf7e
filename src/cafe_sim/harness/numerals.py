"""Numbers in sentences."""


def counted(number: int, word: str) -> str:
    """Return `1 pod`, `2 pods`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
