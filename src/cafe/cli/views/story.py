"""A release told line by line, for pipes and logs: one timestamped line per change."""

from datetime import datetime

from cafe.api.cafedeployment import CafeDeployment
from cafe.cli.messages import Catalogue
from cafe.cli.views.appview import Caller, group_word, is_stuck, what_to_do, why
from cafe.cli.views.picture import Picture


def stamp(now: datetime) -> str:
    """Write local time with its zone."""
    return now.astimezone().strftime("%Y-%m-%dT%H:%M:%S%z")


def progress(app: CafeDeployment, words: Catalogue) -> str:
    """Return the groups in one line: `Beta 2/2 done; 1 0/4 pending`."""
    told = [
        f"{group_word(g.index, words)} {g.done}/{g.total} {words.word(g.state)}" for g in app.status.groups
    ]
    return "; ".join(told)


def tell(picture: Picture, words: Catalogue, caller: Caller) -> str:
    """Return the line for the present state; equal states give equal lines."""
    app = picture.app
    parts = [f"{app.metadata.name}: {words.word(app.status.phase or 'Unseen')}"]
    if app.status.groups and app.status.phase != "Complete":
        parts.append(progress(app, words))
    parts.append(why(app, words))
    if is_stuck(picture):
        parts += sorted({f"{p.pod}: {p.reason} {p.image}" for p in picture.sick})
    if todo := what_to_do(picture, caller):
        parts.append(f"{words('app.do')} {todo}")
    if picture.problem:
        parts.append(words("app.stale", why=picture.problem))
    return _steady(" | ".join(parts))


def _steady(line: str) -> str:
    """Call a failed pull one thing: kubelets alternate between two words for it, each a new line here."""
    return line.replace("ErrImagePull", "ImagePullBackOff")
