"""Delivers the callback of a child: a prompt to the parent's logical session, exactly once.

The prompt says what the child was asked to do, names the files that the child has changed, and ends with the child's
last message, all of it as it was when the callback was ordered. The prompt has a command id of its own, so the log
refuses a second one, even after a crash. Fleet waits for a parent that cannot take the prompt (stopped, disconnected,
its queue full), and resumes a completed one.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.runtime.aggregate import Deliver, ReportBack
from fleet.actors.runtime.causation import cause_here
from fleet.core.manifest import ChangedFile, decode_manifest
from fleet.core.session.commands import SessionCommand, SubmitPrompt
from fleet.core.session.effects import NotifyParent
from fleet.core.session.report_commands import ReportCallbackDelivered, ReportCallbackDropped, ReportCallbackUndelivered
from fleet.core.session.state import State
from fleet.core.session.values import callback_id
from fleet.errors import Rejected, Unavailable
from fleet.events.blobs import CorruptBlob
from fleet.events.codec import CorruptRecord
from fleet.limits import CALLBACK_FILES_MAX, CALLBACK_MESSAGE_BYTES_MAX, CALLBACK_MESSAGES_READ, CALLBACK_RETRY_S
from fleet.projections.change_records import ChangeRecords
from fleet.projections.transcripts import MessageView, Transcripts, Where

_log = structlog.get_logger(__name__)


class Callbacks:
    """Delivers callbacks."""

    def __init__(self, context: Context, records: ChangeRecords, transcripts: Transcripts) -> None:
        self._context = context
        self._records = records
        self._transcripts = transcripts

    async def notify(self, session_id: str, effect: NotifyParent, report: ReportBack[SessionCommand]) -> None:
        """Submit the prompt to the parent, retrying without a limit; cancelled when the callback is over."""
        clock = self._context.clock
        while True:
            parent = self._context.views.sessions.get(effect.parent_id)
            if parent is None:
                await report(
                    ReportCallbackDropped(number=effect.number, reason="the parent was erased", at_ms=clock.now_ms())
                )
                return
            try:
                await self._submit(session_id, effect, resume=parent.phase == "completed")
            except Rejected as rejected:
                await report(
                    ReportCallbackUndelivered(number=effect.number, reason=rejected.detail, at_ms=clock.now_ms())
                )
            except Unavailable as unavailable:
                _log.warning("callback_retried", session=session_id, code=unavailable.code)
            else:
                await report(ReportCallbackDelivered(number=effect.number, at_ms=clock.now_ms()))
                return
            await self._change_of(parent)

    async def _change_of(self, parent: State) -> None:
        """Wait until the parent's state changes, for a limited time."""
        with trio.move_on_after(CALLBACK_RETRY_S):
            await self._context.views.sessions.change_of(parent.id, parent)

    async def _submit(self, session_id: str, effect: NotifyParent, *, resume: bool) -> None:
        name = callback_id(session_id, effect.number)
        context = self._context
        text = "\n".join((effect.text, *await self._details(session_id, effect.number)))
        prompt = SubmitPrompt(
            prompt_id=name, text=text, at_ms=context.clock.now_ms(), new_ids=context.new_turn_ids(), resume=resume
        )
        cause = cause_here(f"session:{session_id}")
        # Of what was ordered: it identifies a repetition, even if the text differs by then.
        digest = hashlib.sha256(effect.text.encode()).digest()
        await context.actors.sessions.ask(effect.parent_id, Deliver(prompt, cause, name, digest))

    async def _details(self, session_id: str, number: int) -> list[str]:
        """Return lines on the files that the child has changed, and its last message."""
        try:
            return await self._read_details(session_id, number)
        except CorruptRecord as damaged:  # it must not prevent the callback
            _log.error("callback_without_details", session=session_id, detail=damaged.detail)
            return ["- what it did cannot be read: its stream is damaged"]

    async def _read_details(self, session_id: str, number: int) -> list[str]:
        stream = self._context.views.sessions.stream(session_id)
        at = await self._records.callback_position(stream, number)
        if at is None:  # it was erased
            return []
        newest = (await self._records.find(stream, at=at)).newest
        files = [] if newest is None else self._files(session_id, newest.session_manifest)
        page = await self._transcripts.page(stream, Where(CALLBACK_MESSAGES_READ, at=at))
        said = last_words(page.messages)
        return [*files, *(("", "Its last message:", said) if said else ())]

    def _files(self, session_id: str, manifest: str) -> list[str]:
        """Return the lines on the files of a manifest; a damaged manifest must not prevent the callback."""
        try:
            blob = self._context.blobs.get(manifest)
        except CorruptBlob as damaged:
            _log.error("callback_without_files", session=session_id, detail=damaged.detail)
            return ["- their names cannot be read"]
        return [] if blob is None else file_lines(decode_manifest(blob).files)


def file_lines(files: Sequence[ChangedFile]) -> list[str]:
    """Return a line for each of the first files, and one for the rest."""
    named = [f"- {_name(each)} ({each.status}, +{each.additions} -{each.deletions})" for each in files]
    more = len(named) - CALLBACK_FILES_MAX
    return [*named[:CALLBACK_FILES_MAX], *([f"- and {more} more"] if more > 0 else [])]


def _name(file: ChangedFile) -> str:
    """Return the file's name, as JSON if it could be misread."""
    return file.file if file.file.isprintable() else msgspec.json.encode(file.file).decode(errors="replace")


def last_words(messages: Sequence[MessageView]) -> str:
    """Return the agent's last message since the newest prompt; a long one is truncated."""
    for message in reversed(messages):
        if _role(message.info) != "assistant":
            break
        said = "\n\n".join(filter(None, (_text(part) for part in message.parts))).strip().encode(errors="replace")
        if said:
            more = len(said) - CALLBACK_MESSAGE_BYTES_MAX
            kept = said[:CALLBACK_MESSAGE_BYTES_MAX].decode(errors="ignore")
            return f"{kept}\n… and {more} bytes more" if more > 0 else kept
    return ""


class _Part(msgspec.Struct):
    role: str = ""
    type: str = ""
    text: str = ""


_decode: Final = msgspec.json.Decoder(_Part).decode


def _role(info: msgspec.Raw) -> str:
    try:
        return _decode(info).role
    except msgspec.MsgspecError:
        return ""


def _text(part: msgspec.Raw) -> str:
    try:
        read = _decode(part)
    except msgspec.MsgspecError:
        return ""
    return read.text if read.type == "text" else ""
