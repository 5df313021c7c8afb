"""Each event of the log as one sentence: what happened, for a person who was not there.

The table has a row for every type of event in fleet/events/catalog.py. The page has such sentences of its own
(web/src/core/sentences.ts).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fleet.core import hosts, server, trust
from fleet.core import stored_responses as responses
from fleet.core import workspace_roots as roots
from fleet.core.instance import events as instance
from fleet.core.session import events as session
from fleet.core.session import turn_events as turn
from fleet.core.session.values import Answer, Budget
from fleet.core.times import rfc3339
from fleet.core.webhook import events as webhook
from fleet.core.workspace import events as workspace
from fleet.events.envelope import Damaged, Erased
from fleet.limits import MIB
from fleet.ports import StopStep
from fleet.projections.opencode_json import nested, record_of

TEXT_CHARS_MAX: Final = 120  # of a prompt or reason in a sentence
SENTENCE_CHARS_MAX: Final = 500

_OUTCOMES: Final[Mapping[str, str]] = {
    "finished": "finished",
    "aborted": "was aborted",
    "interrupted": "was interrupted",
    "error": "failed",
    "stopped": "was stopped",
    "disconnected": "lost its process",
}
_REFUSED: Final[Mapping[str, str]] = {"login": "logins", "read": "reads", "write": "writes"}
_FAULTS: Final[Mapping[str | None, str]] = {
    "missing": "The directory of the workspace is missing",
    "cut_off": "The repository of the workspace is missing",
    None: "The workspace is complete again",
}
_REPLIES: Final[Mapping[str | None, str]] = {
    "once": "allowed once",
    "always": "allowed always",
    "reject": "rejected",
    None: "answered",
}


def cut(text: str, chars_max: int = TEXT_CHARS_MAX) -> str:
    """Return the text on one line, and its beginning where it is longer."""
    line = " ".join(text.split())
    return line if len(line) <= chars_max else f"{line[: chars_max - 1]}…"


def _again(event: server.RepeatedFact) -> str:
    """Return how often it happened, if a caller has repeated it."""
    if event.count == 1 or event.since_ms is None:
        return ""
    return f", {event.count} times since {rfc3339(event.since_ms)}"


def _caller(actor: str | None) -> str:
    return "clients without access" if actor is None else actor.removeprefix("token:")


def _why_refused(event: server.RequestsRefused) -> str:
    return event.code if event.reason is None else f"{event.code}, {event.reason}"


def quoted(text: str) -> str:
    """Return the same in quotation marks."""
    return f'"{cut(text)}"'


def outcome_words(outcome: str) -> str:
    """Return how a turn ended, as a verb."""
    return _OUTCOMES.get(outcome, outcome)


def reply_words(answer: Answer) -> str:
    """Return what an answer decided, as a participle: "allowed once"."""
    if answer.answers is not None:
        return f"answered: {cut(answer.words)}"
    said = _REPLIES.get(answer.reply, str(answer.reply))
    return f"{said}: {cut(answer.message)}" if answer.message else said


def decided_words(answer: Answer) -> str:
    """Return what a person decided with an answer, as a verb: "allowed it once"."""
    said = reply_words(answer)
    verb, _, rest = said.partition(" ")
    return f"{verb} it {rest}" if answer.answers is None and rest and verb == "allowed" else said


def asked_words(body: bytes) -> str:
    """Return what a request asks for: OpenCode's permission with its subject, or the question."""
    asked = record_of(body)
    questions = asked.get("questions")
    if isinstance(questions, list) and questions:
        return cut(str(nested({"first": questions[0]}, "first").get("question", "")))
    about = nested(asked, "metadata")
    subject = about.get("command") or about.get("filepath") or ", ".join(map(str, asked.get("patterns") or ()))
    return cut(f"{asked.get('permission', 'something')} {subject}".strip())


def part_words(kind: str, body: bytes) -> str:
    """Return what a part of the transcript is."""
    part = record_of(body)
    if kind == "text":
        return f"The text {quoted(str(part.get('text', '')))} was finished"
    if kind != "tool":
        return f"A part of the transcript ({kind}) was finished"
    how = "failed" if nested(part, "state").get("status") == "error" else "was used"
    return f"The tool {tool_words(part)} {how}"


def tool_words(part: Mapping[str, Any]) -> str:
    """Return the name of the tool of this part, and what it was used on."""
    given = nested(nested(part, "state"), "input")
    names = ("command", "filePath", "pattern", "description", "url", "query")
    subject = next((str(given[name]) for name in names if given.get(name)), "")
    name = str(part.get("tool") or "?")
    return f"{name} ({cut(subject)})" if subject else name


def _budget(budget: Budget | None) -> str:
    limits = () if budget is None else ((budget.usd, "USD"), (budget.tokens, "tokens"), (budget.minutes, "minutes"))
    return ", ".join(f"{limit:g} {unit}" for limit, unit in limits if limit is not None) or "no limit"


def _steps(steps: Sequence[StopStep]) -> str:
    return ", ".join(step.step.replace("_", " ") for step in steps) or "no step was needed"


def _files(count: int) -> str:
    return f"{count} changed file{'' if count == 1 else 's'}"


def _branch(branch: str | None) -> str:
    return f" on branch {branch}" if branch else ""


def _tags(tags: Sequence[str]) -> str:
    return f", with the tags {', '.join(tags)}" if tags else ""


def _exit(code: int | None, detail: str) -> str:
    return "succeeded" if code == 0 else f"failed: {cut(detail)}"


def _copied(event: turn.MessageRecorded | turn.PartRecorded, otherwise: str) -> str:
    return "copied from the session that was forked" if event.copied else otherwise


SENTENCES: Final[Mapping[type[Any], Callable[[Any], str]]] = {
    session.SessionCreated: lambda e: (
        f"The session {quoted(e.settings.title)} was created in {e.source_directory} ({e.settings.strategy})"
        + ("" if e.settings.origin is None else f", as a fork of session {e.settings.origin.session_id[:13]}")
    ),
    session.SessionEdited: lambda e: f"The session was named {quoted(e.title)}{_tags(e.tags)}",
    session.WorkspaceAttached: lambda e: f"The session works in {e.directory}{_branch(e.branch)}",
    session.SetupHeld: lambda _: "The set-up waits until a person allows its commands",
    session.SetupStarted: lambda _: "The commands of the set-up were started",
    session.SetupOutput: lambda e: f"The set-up printed {quoted(e.text[-TEXT_CHARS_MAX:])}",
    session.SetupEnded: lambda e: f"The set-up {_exit(e.exit_code, e.detail)}",
    session.SetupSkipped: lambda _: "The session continues without the set-up",
    session.InstanceAttached: lambda _: "The session runs in an OpenCode process",
    session.ConversationOpened: lambda _: "OpenCode's conversation is open and accepts prompts",
    session.ResumeRequested: lambda e: f"A resume was requested{', with a new conversation' if e.opencode_id else ''}",
    session.SessionResumed: lambda _: "The session was resumed",
    session.ProvisionFailed: lambda e: f"The session could not start ({e.step}): {cut(e.detail)}",
    session.ProvisionDelayed: lambda e: f"The start of the session waits ({e.step}): {cut(e.reason)}",
    turn.PromptAccepted: lambda e: (
        f"The command /{e.command} {cut(e.text)} was accepted"
        if e.command
        else f"The prompt {quoted(e.text)} was accepted"
    ),
    turn.PromptWithdrawn: lambda e: f"A prompt was withdrawn from the queue: {cut(e.reason)}",
    turn.PromptEdited: lambda e: f"A waiting prompt was changed to {quoted(e.text)}",
    turn.TurnStarted: lambda e: f"Turn {e.number} began",
    turn.TurnSteered: lambda e: f"A prompt was sent into turn {e.number}",
    turn.PromptDelivered: lambda _: "OpenCode received the prompt",
    turn.MessageRecorded: lambda e: f"A message of the {e.role} was {_copied(e, 'recorded')}",
    turn.PartRecorded: lambda e: f"A part ({e.type}) was {_copied(e, '')}" if e.copied else part_words(e.type, e.body),
    turn.TurnSnapshotTaken: lambda e: f"The files before turn {e.number} were recorded",
    turn.StepSnapshotTaken: lambda e: f"The files of turn {e.number} were recorded after a call of {cut(e.tool)}",
    turn.ChangesRecorded: lambda e: (
        f"The changes of turn {e.number} were recorded; the session has {_files(e.totals.files)} now:"
        f" +{e.totals.additions} -{e.totals.deletions}"
    ),
    turn.RequestOpened: lambda e: (
        f"The agent asked {'for permission' if e.kind == 'permission' else 'a question'}: {asked_words(e.body)}"
    ),
    turn.RequestAnswered: lambda e: f"The request was {reply_words(e.answer)}",
    turn.RequestClosed: lambda _: "A request was closed",
    turn.TurnContinued: lambda _: "The turn continues",
    turn.TurnDelayed: lambda e: (
        f"The turn makes no progress: {cut(e.reason)}" if e.reason else "The turn makes progress again"
    ),
    turn.AbortRequested: lambda e: f"An abort of turn {e.number} was requested",
    turn.TurnEnded: lambda e: f"Turn {e.number} {outcome_words(e.outcome)}",
    turn.TurnFailed: lambda e: f"Turn {e.number} failed: {cut(e.detail)}",
    session.SessionSettled: lambda e: f"After the resume, no work was left: {cut(e.evidence)}",
    session.InstanceDetaching: lambda e: f"The session leaves its OpenCode process: {cut(e.evidence)}",
    session.SessionCompleted: lambda e: f"The session completed: {cut(e.evidence)}",
    session.InstanceDetached: lambda _: "The session was detached from its OpenCode process",
    session.SessionDisconnected: lambda e: f"The session lost its OpenCode process: {cut(e.evidence)}",
    session.StopRequested: lambda _: "A stop of the session was requested",
    session.SessionStopped: lambda e: f"The session was stopped: {cut(e.evidence)}",
    session.SessionErased: lambda _: "The session was erased, with its transcript",
    session.CallbackOrdered: lambda e: f"The parent will be notified that the session {outcome_words(e.outcome)}",
    session.CallbackDelivered: lambda _: "The parent was notified",
    session.CallbackUndelivered: lambda e: f"The parent could not be notified: {cut(e.reason)}",
    session.CallbackDropped: lambda e: f"The message to the parent was dropped: {cut(e.reason)}",
    session.CallbacksErased: lambda _: "A child was erased, and with it what it had reported to the session",
    session.BudgetSet: lambda e: f"The budget of the session is {_budget(e.budget)}",
    session.BudgetExceeded: lambda e: f"The budget of the session is used up: {cut(e.what)}",
    session.NotificationsRead: lambda e: f"A person has read notifications of the session: {len(e.numbers)}",
    instance.InstanceRequested: lambda e: f"An OpenCode process was requested for {e.directory}",
    instance.SessionAttached: lambda _: "A session was attached to the process",
    instance.SessionDetached: lambda _: "A session was detached from the process",
    instance.InstanceSpawned: lambda e: f"The process was started with pid {e.identity.pid}",
    instance.InstanceReady: lambda e: (
        f"The process is ready{f' (OpenCode {e.endpoint.version})' if e.endpoint.version else ''}"
    ),
    instance.InstanceStartFailed: lambda e: f"The process did not start: {cut(e.detail)}",
    instance.InstanceUnreachable: lambda e: f"The process does not respond: {cut(e.evidence)}",
    instance.InstanceReachable: lambda _: "The process responds again",
    instance.InstanceLost: lambda e: f"The process has ended unexpectedly: {cut(e.evidence)}",
    instance.InstanceStopRequested: lambda e: f"A stop of the process was requested: {e.reason}",
    instance.InstanceStopped: lambda e: f"The process has stopped: {_steps(e.steps)}",
    instance.RemnantsKilled: lambda e: f"Processes that it left behind were stopped: {_steps(e.steps)}",
    instance.PermissionAllowed: lambda e: (
        f"{e.permission} is allowed in {e.directory} until the process ends: {cut(', '.join(e.patterns))}"
    ),
    instance.PermissionRulesRead: lambda e: (
        f"The process asks for permissions in {e.directory} by the rules of {cut(', '.join(a.name for a in e.agents))}"
    ),
    workspace.WorkspaceRequested: lambda e: (
        f"A workspace was requested: {e.spec.strategy} of {e.spec.source_directory}"
    ),
    workspace.WorkspaceClaimed: lambda _: "A session uses the workspace",
    workspace.WorkspaceReady: lambda e: f"The workspace is ready in {e.prepared.directory}{_branch(e.prepared.branch)}",
    workspace.WorkspaceFailed: lambda e: f"The workspace could not be created: {cut(e.detail)}",
    workspace.WorkspaceLookedAt: lambda e: _FAULTS[e.fault],
    workspace.WorkspaceReleased: lambda _: "A session does not use the workspace any more",
    workspace.WorkspaceRemovalRequested: lambda _: "The removal of the workspace was requested",
    workspace.WorkPreserved: lambda e: (
        f"The work that existed only in the workspace is kept as {e.kept.ref}"
        if e.kept.ref
        else "The workspace had no work that exists nowhere else"
    ),
    workspace.WorkSaved: lambda e: (
        f"The work on the other host is saved here as {e.saved.ref}"
        if e.saved.ref
        else "The other host had no work that is not here"
    ),
    workspace.WorkspaceMoved: lambda e: f"The workspace moves to the host {e.spec.host}: {cut(e.evidence)}",
    workspace.LeftoversRemoved: lambda e: (
        f"The workspace's directory on the host {e.host} was removed; newer work that was found there is kept as"
        f" {e.kept.ref}"
        if e.kept
        else f"The workspace's directory on the host {e.host} was removed; it had no newer work"
    ),
    workspace.WorkspaceRemoved: lambda e: (
        "The workspace was removed; its directory is removed when its host comes back"
        if e.left
        else "The workspace was removed"
    ),
    workspace.WorkspaceRemovalFailed: lambda e: f"The workspace could not be removed: {cut(e.detail)}",
    workspace.WorkspaceEdited: lambda e: (
        f"The workspace was named {quoted(e.title)}" if e.title else "The workspace has no title any more"
    ),
    workspace.PortsLeased: lambda e: f"The workspace has the ports {e.first} to {e.first + e.count - 1}",
    workspace.WorkspaceSetUp: lambda e: (
        "The workspace was set up" if e.complete else "The set-up of the workspace began"
    ),
    workspace.WorkspaceTornDown: lambda e: f"The teardown of the workspace {_exit(e.exit_code, e.detail)}",
    workspace.WorkspaceRelocated: lambda e: f"The workspace is in {e.spec.directory} in the restored Fleet",
    workspace.WorkspaceRebound: lambda e: f"The source of the workspace is in {e.source_directory} now",
    workspace.WorkspaceErased: lambda _: "The workspace was erased with the last of its sessions",
    workspace.WorkspaceRestoreRequested: lambda _: "The restore of the workspace was requested",
    workspace.WorkspaceRestored: lambda _: "The workspace was restored",
    workspace.WorkspaceRestoreFailed: lambda e: f"The workspace could not be restored: {cut(e.detail)}",
    roots.WorkspaceRootAdded: lambda e: f"Sessions may work below {e.path}",
    roots.WorkspaceRootRemoved: lambda e: f"The workspace root {e.path} was removed",
    trust.RecipeAllowed: lambda e: f"The commands of .fleet.toml in {e.repository} were allowed",
    trust.TrustRevoked: lambda e: f"The commands of .fleet.toml in {e.repository} are not allowed any more",
    hosts.HostSeen: lambda e: (
        f"The host {e.name} answered: {e.facts.cpus:g} cores, {e.facts.memory_bytes // MIB} MiB,"
        f" Fleet {e.facts.version}"
    ),
    hosts.HostSilent: lambda e: f"The host {e.name} does not answer: {cut(e.evidence)}",
    hosts.HostLost: lambda e: f"The host {e.name} is lost, no process runs there any more: {cut(e.evidence)}",
    hosts.HostReturned: lambda e: f"The host {e.name} answers again; it was away since {rfc3339(e.away_since_ms)}",
    hosts.HostDraining: lambda e: f"The host {e.name} was drained: no further sessions are placed there",
    hosts.HostUndrained: lambda e: f"The host {e.name} takes sessions again",
    hosts.EngineLost: lambda e: f"The engine of the hosts does not answer: {cut(e.evidence)}",
    hosts.EngineBack: lambda e: f"The engine of the hosts answers again; it was away since {rfc3339(e.away_since_ms)}",
    server.ServerStarted: lambda e: (
        f"The server started: Fleet {e.version}, configuration {e.configuration[:8]}"
        + ("" if e.contradicted_head is None else f"; the log is not the one of the signed head {e.contradicted_head}")
    ),
    server.ServerStopped: lambda _: "The server stopped normally",
    server.ServerCrashed: lambda e: f"The server that started at {rfc3339(e.started_at_ms)} did not stop normally",
    server.TokenMade: lambda e: (
        f"The token {e.name} was made{' again, or changed by hand' if e.again else ''}, for a role of {e.role}"
    ),
    server.TokenRevoked: lambda e: f"The token {e.name} was revoked",
    server.TokenExpired: lambda e: f"The token {e.name} expired",
    server.LoginLinkMade: lambda e: f"A link that logs in as {e.token} was made{_again(e)}",
    server.LoggedIn: lambda e: (
        f"A browser logged in as {e.token} with a link{_again(e)}"
        if e.by == "link"
        else f"A program began to use the token {e.token}{_again(e)}"
    ),
    server.LoggedOut: lambda e: f"A browser of {e.token} was logged out{_again(e)}",
    server.RequestsRefused: lambda e: (
        f"Refused {_REFUSED[e.request]} of {_caller(e.actor)}: {e.count} ({_why_refused(e)})"
    ),
    server.LogVerified: lambda e: (
        f"The log was verified up to {e.through}{_again(e)}: "
        + ("intact" if e.first_break is None else f"damaged from {e.first_break} on")
    ),
    server.LogExported: lambda e: f"The events {e.after + 1} to {e.through} were exported{_again(e)}",
    server.BackupMade: lambda e: f"The data directory was backed up to {e.directory}, up to event {e.through}",
    responses.ResponseStored: lambda e: f"The response to a request with a key was stored: HTTP {e.status}",
    webhook.WebhookRegistered: lambda e: f"A webhook to {e.origin} was registered",
    webhook.WebhookEnabled: lambda _: "The webhook was enabled",
    webhook.WebhookDisabled: lambda e: f"The webhook was disabled: {cut(e.reason)}",
    webhook.WebhookDeleted: lambda _: "The webhook was deleted",
    webhook.CursorAdvanced: lambda e: f"The webhook has all events up to {e.position}",
    webhook.DeliveryOrdered: lambda e: f"A message of type {e.type} is to be sent",
    webhook.DeliverySucceeded: lambda e: f"The receiver accepted the message: HTTP {e.status}",
    webhook.DeliveryFailed: lambda e: f"The message was not delivered: {cut(e.detail)}",
    webhook.DeliveryDropped: lambda e: f"The message was dropped: {cut(e.reason)}",
}


def sentence(kind: str, event: object) -> str:
    """Return the sentence of an event of this type; a type without a row, as of a newer Fleet, is named."""
    if isinstance(event, Damaged):
        return cut(f"This event ({kind}) is damaged: {event.reason}", SENTENCE_CHARS_MAX)
    if isinstance(event, Erased):
        return f"The data of this event ({kind}) was erased"
    told = SENTENCES.get(type(event))
    return kind if told is None else cut(told(event), SENTENCE_CHARS_MAX)
