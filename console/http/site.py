"""What every page is made with: the console's parts, and the templates."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import jinja2
from fastapi import Request
from starlette.responses import HTMLResponse

from console.access.attempts import Attempts
from console.access.sessions import Session, Sessions
from console.folds.history import Histories
from console.looking.aws_calls import count_calls
from console.looking.overview import Overview
from console.looking.service_metrics import ServiceMetrics
from console.metrics import Metrics
from console.operations.catalogue import OPERATIONS, shell
from console.operations.jobs import Jobs
from console.settings import ConsoleSettings
from ledger.runtime.auth import Access
from ledger.runtime.aws import Clients
from ledger.store.resumable_job import JobWatch
from projector.components import Components, build_components

#: The screens, in the order of the menu: path and name.
SCREENS: Final = (
    ("/", "Overview"),
    ("/aggregates", "Aggregates"),
    ("/read-models", "Read models"),
    ("/stream", "Stream"),
    ("/dead-letters", "Dead letters"),
    ("/bridge", "Bridge"),
    ("/activity", "Activity"),
)


@dataclass(frozen=True, slots=True)
class Site:
    """The parts that pages are made of."""

    settings: ConsoleSettings
    access: Access
    components: Components
    histories: Histories
    overview: Overview
    metrics: ServiceMetrics
    sessions: Sessions
    attempts: Attempts
    jobs: Jobs
    counters: Metrics
    #: Which rebuilds and backfills run.
    watch: JobWatch
    templates: jinja2.Environment

    def page(self, request: Request, name: str, *, status: int = 200, **shown: Any) -> HTMLResponse:
        """Render a template for whoever asks."""
        session: Session | None = getattr(request.state, "session", None)
        content = self.templates.get_template(name).render(
            shown,
            session=session,
            open=self.access.open,
            profile=self.components.names.profile,
            path=request.url.path,
            screens=SCREENS,
        )
        return HTMLResponse(content, status)


def build_site(
    settings: ConsoleSettings, clients: Clients, access: Access, executor: Executor, environment: Mapping[str, str]
) -> Site:
    """Put the parts together; makes no call.

    ``executor`` runs what looks in the background. ``environment`` is what the commands get that the console runs.

    Raises ConfigurationError for a domain that cannot be used.
    """
    components = build_components(settings, clients, executor)
    histories = Histories(components, executor)
    token = settings.console_token.get_secret_value()
    counters = Metrics()
    count_calls(clients, counters.aws_calls)

    def done(exit_code: int) -> None:
        counters.operations.labels(str(exit_code)).inc()
        histories.forget()

    return Site(
        settings=settings,
        access=access,
        components=components,
        histories=histories,
        overview=Overview(components, executor),
        metrics=ServiceMetrics(list(map(str, settings.console_services)), token, executor.submit),
        sessions=Sessions(settings.console_session),
        attempts=Attempts(),
        jobs=Jobs(environment, done),
        counters=counters,
        watch=JobWatch(),
        templates=templates(),
    )


def site_of(request: Request) -> Site:
    """The site that a request is for."""
    site: Site = request.app.state.site
    return site


def templates() -> jinja2.Environment:
    """The templates: every value is escaped, and one that is missing is an error."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("console"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"ago": _ago, "moment": _moment, "rate": _rate, "share": lambda value: f"{value:.0%}"}
    made.globals |= {"operations": OPERATIONS, "shell": shell}
    return made


def _moment(value: datetime | str) -> str:
    """A time as people read it, UTC."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _ago(value: datetime | str) -> str:
    """How long ago a time is."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    seconds = max(0.0, (datetime.now(UTC) - at).total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def _rate(value: float | None) -> str:
    if value is None:
        return "not known"
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def query(request: Request, allowed: Mapping[str, str]) -> dict[str, str]:
    """The query parameters that a page takes, each with its default; others are passed by."""
    return {name: request.query_params.get(name, default) for name, default in allowed.items()}
