"""The routes for the dashboard: the page at each of its addresses, and the files of its build.

These routes need no token (guard.py): the files are the same for everyone and hold no data of this Fleet. The page asks
for everything else over `/api`, where the guard's rules hold. They are no part of openapi.json: it describes the
interface for programs.
"""

from importlib.resources import files
from typing import Final

from quart import Blueprint, Response, request

from fleet.errors import Rejected
from fleet.gateway.server.encoding import best_encoding
from fleet.gateway.server.guard import PAGE, SHELL_ENDPOINT
from fleet.gateway.server.middleware import PAGE_POLICY
from fleet.gateway.server.page_files import Build, PageFile

SHELL_RULES: Final = (
    "/",
    "/inbox",
    "/s/<session_id>",
    "/s/<session_id>/a/<conversation>",
    "/new",
    "/history",
    "/log",
    "/processes",
    "/settings",
)
"""The addresses of the page, `/login` aside, which login.py has."""
_FIXED: Final = "public, max-age=31536000, immutable"
_REVALIDATED: Final = "no-cache"


def page_routes(build: Build) -> Blueprint:
    """Return the routes to the page and its files."""
    routes = Blueprint(PAGE, __name__)

    async def shell(**_: str) -> Response:
        return shell_response(build)

    for rule in SHELL_RULES:
        routes.add_url_rule(rule, SHELL_ENDPOINT.rpartition(".")[2], shell)

    @routes.get("/assets/<path:name>")
    async def read_asset(name: str) -> Response:
        return _file_response(build.files.get(f"assets/{name}"), _FIXED)

    @routes.get("/icons/<path:name>")
    async def read_icon(name: str) -> Response:
        return _file_response(build.files.get(f"icons/{name}"), _REVALIDATED)

    @routes.get("/theme.js")
    @routes.get("/manifest.webmanifest")
    async def read_file() -> Response:
        return _file_response(build.files.get(request.path[1:]), _REVALIDATED)

    return routes


def shell_response(build: Build) -> Response:
    """Return the shell, or a page that says how to build it."""
    if build.shell is not None:
        return _file_response(build.shell, _REVALIDATED)
    return Response(files("fleet.gateway").joinpath("unbuilt.html").read_bytes(), 503)


def _file_response(file: PageFile | None, cache: str) -> Response:
    if file is None:
        raise Rejected("not_found", f"there is nothing at {request.path}")
    encoding = best_encoding(request.headers.get("Accept-Encoding", ""), file.bodies)
    tag = file.tag(encoding)
    response = Response(file.bodies[encoding], content_type=file.content_type)
    if len(file.bodies) > 1:
        response.headers["Vary"] = "Accept-Encoding"
    if request.if_none_match.contains_weak(tag):
        response = _not_modified(response)
    elif encoding in ("br", "gzip"):
        response.headers["Content-Encoding"] = encoding
    response.set_etag(tag)
    response.headers["Cache-Control"] = cache
    # On 304 as well, since browsers take a stored response's policy from there, and on scripts: it is that of a worker.
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response


def _not_modified(response: Response) -> Response:
    response.status_code = 304
    response.set_data(b"")
    del response.headers["Content-Type"], response.headers["Content-Length"]
    return response
