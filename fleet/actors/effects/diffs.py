"""Computes the diffs of turns: it takes trees, compares them and stores contents, so that diffs outlive the directory.

In a worktree or clone, the session's diff is between its baseline and the tree at the end of a turn. In an existing
directory others may work at any time, so the diffs of the session's turns are composed. The base of such a turn is
taken just before the prompt is sent, and its diff names the turns that ran at the same time. So is the base of the
first turn in a worktree or clone that was made again: what was lost with the old one is no change of that turn. If a
tree cannot be taken, there is no diff, but the turn continues.
"""

import math
import re
from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple

import structlog
import trio
from msgspec.structs import replace

from fleet.actors.context import Context
from fleet.actors.effects.host_calls import until_host_answers
from fleet.actors.effects.live_contents import LiveContents
from fleet.actors.runtime.aggregate import ReportBack
from fleet.core.manifest import (
    ChangedFile,
    Manifest,
    composed,
    contents,
    decode_manifest,
    encode_manifest,
    line_counts,
    manifest_of,
)
from fleet.core.paths import are_nested
from fleet.core.session.commands import SessionCommand
from fleet.core.session.report_commands import ReportChanges, ReportTurnSnapshot
from fleet.core.session.state import RUNNING, State
from fleet.errors import Problem
from fleet.events.blobs import name_of
from fleet.limits import TREE_TIMES_REMEMBERED_MAX
from fleet.ports import FileChange

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_log = structlog.get_logger(__name__)

Reporter = ReportBack[SessionCommand]


class LiveDiff(NamedTuple):
    """The current diff. Its `contents`, by digest, are only in memory; other named contents are in the blob store."""

    manifest: Manifest
    contents: Mapping[str, bytes]


class DiffEffects:
    """The trees and diffs of all sessions."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.live = LiveContents()
        self._took_s: dict[str, float] = {}

    async def baseline(self, workspace_id: str, directory: str) -> str | None:
        """Return the tree of a directory; None if it cannot be taken."""
        take = partial(self._context.host_of(workspace_id).trees.take, workspace_id, directory)
        try:
            return await until_host_answers(take, workspace=workspace_id)
        except Problem as problem:
            _log.warning("tree_not_taken", workspace=workspace_id, detail=problem.detail)
            return None

    async def take(self, state: State) -> str:
        """Take the tree of a session's directory, and remember how long it took. Raises `Problem`."""
        began_s = trio.current_time()
        tree = await self._context.host_of(state.workspace_id).trees.take(state.workspace_id, state.directory)
        self._remember_time(state.workspace_id, trio.current_time() - began_s)
        return tree

    def took_s(self, workspace_id: str) -> float:
        """Return how long the last tree of a workspace took; 0 where it is not known, infinity for `note_slow`."""
        return self._took_s.get(workspace_id, 0.0)

    def note_slow(self, workspace_id: str) -> None:
        """Note that a tree of a workspace could not be taken in time."""
        self._remember_time(workspace_id, math.inf)

    def _remember_time(self, workspace_id: str, took_s: float) -> None:
        self._took_s.pop(workspace_id, None)
        self._took_s[workspace_id] = took_s
        if len(self._took_s) > TREE_TIMES_REMEMBERED_MAX:
            del self._took_s[next(iter(self._took_s))]

    async def begin(self, session_id: str, number: int, report: Reporter) -> None:
        """Take the base of a turn in a directory that sessions share, or that was made again since the last turn.

        Elsewhere the newest tree is the base.
        """
        state = self._context.views.sessions.get(session_id)
        if state is None or state.turn is None or state.turn.base is not None:
            return
        if not self._shared(state) and not self._is_made_again(state):
            return
        tree = await self.baseline(state.workspace_id, state.directory)
        if tree is not None:
            await report(ReportTurnSnapshot(number=number, tree=tree, at_ms=self._context.clock.now_ms()))

    async def record(self, session_id: str, number: int, report: Reporter, *, patient: bool = True) -> None:
        """Record the changes of the turn and of the whole session so far.

        A host that does not answer is waited for if `patient`.
        """
        state = self._context.views.sessions.get(session_id)
        if state is None or state.turn is None or state.turn.number != number:
            return
        compare = partial(self._compare, state, state.turn.base or state.snapshots.newest, number)
        try:
            changes = await (until_host_answers(compare, workspace=state.workspace_id) if patient else compare())
        except Problem as problem:
            _log.warning("changes_not_recorded", session=session_id, turn=number, detail=problem.detail)
            return
        if changes is not None:
            await report(changes)

    async def now(self, state: State) -> LiveDiff:
        """Return the session's current diff, during a turn. It is not stored."""
        return self._remember(state, await self._now(state))

    async def now_of_turn(self, state: State) -> LiveDiff:
        """Return the running turn's current diff. It is not stored."""
        return self._remember(state, await self._now_of_turn(state))

    async def as_of(self, state: State, tree: str, *, of_turn: bool) -> LiveDiff:
        """Return the diff of a session, or of its turn alone, up to a tree that was taken while the turn ran.

        `state` is that of then. It is not stored. Raises `Problem`: tree_gone, git_failed.
        """
        snapshots = state.snapshots
        is_composed = self._shared(state) or snapshots.baseline is None
        base = snapshots.baseline
        if of_turn or is_composed or base is None:
            base = (state.turn and state.turn.base) or snapshots.newest or tree
        changes = await self._context.host_of(state.workspace_id).trees.diff(state.workspace_id, base, tree)
        diff = await _live_diff(changes)
        if is_composed and not of_turn:
            whole = await self._recount(composed(self._recorded(state), diff.manifest), diff.contents)
            diff = diff._replace(manifest=whole)
        return self._remember(state, diff)

    def _remember(self, state: State, moment: LiveDiff) -> LiveDiff:
        """Keep the contents in memory for `content_of`, unless the session was erased meanwhile."""
        if self._context.views.sessions.get(state.id) is not None:
            self.live.keep(self._context.views.sessions.stream(state.id), moment.contents)
        return moment

    async def _now(self, state: State) -> LiveDiff:
        recorded = self._recorded(state)
        if not self._shared(state):
            return await self._since(state, state.snapshots.baseline, recorded)
        of_turn = await self._now_of_turn(state)
        whole = await self._recount(composed(recorded, of_turn.manifest), of_turn.contents)
        return LiveDiff(whole, of_turn.contents)

    async def _now_of_turn(self, state: State) -> LiveDiff:
        return await self._since(state, (state.turn and state.turn.base) or state.snapshots.newest, Manifest())

    async def _since(self, state: State, base: str | None, otherwise: Manifest) -> LiveDiff:
        """Return the changes since `base`, or `otherwise` if they cannot be computed."""
        if base is None:
            return LiveDiff(otherwise, {})
        try:
            trees = self._context.host_of(state.workspace_id).trees
            changes = await trees.compare(state.workspace_id, base, state.directory)
        except Problem as problem:
            _log.warning("moment_not_compared", session=state.id, detail=problem.detail)
            return LiveDiff(otherwise, {})
        return await _live_diff(changes)

    def manifest(self, digest: str) -> Manifest:
        """Return a manifest that an event names. Raises `Problem` where it was erased."""
        blob = self._context.blobs.get(digest)
        if blob is None:
            raise Problem("changes_gone", "the diff is not kept any more")
        return decode_manifest(blob)

    def content_of(self, state: State, digest: str) -> bytes | None:
        """Return a content that a diff of this session names, stored or live; None for any other digest.

        A session may read only its own contents from the blob store; the caller refuses its manifests.
        """
        stream = self._context.views.sessions.stream(state.id)
        if not _DIGEST.fullmatch(digest):
            return None
        if self._context.blobs.owns(stream, digest):
            return self._context.blobs.get(digest)
        return self.live.get(stream, digest)

    def overlaps(self, state: State) -> tuple[str, ...]:
        """Return the other sessions whose turns ran during the current one in its directory, above or below it."""
        if state.turn is None:
            return ()
        started_ms = state.turn_started_at_ms
        return tuple(
            other.id
            for other in self._context.views.sessions
            if other.id != state.id and _ran_since(other, started_ms) and are_nested(other.directory, state.directory)
        )

    def _shared(self, state: State) -> bool:
        """Return whether other sessions use, or have used, this directory or one above or below it directly."""
        return self._context.views.workspaces.is_shared(state.directory)

    def _is_made_again(self, state: State) -> bool:
        """Return whether the session's worktree or clone is newer than its last turn."""
        workspace = self._context.views.workspaces.get(state.workspace_id)
        return workspace is not None and 0 < state.turn_ended_at_ms < workspace.since_ms

    def _recorded(self, state: State) -> Manifest:
        return Manifest() if state.snapshots.manifest is None else self.manifest(state.snapshots.manifest)

    async def _compare(self, state: State, base: str | None, number: int) -> ReportChanges | None:
        if base is None:
            return None
        tree = await self.take(state)
        of_turn = await self._diff(state, base, tree)
        if self._shared(state) or state.snapshots.baseline is None:
            of_session = await self._recount(composed(self._recorded(state), of_turn), {})
        else:
            of_session = (
                of_turn if base == state.snapshots.baseline else await self._diff(state, state.snapshots.baseline, tree)
            )
        owner = self._context.views.sessions.stream(state.id)
        blobs = [encode_manifest(of_turn), encode_manifest(of_session)]
        turn_blob, session_blob = await self._context.blobs.put(owner, blobs)
        return ReportChanges(
            number=number,
            tree=tree,
            turn_manifest=turn_blob,
            session_manifest=session_blob,
            totals=of_session.totals(),
            overlaps=self.overlaps(state),
            at_ms=self._context.clock.now_ms(),
            turn_totals=of_turn.totals(),
        )

    async def _diff(self, state: State, before: str, after: str) -> Manifest:
        if before == after:
            return Manifest()
        changes = await self._context.host_of(state.workspace_id).trees.diff(state.workspace_id, before, after)
        owner = self._context.views.sessions.stream(state.id)
        return manifest_of(changes, await self._context.blobs.put(owner, contents(changes)))

    async def _recount(self, manifest: Manifest, contents_now: Mapping[str, bytes]) -> Manifest:
        """Count the lines of composed changes again, from their contents."""
        files: list[ChangedFile] = []
        for file in manifest.files:
            files.append(self._recounted(file, contents_now))
            await trio.lowlevel.checkpoint()  # other tasks run between two large files
        return Manifest(tuple(files))

    def _recounted(self, file: ChangedFile, contents_now: Mapping[str, bytes]) -> ChangedFile:
        if file.is_binary or file.is_truncated:
            return file
        before, after = (self.content(digest, contents_now) or b"" for digest in (file.before, file.after))
        counts = line_counts(before, after)
        if counts is None:
            return file
        return replace(file, additions=counts[0], deletions=counts[1])

    def content(self, digest: str | None, contents_now: Mapping[str, bytes]) -> bytes | None:
        """Return a content that a manifest names; None if it does not exist."""
        if digest is None:
            return None
        return contents_now[digest] if digest in contents_now else self._context.blobs.get(digest)


async def _live_diff(changes: tuple[FileChange, ...]) -> LiveDiff:
    digests: list[str] = []
    for content in contents(changes):
        digests.append(name_of(content))
        await trio.lowlevel.checkpoint()  # other tasks run between two large files
    return LiveDiff(manifest_of(changes, digests), dict(zip(digests, contents(changes), strict=True)))


def _ran_since(state: State, since_ms: int) -> bool:
    """Return whether a turn of the session has run since then; the turn of a lost instance does not run."""
    runs = state.turn is not None and (state.phase in RUNNING or state.since_ms >= since_ms)
    return runs or state.turn_ended_at_ms >= since_ms
