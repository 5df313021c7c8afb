"""The independent checker: it reads the log, OpenCode's store, git and the process table, and none of Fleet's views.

Two looks: `look_alive` while the server runs and everything is at rest, `look_back` after its end. Each returns what is
wrong, one sentence each.
"""

import json
import sqlite3
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

from fleet.adapters.clock import SystemClock
from fleet.core.instance.events import InstanceSpawned, InstanceStopped, RemnantsKilled
from fleet.core.session.events import (
    CallbackDelivered,
    CallbackOrdered,
    ProvisionFailed,
    SessionCompleted,
    SessionDisconnected,
    SessionStopped,
    WorkspaceAttached,
)
from fleet.core.session.turn_events import (
    PartRecorded,
    PromptAccepted,
    PromptDelivered,
    PromptWithdrawn,
    TurnEnded,
    TurnFailed,
    TurnStarted,
)
from fleet.core.workspace.events import (
    WorkspaceFailed,
    WorkspaceReady,
    WorkspaceRemoved,
    WorkspaceRequested,
    WorkspaceRestored,
)
from fleet.events.catalog import make_registry
from fleet.events.envelope import Erased, Recorded
from fleet.events.lmdb_log import LmdbLog
from fleet.events.verify import verify
from tests.e2e.drill.drill import Victim
from tests.e2e.drill.ledger import Asked, Ledger


def look_alive(server: Victim, ledger: Ledger) -> list[str]:
    """Compare the statuses that the API shows with what OpenCode says and which processes live."""
    wrong: list[str] = []
    items = {item["id"]: item for item in server.call("GET", "/sessions?limit=200")}
    expected = {id_ for id_ in ledger.sessions if id_ not in ledger.erased}
    if set(items) != expected:
        wrong.append(f"sessions listed {sorted(items)}, expected {sorted(expected)}")
    shown = {each["id"]: each["pid"] for each in server.call("GET", "/instances")}
    living = {process.pid: process.environ() for process in server.agents()}
    if set(shown.values()) != set(living):
        wrong.append(f"instances shown {shown}, OpenCode processes that live {sorted(living)}")
    for item in items.values():
        name = ledger.sessions.get(item["id"], item["id"])
        environment = living.get(shown.get(item["instanceId"], -1))
        if item["status"] != "idle" or item["openRequests"] or item["queued"]:
            wrong.append(f"{name} is not at rest: {item}")
        elif environment is None:
            wrong.append(f"{name} is idle, and its instance {item['instanceId']} does not live")
        elif item["opencodeId"] in _running(server, environment, shown[item["instanceId"]], item["directory"]):
            wrong.append(f"{name} is idle, and OpenCode is busy with it")
    return wrong


def _running(server: Victim, environment: dict[str, str], pid: int, directory: str) -> list[str]:
    """Return the sessions that this OpenCode is busy with."""
    (port,) = {each.laddr.port for each in psutil.Process(pid).net_connections("tcp") if each.status == "LISTEN"}
    answer = httpx.get(
        f"http://127.0.0.1:{port}/session/status",
        params={"directory": directory},
        auth=("opencode", environment["OPENCODE_SERVER_PASSWORD"]),
        trust_env=False,
    )
    return list(answer.raise_for_status().json())


def look_back(server: Victim, project: Path, ledger: Ledger) -> list[str]:
    """Read every trace that a server left which has ended in order."""
    wrong: list[str] = []
    with LmdbLog.open(server.data, make_registry(), SystemClock()) as log:
        broken = verify(log).first_break
        if broken is not None:
            return [f"the log is broken at {broken.position}: {broken.reason}"]
        events = log.read_all()
    store = Store.read(server.root / "home/data/opencode/opencode.db")
    wrong.extend(look_at_sessions(ledger, _by_session(events), store))
    wrong.extend(_files(project, events, store))
    wrong.extend(_workspaces(server, project, events))
    wrong.extend(_processes(server, events))
    return wrong


def look_at_sessions(ledger: Ledger, sessions: dict[str, list[Any]], store: "Store") -> list[str]:
    """Hold the clients' memory, the sessions' events and OpenCode's store against each other."""
    return [
        *_prompts(ledger, sessions, store),
        *_turns(sessions, store),
        *_unknown_messages(sessions, store),
        *_callbacks(sessions),
        *_statuses(ledger, sessions),
    ]


# ----------------------------------------------------------------------------------------------------------- the traces


def _by_session(events: Sequence[Recorded]) -> dict[str, list[Any]]:
    """Return the events of each session that is not erased."""
    found: dict[str, list[Any]] = defaultdict(list)
    for recorded in events:
        kind, _, id_ = recorded.stream.partition("-")
        if kind == "session":
            found[id_].append(recorded.event)
    return {id_: stream for id_, stream in found.items() if not isinstance(stream[0], Erased)}


class Store(NamedTuple):
    """OpenCode's SQLite store: message infos and their parts, by message id."""

    messages: dict[str, dict[str, Any]]
    parts: dict[str, list[dict[str, Any]]]
    directories: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> "Store":
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            messages = {
                id_: {**json.loads(data), "sessionID": session_id}
                for id_, session_id, data in database.execute("SELECT id, session_id, data FROM message")
            }
            parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
            for message_id, data in database.execute("SELECT message_id, data FROM part ORDER BY id"):
                parts[message_id].append(json.loads(data))
            directories = dict(database.execute("SELECT id, directory FROM session").fetchall())
        return cls(messages, parts, directories)

    def prompts(self) -> Iterator[tuple[str, str, str]]:
        """Yield (message id, session id, text) of each user text part that a person sent."""
        for id_, info in self.messages.items():
            for part in self.parts.get(id_, ()) if info["role"] == "user" else ():
                if part["type"] == "text" and not part.get("synthetic"):
                    yield id_, info["sessionID"], part["text"]


# -------------------------------------------------------------------------------------------------------------- prompts


class _Fate(NamedTuple):
    """What the log says of one prompt."""

    accepted: list[PromptAccepted]
    withdrawn: int
    started: list[TurnStarted]
    delivered: bool
    end: TurnEnded | TurnFailed | None


def _fate(stream: Sequence[Any], prompt_id: str) -> _Fate:
    started = [e for e in stream if isinstance(e, TurnStarted) and e.prompt_id == prompt_id]
    ids = {each.message_id for each in started}
    numbers = {each.number for each in started}
    ends = [e for e in stream if isinstance(e, TurnEnded | TurnFailed) and e.number in numbers]
    return _Fate(
        [e for e in stream if isinstance(e, PromptAccepted) and e.prompt_id == prompt_id],
        sum(isinstance(e, PromptWithdrawn) and e.prompt_id == prompt_id for e in stream),
        started,
        any(isinstance(e, PromptDelivered) and e.message_id in ids for e in stream),
        ends[-1] if len(ends) == 1 else None,
    )


def _prompts(ledger: Ledger, sessions: dict[str, list[Any]], store: Store) -> Iterator[str]:
    """Check what the clients asked for."""
    roots = {stream[0].opencode_id for stream in sessions.values()}
    kept = Counter(text.partition("\n")[0] for _, session_id, text in store.prompts() if session_id in roots)
    for asked in ledger.asked:
        if asked.session not in sessions:
            continue
        stream = sessions[asked.session]
        mine = [e for e in stream if isinstance(e, PromptAccepted) and e.text == asked.text]
        if not asked.acknowledged or len(mine) != 1:
            yield f"{asked.marker} stands {len(mine)} times in the log; acknowledged: {asked.acknowledged}"
            continue
        fate = _fate(stream, mine[0].prompt_id)
        yield from _once(asked, fate, kept[asked.marker])
        yield from _carried_out(asked, fate, stream)


def _once(asked: Asked, fate: _Fate, kept: int) -> Iterator[str]:
    """A prompt reaches OpenCode exactly once, unless a person ended the session before it was sent or arrived."""
    if fate.withdrawn:
        if kept or fate.started:
            yield f"{asked.marker} was withdrawn, and OpenCode has it {kept} times"
        return
    cut_short = isinstance(fate.end, TurnEnded) and fate.end.outcome == "aborted" and not fate.delivered
    if kept > 1 or (kept == 0 and not cut_short):
        yield f"OpenCode has {asked.marker} {kept} times: delivered {fate.delivered}, {fate.end}"


def _carried_out(asked: Asked, fate: _Fate, stream: Sequence[Any]) -> Iterator[str]:
    """What ran did so once, and a turn that is called finished came to its end, with its transcript in the log."""
    runs = {path for directory in _directories(stream) for path in Path(directory).glob(asked.runs)}
    lines = [line for path in runs for line in path.read_text().splitlines()]
    finished = isinstance(fate.end, TurnEnded) and fate.end.outcome == "finished"
    if len(lines) > 1:
        yield f"{asked.marker} ran {len(lines)} times: {fate.end}"
    if not finished or asked.dismissed:
        return
    if len(lines) != 1:
        yield f"{asked.marker} is called finished and ran {len(lines)} times: {fate.end}"
    said = {e.part_id for e in stream if isinstance(e, PartRecorded) and _says(e.body, asked.last_words)}
    if len(said) != 1:
        yield f"{asked.marker} is called finished, and its last words stand {len(said)} times in the log"


def _directories(stream: Sequence[Any]) -> set[str]:
    return {e.directory for e in stream if isinstance(e, WorkspaceAttached)}


def _says(body: Any, words: str) -> bool:
    part: dict[str, str] = json.loads(bytes(body))
    return part["type"] == "text" and part["text"].strip() == words


def _turns(sessions: dict[str, list[Any]], store: Store) -> Iterator[str]:
    """Every accepted prompt, callbacks included, begins one turn and ends it, or is withdrawn; its message is whole."""
    for id_, stream in sessions.items():
        for prompt_id, times in Counter(e.prompt_id for e in stream if isinstance(e, PromptAccepted)).items():
            fate = _fate(stream, prompt_id)
            if times != 1 or len(fate.started) + fate.withdrawn != 1 or (fate.started and fate.end is None):
                yield f"{id_}: prompt {prompt_id} was accepted {times} times, its fate is {fate}"
            elif fate.delivered:
                message_id = fate.started[0].message_id
                texts = [part for part in store.parts.get(message_id, ()) if part["type"] == "text"]
                if message_id not in store.messages or len(texts) != 1:
                    yield f"{id_}: {prompt_id} was delivered as {message_id}; OpenCode has {len(texts)} texts of it"
                elif texts[0]["text"] != fate.accepted[0].text:
                    yield f"{id_}: OpenCode has another text of {message_id}"


def _unknown_messages(sessions: dict[str, list[Any]], store: Store) -> Iterator[str]:
    """OpenCode holds no prompt that the log knows nothing of."""
    for stream in sessions.values():
        known = {e.message_id for e in stream if isinstance(e, TurnStarted)}
        for message_id, session_id, text in store.prompts():
            if session_id == stream[0].opencode_id and message_id not in known:
                yield f"{session_id}: OpenCode has {message_id}, which Fleet never sent: {text[:80]!r}"


# ------------------------------------------------------------------------------------------------- callbacks, statuses


def _callbacks(sessions: dict[str, list[Any]]) -> Iterator[str]:
    """Each callback stands once in the parent's log; outcomes after which a child rested are reported once."""
    for id_, stream in sessions.items():
        parent = stream[0].settings.parent_id
        if parent is None:
            continue
        told: list[CallbackOrdered] = [e for e in stream if isinstance(e, CallbackOrdered)]
        delivered = Counter(e.number for e in stream if isinstance(e, CallbackDelivered))
        for callback in told:
            name = f"callback:{id_}:{callback.number}"
            there = [e for e in sessions[parent] if isinstance(e, PromptAccepted) and e.prompt_id == name]
            if len(there) != 1 or delivered[callback.number] != 1:
                yield f"{name} was delivered {delivered[callback.number]} times; its parent has it {len(there)} times"
            elif not there[0].text.startswith(callback.text):
                yield f"{name} reached its parent with another text"
        yield from _told_once(id_, stream)


def _told_once(id_: str, stream: Sequence[Any]) -> Iterator[str]:
    """Between two callbacks lies a prompt, and after the last prompt comes a callback with the true outcome."""
    owed = True
    outcome = ""
    for event in stream:
        if isinstance(event, PromptAccepted):
            owed = True
        elif isinstance(event, TurnEnded):
            outcome = event.outcome
        elif isinstance(event, TurnFailed | ProvisionFailed):
            outcome = "error"
        elif isinstance(event, SessionStopped):
            outcome = "stopped"
        elif isinstance(event, CallbackOrdered):
            if not owed:
                yield f"{id_}: callback {event.number} tells of nothing new"
            if event.outcome != outcome:
                yield f"{id_}: callback {event.number} says {event.outcome}; it was {outcome}"
            owed = False
    if owed and any(isinstance(e, PromptAccepted) for e in stream):
        yield f"{id_}: the parent never heard of the last outcome"


def _statuses(ledger: Ledger, sessions: dict[str, list[Any]]) -> Iterator[str]:
    """All sessions were at rest when the server ended in order: they are completed, and none is missing."""
    for id_, name in ledger.sessions.items():
        if id_ in ledger.erased:
            if id_ in sessions:
                yield f"{name} was deleted for good, and its events can be read"
        elif id_ not in sessions:
            yield f"{name} is not in the log"
        else:
            phases = (SessionCompleted, SessionDisconnected, SessionStopped, TurnEnded)
            last = [e for e in sessions[id_] if isinstance(e, phases)][-1:]
            if not last or not isinstance(last[0], SessionCompleted):
                yield f"{name} was idle at the end, and the log's last word is {last}"


# -------------------------------------------------------------------------------------------------------- files, places


def _git(project: Path, *arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=project, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def _files(project: Path, events: Sequence[Recorded], store: Store) -> Iterator[str]:
    """Every file that OpenCode says an agent wrote is there, or in a commit under refs/fleet/."""
    kept: set[str] = set()
    for ref in _git(project, "for-each-ref", "--format=%(refname)", "refs/fleet/"):
        for commit in _git(project, "rev-list", ref):
            kept.update(_git(project, "ls-tree", "-r", "--name-only", commit))
    for id_, parts in store.parts.items():
        for part in parts:
            if part["type"] == "tool" and part["tool"] == "write" and part["state"]["status"] == "completed":
                path = Path(part["state"]["input"]["filePath"])
                directory = store.directories[store.messages[id_]["sessionID"]]
                path = Path(directory) / path
                if not path.exists() and str(path.relative_to(directory)) not in kept:
                    yield f"{path} was written and is neither there nor under refs/fleet/"


def _workspaces(server: Victim, project: Path, events: Sequence[Recorded]) -> Iterator[str]:
    """Worktrees, directories and the log agree."""
    directories: dict[str, str] = {}
    there: dict[str, bool] = {}
    for recorded in events:
        event, id_ = recorded.event, recorded.stream.partition("-")[2]
        if isinstance(event, WorkspaceRequested) and event.spec.strategy != "existing":
            directories[id_] = event.spec.directory
        elif isinstance(event, WorkspaceReady | WorkspaceRestored):
            there[id_] = True
        elif isinstance(event, WorkspaceRemoved | WorkspaceFailed):
            there[id_] = False
    expected = {directories[id_] for id_, is_there in there.items() if is_there and id_ in directories}
    for id_ in set(directories) - set(there):
        yield f"workspace {id_} was requested, and nothing came of it"
    for directory in expected:
        if not Path(directory, ".git").exists():
            yield f"workspace {directory} should be there and is not"
    listed = {line.removeprefix("worktree ") for line in _git(project, "worktree", "list", "--porcelain")}
    worktrees = {line for line in listed if line.startswith(str(server.data))}
    for directory in worktrees - expected:
        yield f"git lists the worktree {directory}, which no workspace accounts for"
    found = {str(path.parent) for path in (server.data / "workspaces").glob("*/*/.git")}
    for directory in found - expected:
        yield f"the directory {directory} belongs to no workspace that is there"


def _processes(server: Victim, events: Sequence[Recorded]) -> Iterator[str]:
    """Nothing lives on: by the marker, by the working directory, by the identities in the log."""
    for process in server.marked():
        yield f"process {process} is left"
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(server.root)):
                yield f"process {process} still works in {process.cwd()}"
        except psutil.Error:
            continue
    spawned = {r.event.identity.pid: r.stream for r in events if isinstance(r.event, InstanceSpawned)}
    closed = {r.stream for r in events if isinstance(r.event, InstanceStopped | RemnantsKilled)}
    for pid, stream in spawned.items():
        if stream not in closed:
            yield f"{stream} (pid {pid}) was spawned, and the log does not say that it is gone"
