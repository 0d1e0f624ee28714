"""The pages for people, beside the API: files of the workspace, under headers that let them load nothing else."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from ecomine import layout
from ecomine.store import Store

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""Nothing from elsewhere, no code made from text; `no-cache` asks whether a page is still the newest."""


def routes(store: Store) -> list[Route]:
    """Addresses of reports/: its pages and what they load, and nothing else that lies there.

    Data Docs stay out, since they show values of rows and load from other hosts. The folder may come later, or go.
    """
    folder = store.path(layout.REPORTS)
    files = StaticFiles(directory=folder, check_dir=False)

    async def answer(request: Request, name: str) -> Response:
        if not folder.is_dir():
            raise HTTPException(404)
        response = await files.get_response(name, request.scope)
        response.headers.update(HEADERS)
        return response

    async def start(request: Request) -> Response:
        return await answer(request, layout.START_PAGE.removeprefix(f"{layout.REPORTS}/"))

    async def page(request: Request) -> Response:
        return await answer(request, f"{request.path_params['page']}.html")

    async def asset(request: Request) -> Response:
        return await answer(request, f"assets/{request.path_params['asset']}")

    return [Route("/", start), Route("/{page}.html", page), Route("/assets/{asset}", asset)]
