"""How a command ends: exit codes, and the lines that a person reads when it ends badly."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes; each means one thing, for every command."""

    MET = 0
    FAILURE = 1
    USAGE = 2
    NOT_FOUND = 3
    LOGIN = 4
    FORBIDDEN = 5
    CONFLICT = 6
    ENDED_BADLY = 7
    NEEDS_HUMAN = 8
    PARTIAL = 9
    DIFFERENT = 10
    TIMEOUT = 124
    INTERRUPTED = 130


class Problem(Exception):
    """The command can't go on.

    Attributes:
        exit: The exit code.
        code: Stable, in CamelCase.
        what: What happened.
        why: Why.
        do: What to do next; where possible a command.
    """

    def __init__(self, exit_: Exit, code: str, what: str, why: str = "", do: str = "") -> None:
        super().__init__(what)
        self.exit = exit_
        self.code = code
        self.what = what
        self.why = why
        self.do = do


def lines_of(problem: Problem) -> list[str]:
    """Return the lines for stderr: `error:`, `why:` with the code, `do:`."""
    why = f"{problem.why.rstrip('.')} ({problem.code})" if problem.why else problem.code
    lines = [f"error: {problem.what}", f"why: {why}"]
    return [*lines, f"do: {problem.do}"] if problem.do else lines


def problem_of(error: Exception) -> Problem | None:
    """Translate what the platform raises on purpose; None for a bug."""
    if isinstance(error, Problem):
        return error
    from cafe.kernel import CafeError, Conflict, Refusal, Unavailable  # noqa: PLC0415 -- only when something went wrong

    if isinstance(error, Refusal):
        return Problem(
            REFUSALS.get(error.code, Exit.FAILURE), error.code, error.what, error.why, error.remedy
        )
    if isinstance(error, Conflict):
        return Problem(Exit.CONFLICT, "Conflict", str(error), "", "Look at the object again, then repeat.")
    if isinstance(error, Unavailable):
        known = error.is_outcome_known
        return Problem(
            Exit.FAILURE,
            "Unavailable" if known else "UnknownOutcome",
            f"The server gave no answer: {error}",
            "" if known else "The request may have taken effect.",
            "cafe doctor",
        )
    if isinstance(error, CafeError):
        return Problem(Exit.FAILURE, type(error).__name__, str(error), "", "cafe doctor")
    return None


REFUSALS = {
    "Unauthorized": Exit.LOGIN,
    "Forbidden": Exit.FORBIDDEN,
}
"""Exit codes of refusals that mean more than a plain failure."""
