"""The route for evidence packs: one session as a folder that is read and verified without Fleet (fleet/evidence)."""

from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from quart import Response
from quart.wrappers.response import ResponseBody

from fleet import __version__
from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.core.session.state import State as Session
from fleet.core.times import rfc3339
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.refusals import SESSION
from fleet.gateway.openapi.responses import download

if TYPE_CHECKING:
    from fleet.evidence.document import RelatedSession, Relatives

endpoint = Endpoints("/api/sessions/<session_id>", "sessions")


@endpoint("GET /pack", gives=download("application/zip"), refuses=SESSION)
async def read_pack(fleet: Fleet, session: Session, caller: Caller) -> Response:
    """Download the evidence pack of a session, as a zip.

    It has who asked for what, who allowed what, commands with their output, changed files, cost and outcome as a page
    (`index.html`) and as JSON, and the session's events with what proves them. `VERIFY.md` in it says how to verify it
    without Fleet. Of other sessions it has only the headers of events.
    """
    from fleet.evidence.document import Made
    from fleet.evidence.pack import pack_files
    from fleet.evidence.zipped import zipped

    made = Made(__version__, rfc3339(fleet.context.clock.now_ms()), caller.actor)
    files = pack_files(fleet.log, fleet.blobs, session.id, partial(_relatives, fleet), made)
    response = Response(PackStream(zipped(files, f"evidence-{session.id}")), content_type="application/zip")
    response.headers["Content-Disposition"] = f'attachment; filename="evidence-{session.id}.zip"'
    response.timeout = None
    return response


class PackStream(ResponseBody):
    """The bytes of the zip, each piece when the one before has been taken."""

    def __init__(self, pieces: AsyncGenerator[bytes]) -> None:
        self._pieces = pieces

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pieces.aclose()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces


def _relatives(fleet: Fleet, session: Session) -> "Relatives":
    from fleet.evidence.document import Relatives
    from fleet.evidence.relatives import related

    origin = session.settings.origin
    return Relatives(
        _relative(fleet, session.settings.parent_id),
        _relative(fleet, None if origin is None else origin.session_id),
        [related(each) for each in fleet.views.sessions.children(session.id)],
    )


def _relative(fleet: Fleet, session_id: str | None) -> "RelatedSession | None":
    if session_id is None:
        return None
    from fleet.evidence.document import RelatedSession
    from fleet.evidence.relatives import related

    found = fleet.views.sessions.get(session_id)
    return RelatedSession(session_id=session_id, title="", outcome="erased") if found is None else related(found)
