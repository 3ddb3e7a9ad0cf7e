"""`cafe app cancel`: end the release that is under way, by the way it came."""

from typing import Any

import click

from cafe.api.cafedeployment import CafeDeployment
from cafe.cli.commands.publishing import Consent, go_back
from cafe.cli.commands.releasing import release_asked
from cafe.cli.errors import Exit, Problem
from cafe.cli.lazy import Command, Option
from cafe.cli.output import output_option
from cafe.cli.ports import Cluster
from cafe.cli.session import Session
from cafe.cli.views.picture import load_app, load_revisions
from cafe.cli.views.shelf import load_shelf, service_of


@click.command("cancel", cls=Command, help="help.app.cancel")
@click.argument("name")
@click.option("--reason", required=True, cls=Option, help="option.cancel.reason")
@click.option("--dry-run", is_flag=True, cls=Option, help="option.dry_run")
@click.option("--yes", "-y", is_flag=True, cls=Option, help="option.yes")
@output_option(("json", "yaml", "name"))
@click.pass_obj
def cancel(session: Session, /, name: str, reason: str, output: str | None, **agreed: bool) -> int:
    """Bring the pods that a release has touched back to what ran before it."""
    consent = Consent(agreed["yes"], accepts_risk=True, dry_run=agreed["dry_run"])

    async def work(cluster: Cluster) -> int:
        app, _ = await load_app(cluster, session.key(cluster, name))
        demand_release(app)
        service = service_of(app)
        if service:
            shelf = await load_shelf(cluster, session.key(cluster, service))
            good = shelf.service.status.last_good_revision
            if good in {0, shelf.service.status.live_revision}:
                raise no_way_back(app)
            return await go_back(session, cluster, (service, good, reason), consent, output)
        asked = {**UNASKED, "name": name, "cause": f"cafe app cancel: {reason}"}
        asked["to_revision"] = await _number_before(cluster, app)
        return await release_asked(
            session, cluster, asked, output, may_write=consent.may_write, dry_run=consent.dry_run
        )

    return session.run(work)


UNASKED: dict[str, Any] = {
    "images": (),
    "template": None,
    "replicas": None,
    "batch_size": None,
    "groups": None,
    "stop_before": (),
    "ask": None,
    "beta": None,
    "need_confirm": None,
    "max_unavailable": None,
}
"""What `cafe app release` may be asked for beside a revision: nothing of it."""


def demand_release(app: CafeDeployment) -> None:
    """Refuse to cancel what is not under way.

    Raises:
        Problem: No release is, or none to go back from.
    """
    status, name = app.status, app.metadata.name
    plan = status.plan
    if plan is None or plan.revision == status.current_revision:
        raise Problem(
            Exit.CONFLICT,
            "NoRelease",
            f"No release of {name} is under way; nothing was written.",
            f"All its pods are to run revision {status.current_revision or 'none'}",
            f"to go back to an earlier revision: cafe app history {name}, "
            f"then cafe app release {name} --to-revision N",
        )
    if not status.current_revision:
        raise no_way_back(app)


def no_way_back(app: CafeDeployment) -> Problem:
    """Return why a first release can't be cancelled."""
    name = app.metadata.name
    return Problem(
        Exit.NOT_FOUND,
        "NoWayBack",
        f"Nothing of {name} ran whole before this release; nothing was written.",
        "It is its first",
        f"cafe app pause {name} to stop it, cafe app release {name} --image IMAGE to mend it, "
        f"or kubectl scale cafed {name} --replicas=0 to take its pods away",
    )


async def _number_before(cluster: Cluster, app: CafeDeployment) -> int:
    """Return the number of the revision that ran whole before the release.

    Raises:
        Problem: It is stored no longer.
    """
    for revision in await load_revisions(cluster, app):
        if revision.hash == app.status.current_revision:
            return revision.number
    name = app.metadata.name
    raise Problem(
        Exit.NOT_FOUND,
        "NoRevision",
        f"Revision {app.status.current_revision} of {name}, which ran before, is not stored any more.",
        "Somebody has deleted its ControllerRevision",
        f"cafe app release {name} -f FILE, with the template to go back to",
    )
