"""Operations: a form for each, and the run of each."""

from http import HTTPStatus

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from console.http.site import site_of
from console.operations.catalogue import OPERATIONS, BadFormError, Operation
from console.operations.jobs import Job

router = APIRouter()


@router.get("/operations/{name}")
async def form(request: Request, name: str) -> Response:
    """The form of an operation, with what the address fills in, and the command that it comes to."""
    operation = _operation(name)
    known = {each.name for each in operation.fields}
    given = {name: value for name, value in request.query_params.items() if name in known}
    try:
        words = operation.words(given)
    except BadFormError:
        words = None
    return site_of(request).page(request, "operation.html", operation=operation, given=given, words=words)


@router.post("/operations/{name}")
async def run(request: Request, name: str) -> Response:
    """Run it, and show the run."""
    operation, given = _operation(name), dict(request.state.form)
    dry_run = given.pop("dryRun", "") == "yes"
    sure = given.pop("sure", "") == "yes"
    if operation.final and not (sure or dry_run):
        raise BadFormError(f"{operation.title} cannot be taken back: say in the form that you are sure")
    words, by = operation.words(given, dry_run=dry_run), request.state.session.principal.name
    job = await site_of(request).jobs.begin(words, by)
    return RedirectResponse(f"/jobs/{job.id}", HTTPStatus.SEE_OTHER)


@router.get("/jobs/{job_id}")
async def job(request: Request, job_id: str) -> Response:
    """One run: the command, what it says, and how it ended."""
    return site_of(request).page(request, "job.html", job=_job(request, job_id))


@router.get("/live/jobs/{job_id}")
async def live(request: Request, job_id: str) -> Response:
    """What changes in it."""
    return site_of(request).page(request, "parts/job.html", job=_job(request, job_id))


@router.post("/jobs/{job_id}/interrupt")
async def interrupt(request: Request, job_id: str) -> Response:
    """Interrupt it, as Ctrl-C does."""
    site_of(request).jobs.interrupt(_job(request, job_id))
    return RedirectResponse(f"/jobs/{job_id}", HTTPStatus.SEE_OTHER)


def _operation(name: str) -> Operation:
    if name not in OPERATIONS:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"There is no operation {name[:40]}.")
    return OPERATIONS[name]


def _job(request: Request, job_id: str) -> Job:
    job = site_of(request).jobs.find(job_id)
    if job is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "This console remembers no such run; the audit log may have it.")
    return job
