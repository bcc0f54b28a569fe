"""Who did what, and what it all costs."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from console.http.site import query, site_of

router = APIRouter()

_PAGE = 50


@router.get("/activity")
def activity(request: Request) -> Response:
    """The audit log, the operations of this console, and the units that commands cost."""
    site = site_of(request)
    site.metrics.refresh()
    before = query(request, {"before": ""})["before"] or None
    actions = site.components.audit.recent(_PAGE, before=before)
    units = site.metrics.by_label("kinfold_writer_write_units_total")
    carried_out: dict[str, float] = {}
    for labels, count in site.metrics.by_label("kinfold_writer_commands_total").items():
        pairs = dict(pair.split("=", 1) for pair in labels.split(",") if "=" in pair)
        if pairs.get("outcome") == "accepted":
            command = pairs.get("command", "")
            carried_out[command] = carried_out.get(command, 0.0) + count
    costs = []
    for labels, total in sorted(units.items()):
        command = labels.partition("=")[2]
        count = carried_out.get(command, 0.0)
        costs.append((command, count, total, total / count if count else None))
    more = actions[-1].id if len(actions) == _PAGE else None
    return site.page(request, "activity.html", actions=actions, more=more, jobs=site.jobs.all, costs=costs)
