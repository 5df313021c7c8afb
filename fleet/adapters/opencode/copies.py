"""Adds messages to a session: copies for a fork, under other ids, and the messages of a session that comes from
another host, under their own. OpenCode's import of sessions takes any number of them; to a new session it adds a few
sooner as events that are replayed. An import also moves a session to another directory.

The imported document is built here from the responses of OpenCode's HTTP interface, because `opencode export` ends
before a pipe has received more than its first 64 or 128 KiB. The ids of the copies are derived from the originals and
the session, so an import after an interrupted one adds only what is missing. OpenCode reads a file below Fleet's data
directory; `forget_old_imports` removes files that a crash has left.
"""

import hashlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import trio
from msgspec.structs import replace

from fleet.adapters.opencode.one_shot import refused, run_once
from fleet.ids import OPENCODE_RANDOM_BITS, base62
from fleet.ports import Message, OpenCodeSession, RecordedMessage
from fleet.private_files import make_private_directory, write_private

_ASCENDING: Final = len("msg_0123456789ab")  # the prefix of an id: its kind and its time
_KIND: Final = len("msg_")
_EVENTS_OF_A_NEW_SESSION: Final = 2  # it was created, and has got its title


def forget_old_imports(directory: Path) -> None:
    """Remove the files of earlier imports from `directory`; no import may be running."""
    shutil.rmtree(directory, ignore_errors=True)


def copied_id(original: str, session_id: str) -> str:
    """Return the id of a message's or part's copy in the session. It has the same time, so the order stays."""
    digest = hashlib.sha256(f"{session_id} {original}".encode()).digest()
    return original[:_ASCENDING] + base62(int.from_bytes(digest) % 2**OPENCODE_RANDOM_BITS)


def document(messages: tuple[Message, ...], session: OpenCodeSession) -> bytes:
    """Return `session` with copies of `messages`, in OpenCode's format of exports and imports."""
    ids = {message.info.session_id: session.id for message in messages}
    for message in messages:
        for original in (message.info.id, *(part.id for part in message.parts)):
            ids[original] = copied_id(original, session.id)
    copies = [
        {
            "info": _moved(_renamed(msgspec.json.decode(message.info.raw), ids), session.directory),
            "parts": [_renamed(msgspec.json.decode(part.raw), ids) for part in message.parts],
        }
        for message in messages
    ]
    return msgspec.json.encode({"info": msgspec.Raw(session.raw), "messages": copies})


def restoration(messages: tuple[RecordedMessage, ...], session: OpenCodeSession) -> bytes:
    """Return `session` with its `messages`, unchanged but for the session's id where OpenCode has chosen another."""
    restored = [
        {"info": _in_session(message.info, session), "parts": [_in_session(part, session) for part in message.parts]}
        for message in messages
    ]
    return msgspec.json.encode({"info": msgspec.Raw(session.raw), "messages": restored})


def moved(session: OpenCodeSession, directory: str) -> OpenCodeSession:
    """Return the session with another directory."""
    raw = msgspec.json.encode({**msgspec.json.decode(session.raw), "directory": directory})
    return replace(session, directory=directory, raw=raw)


def replay(messages: tuple[RecordedMessage, ...], session: OpenCodeSession) -> list[dict[str, Any]]:
    """Return the events that add the messages, unchanged but for the session's id, to a `session` without any."""
    events: list[dict[str, Any]] = []

    def add(kind: str, original: str, **data: object) -> None:
        events.append(
            {
                "id": f"evt_{copied_id(original, session.id)[_KIND:]}",
                "aggregateID": session.id,
                "seq": _EVENTS_OF_A_NEW_SESSION + len(events),
                "type": kind,
                "data": {"sessionID": session.id, **data},
            }
        )

    for message in messages:
        info = _in_session(message.info, session)
        add("message.updated.1", info["id"], info=info)
        for part in (_in_session(raw, session) for raw in message.parts):
            add("message.part.updated.1", part["id"], part=part, time=info["time"]["created"])
    return events


def _in_session(raw: bytes, session: OpenCodeSession) -> dict[str, Any]:
    return {**msgspec.json.decode(raw), "sessionID": session.id}


def _renamed(json: object, ids: Mapping[str, str]) -> Any:
    """Return `json` with the ids of originals replaced by those of their copies: parents, summaries, parts."""
    if isinstance(json, str):
        return ids.get(json, json)
    if isinstance(json, list):
        return [_renamed(each, ids) for each in cast("list[object]", json)]
    if isinstance(json, dict):
        return {key: _renamed(value, ids) for key, value in cast("dict[str, Any]", json).items()}
    return json


def _moved(info: dict[str, Any], directory: str) -> dict[str, Any]:
    return {**info, "path": {"cwd": directory, "root": directory}} if "path" in info else info


async def import_session(
    executable: Path,
    environment: Mapping[str, str],
    make: Callable[[], bytes],
    session: OpenCodeSession,
    scratch: Path,
) -> None:
    """Have OpenCode import the document that `make` returns, in a thread. Raises `Problem` opencode_refused."""
    make_private_directory(scratch)
    file = scratch / f"{session.id}.json"
    try:
        await trio.to_thread.run_sync(lambda: write_private(file, make()))
        await _import(executable, environment, session.directory, file)
    finally:
        file.unlink(missing_ok=True)


async def _import(executable: Path, environment: Mapping[str, str], directory: str, file: Path) -> None:
    """Run the import in `directory`, which decides the project of the session."""
    done = await run_once(executable, environment, directory, "import", str(file))
    if done.returncode != 0:
        raise refused("import", done)
