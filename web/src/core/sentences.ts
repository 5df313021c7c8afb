/**
 * Each event of the log as one sentence: what happened, for a person who did not see it.
 *
 * The table has a row for every type of event that the server has; a type that is missing is an error of the compiler. An event of a
 * newer server, or one that was erased, still gets a sentence.
 */
import type { EventData, EventType, LoggedEvent } from "../wire/events.ts";
import { list, record, text } from "../wire/opencode.ts";
import { baseName, bytes, counted, duration, lastLine, oneLine } from "./text.ts";

type Table = { readonly [Type in EventType]: (data: EventData[Type]) => string };

const TEXT_MAX = 120;

function quoted(text: string): string {
  return `"${oneLine(text, TEXT_MAX)}"`;
}

function short(id: string): string {
  return id.length > 12 ? id.slice(0, 8) : id;
}

function budget(value: EventData["session.budget-set"]["budget"]): string {
  if (!value) return "no limit";
  const parts = [
    value.usd == null ? "" : `$${value.usd}`,
    value.tokens == null ? "" : counted(value.tokens, "token"),
    value.minutes == null ? "" : counted(value.minutes, "minute"),
  ];
  return parts.filter(Boolean).join(", ") || "no limit";
}

function answer(value: EventData["session.request-answered"]["answer"]): string {
  if (value.answers) return value.answers.map(each => each.join(", ")).join("; ");
  const words = { once: "allowed once", always: "allowed always", reject: "rejected" } as const;
  const how = value.reply ? words[value.reply] : "answered";
  return value.message ? `${how}: ${oneLine(value.message, TEXT_MAX)}` : how;
}

function steps(taken: EventData["instance.stopped"]["steps"]): string {
  return taken.map(each => each.step).join(", ") || "no step was needed";
}

const OUTCOMES: Readonly<Record<string, string>> = {
  finished: "finished",
  aborted: "was aborted",
  interrupted: "was interrupted",
  error: "failed",
  stopped: "was stopped",
  disconnected: "lost its process",
};

const COPIED = "copied from the session that was forked";

const REQUESTS = { login: "logins", read: "reads", write: "writes" } as const;

/** How often a caller did it, if the event stands for repetitions. */
function again(data: { readonly count?: number; readonly since_ms?: number | null }): string {
  return data.count == null || data.count === 1 || data.since_ms == null
    ? ""
    : `, ${data.count} times since ${new Date(data.since_ms).toISOString()}`;
}

const SENTENCES: Table = {
  "session.created": data =>
    `The session ${quoted(data.settings.title)} was created in ${oneLine(data.source_directory)} (${data.settings.strategy})`,
  "session.edited": data =>
    `The session was named ${quoted(data.title)}${data.tags.length > 0 ? `, with the tags ${data.tags.join(", ")}` : ""}`,
  "session.workspace-attached": data =>
    `The session works in ${oneLine(data.directory)}${data.branch ? ` on ${oneLine(data.branch)}` : ""}`,
  "session.setup-held": () => "The set-up waits for a person to allow its commands",
  "session.setup-started": () => "The commands of the set-up were started",
  "session.setup-output": data => `The set-up printed: ${oneLine(lastLine(data.text), TEXT_MAX)}`,
  "session.setup-ended": data =>
    data.exit_code === 0 ? "The workspace was set up" : `The set-up failed: ${oneLine(data.detail, TEXT_MAX)}`,
  "session.setup-skipped": () => "The session continues without the set-up",
  "session.instance-attached": data => `The session runs in the process ${short(data.instance_id)}`,
  "session.conversation-opened": () => "OpenCode's conversation is open and accepts prompts",
  "session.resume-requested": data =>
    data.opencode_id ? "A resume with a new conversation was requested" : "A resume was requested",
  "session.resumed": data => `The session was resumed in the process ${short(data.instance_id)}`,
  "session.provision-failed": data => `The session could not start (${data.step}): ${oneLine(data.detail, TEXT_MAX)}`,
  "session.provision-delayed": data => `The start waits (${data.step}): ${oneLine(data.reason, TEXT_MAX)}`,
  "session.prompt-accepted": data =>
    data.command
      ? `The command /${oneLine(data.command)} ${oneLine(data.text, TEXT_MAX)} was accepted`
      : `The prompt ${quoted(data.text)} was accepted`,
  "session.prompt-withdrawn": data => `A prompt was withdrawn from the queue: ${oneLine(data.reason, TEXT_MAX)}`,
  "session.prompt-edited": data => `A waiting prompt was changed to ${quoted(data.text)}`,
  "session.turn-started": data => `Turn ${data.number} began`,
  "session.turn-steered": data => `A prompt was sent into turn ${data.number}`,
  "session.prompt-delivered": () => "OpenCode has the prompt",
  "session.message-recorded": data => `A message of the ${data.role} was ${data.copied ? COPIED : "recorded"}`,
  "session.part-recorded": data => (data.copied ? `A part (${data.type}) was ${COPIED}` : part(data.type, data.body)),
  "session.turn-snapshot-taken": data => `A snapshot of the files before turn ${data.number} was taken`,
  "session.step-snapshot-taken": data =>
    `A snapshot of the files in turn ${data.number} was taken after a call of ${oneLine(data.tool, TEXT_MAX)}`,
  "session.changes-recorded": data =>
    `Turn ${data.number} ended with ${counted(data.totals.files ?? 0, "changed file")} in all: +${data.totals.additions ?? 0} −${data.totals.deletions ?? 0}`,
  "session.request-opened": data =>
    data.kind === "permission"
      ? `The agent asked for a permission: ${asked(data.body)}`
      : `The agent asked a question: ${asked(data.body)}`,
  "session.request-answered": data => `The request was ${answer(data.answer)}`,
  "session.request-closed": () => "The request is closed",
  "session.turn-continued": () => "The turn continues",
  "session.turn-delayed": data =>
    data.reason === ""
      ? "The turn makes progress again"
      : `The turn makes no progress: ${oneLine(data.reason, TEXT_MAX)}`,
  "session.abort-requested": data => `An abort of turn ${data.number} was requested`,
  "session.turn-ended": data => `Turn ${data.number} ${OUTCOMES[data.outcome] ?? data.outcome}`,
  "session.turn-failed": data => `Turn ${data.number} failed: ${oneLine(data.detail, TEXT_MAX)}`,
  "session.settled": data => `After the resume, no work was left: ${oneLine(data.evidence, TEXT_MAX)}`,
  "session.instance-detaching": data =>
    `The session is leaving the process ${short(data.instance_id)}: ${oneLine(data.evidence, TEXT_MAX)}`,
  "session.completed": data => `The session completed: ${oneLine(data.evidence, TEXT_MAX)}`,
  "session.instance-detached": data => `The session was detached from the process ${short(data.instance_id)}`,
  "session.disconnected": data => `The session lost its process: ${oneLine(data.evidence, TEXT_MAX)}`,
  "session.stop-requested": () => "A stop of the session was requested",
  "session.stopped": data => `The session was stopped: ${oneLine(data.evidence, TEXT_MAX)}`,
  "session.erased": () => "The session was erased, with its transcript",
  "session.callback-ordered": data => `Its parent will be notified that it ${OUTCOMES[data.outcome] ?? data.outcome}`,
  "session.callback-delivered": () => "Its parent was notified",
  "session.callback-undelivered": data => `Its parent could not be notified: ${oneLine(data.reason, TEXT_MAX)}`,
  "session.callback-dropped": data => `The message to its parent was dropped: ${oneLine(data.reason, TEXT_MAX)}`,
  "session.callbacks-erased": () => "A child was erased, and with it what it had reported to the session",
  "session.budget-set": data => `Its budget is ${budget(data.budget)}`,
  "session.budget-exceeded": data => `Its budget is used up: ${oneLine(data.what, TEXT_MAX)}`,
  "session.notifications-read": data => `Read notifications of the session: ${data.numbers.length}`,

  "instance.requested": data => `An OpenCode process was requested for ${oneLine(data.directory)}`,
  "instance.session-attached": data => `The session ${short(data.session_id)} was attached to the process`,
  "instance.session-detached": data => `The session ${short(data.session_id)} was detached from the process`,
  "instance.spawned": data => `The process was started with pid ${data.identity.pid}`,
  "instance.ready": data =>
    `The process is ready${data.endpoint.version ? ` (OpenCode ${oneLine(data.endpoint.version)})` : ""}`,
  "instance.start-failed": data => `The process did not start: ${oneLine(data.detail, TEXT_MAX)}`,
  "instance.unreachable": data => `The process does not respond: ${oneLine(data.evidence, TEXT_MAX)}`,
  "instance.reachable": () => "The process responds again",
  "instance.lost": data => `The process is gone: ${oneLine(data.evidence, TEXT_MAX)}`,
  "instance.stop-requested": data => `A stop of the process was requested: ${data.reason}`,
  "instance.stopped": data => `The process has stopped: ${steps(data.steps)}`,
  "instance.permission-allowed": data =>
    `${oneLine(data.permission)} is allowed in ${oneLine(data.directory)} until the process ends: ${oneLine(data.patterns.join(", "), TEXT_MAX)}`,
  "instance.permission-rules-read": data =>
    `The process asks for permissions in ${oneLine(data.directory)} by the rules of ${oneLine(data.agents.map(each => each.name).join(", "), TEXT_MAX)}`,
  "instance.remnants-killed": data => `Remaining processes were killed: ${steps(data.steps)}`,

  "workspace.requested": data =>
    `A workspace was requested: ${data.order.strategy} of ${oneLine(data.order.source_directory)}`,
  "workspace.claimed": data => `The session ${short(data.session_id)} uses the workspace`,
  "workspace.ready": data => `The workspace is ready in ${oneLine(data.prepared.directory)}`,
  "workspace.failed": data => `The workspace could not be created: ${oneLine(data.detail, TEXT_MAX)}`,
  "workspace.rebound": data => `The repository of the workspace is in ${oneLine(data.source_directory)} now`,
  "workspace.relocated": data => `The workspace is in ${oneLine(data.order.directory)} in the restored Fleet`,
  "workspace.looked-at": data =>
    data.fault === "missing"
      ? "The directory of the workspace is missing"
      : data.fault === "cut_off"
        ? "git cannot find the repository of the workspace any more"
        : "The workspace is complete again",
  "workspace.released": data => `The session ${short(data.session_id)} does not use the workspace any more`,
  "workspace.removal-requested": () => "The removal of the workspace was requested",
  "workspace.work-preserved": data =>
    data.kept.ref
      ? `Work that existed only in the workspace is kept as ${oneLine(data.kept.ref)}`
      : "Nothing in the workspace had to be kept",
  "workspace.work-saved": data =>
    data.saved.ref == null
      ? "The other host had no work that is not here"
      : `The work on the other host is saved here as ${data.saved.ref}`,
  "workspace.edited": data =>
    data.title ? `The workspace was named ${quoted(data.title)}` : "The workspace has no title any more",
  "workspace.ports-leased": data => `The workspace has the ports ${data.first} to ${data.first + data.count - 1}`,
  "workspace.set-up": data => (data.complete ? "The workspace was set up" : "The set-up of the workspace began"),
  "workspace.torn-down": data =>
    data.exit_code === 0
      ? "The teardown of the workspace succeeded"
      : `The teardown of the workspace failed: ${oneLine(data.detail, TEXT_MAX)}`,
  "workspace.moved": data =>
    `The workspace moves to the host ${oneLine(data.order.host ?? "local")}: ${oneLine(data.evidence, TEXT_MAX)}`,
  "workspace.leftovers-removed": data =>
    data.kept?.ref
      ? `The directory on the host ${oneLine(data.host)} was removed; its newer work is kept as ${oneLine(data.kept.ref)}`
      : `The directory on the host ${oneLine(data.host)} was removed; it had no newer work`,
  "workspace.removed": data =>
    data.left
      ? "The workspace was removed; its directory is removed when its host comes back"
      : "The workspace was removed",
  "workspace.removal-failed": data => `The workspace could not be removed: ${oneLine(data.detail, TEXT_MAX)}`,
  "workspace.restore-requested": () => "The restore of the workspace was requested",
  "workspace.restored": () => "The workspace was restored",
  "workspace.restore-failed": data => `The workspace could not be restored: ${oneLine(data.detail, TEXT_MAX)}`,
  "workspace.erased": () => "The workspace was erased",

  "workspace-root.added": data => `Sessions may only work below ${oneLine(data.path)} and other chosen roots`,
  "workspace-root.removed": data => `The workspace root ${oneLine(data.path)} was removed`,
  "trust.allowed": data =>
    `The commands of ${oneLine(data.repository)} were allowed (.fleet.toml ${short(data.recipe.digest)})`,
  "trust.revoked": data => `The commands of ${oneLine(data.repository)} are not allowed any more`,
  "host.seen": data =>
    `The host ${oneLine(data.name)} answered: ${data.facts.cpus} cores, ${bytes(data.facts.memory_bytes)}, Fleet ${oneLine(data.facts.version)}`,
  "host.silent": data => `The host ${oneLine(data.name)} does not answer: ${oneLine(data.evidence, TEXT_MAX)}`,
  "host.lost": data =>
    `The host ${oneLine(data.name)} is lost, no process runs there any more: ${oneLine(data.evidence, TEXT_MAX)}`,
  "host.returned": data => `The host ${oneLine(data.name)} answers again`,
  "host.draining": data => `The host ${oneLine(data.name)} was drained: no further sessions are placed there`,
  "host.undrained": data => `The host ${oneLine(data.name)} takes sessions again`,
  "engine.lost": data => `The engine of the hosts does not answer: ${oneLine(data.evidence, TEXT_MAX)}`,
  "engine.back": () => "The engine of the hosts answers again",
  "server.started": data =>
    `The server started: Fleet ${oneLine(data.version)}, configuration ${oneLine(data.configuration).slice(0, 8)}` +
    (data.contradicted_head == null ? "" : `; the log is not the one of the signed head ${data.contradicted_head}`),
  "server.stopped": () => "The server stopped normally",
  "server.crashed": data => `The server (Fleet ${oneLine(data.version)}) did not stop normally`,
  "server.requests-refused": data =>
    `Refused ${REQUESTS[data.request]} of ${data.actor ? oneLine(data.actor) : "clients without access"}: ${data.count} (${oneLine(data.code)}${data.reason ? `, ${data.reason}` : ""})`,
  "server.log-verified": data =>
    data.first_break == null
      ? `The log was verified up to event ${data.through}${again(data)}: it is intact`
      : `The log was verified${again(data)}: it is damaged from event ${data.first_break} on`,
  "server.log-exported": data => `The events ${data.after + 1} to ${data.through} were exported${again(data)}`,
  "server.backup-made": data => `The data was backed up to ${oneLine(data.directory)}, up to event ${data.through}`,
  "token.made": data =>
    `The access token ${quoted(data.name)} was made${data.again ? " again, or changed by hand" : ""} (${data.role})`,
  "token.revoked": data => `The access token ${quoted(data.name)} was revoked`,
  "login.link-made": data => `A link that logs in as ${quoted(data.token)} was made${again(data)}`,
  "login.made": data =>
    data.by === "link"
      ? `A browser logged in as ${quoted(data.token)} with a link${again(data)}`
      : `A program began to use the access token ${quoted(data.token)}${again(data)}`,
  "login.ended": data => `A browser of ${quoted(data.token)} was logged out${again(data)}`,
  "token.expired": data => `The access token ${quoted(data.name)} expired`,
  "http-response.stored": data => `The response to a request with an idempotency key was stored: HTTP ${data.status}`,

  "webhook.registered": data => `A webhook to ${oneLine(data.origin)} was registered`,
  "webhook.enabled": () => "The webhook was enabled",
  "webhook.disabled": data => `The webhook was disabled${data.reason ? `: ${oneLine(data.reason, TEXT_MAX)}` : ""}`,
  "webhook.deleted": () => "The webhook was deleted",
  "webhook.cursor-advanced": data => `The webhook has received everything up to event ${data.position}`,
  "webhook.delivery-ordered": data => `A message ${oneLine(data.type)} was queued`,
  "webhook.delivery-succeeded": data => `The message was delivered: HTTP ${data.status} in ${duration(data.took_ms)}`,
  "webhook.delivery-failed": data => `The message was not delivered: ${oneLine(data.detail, TEXT_MAX)}`,
  "webhook.delivery-dropped": data => `The message was dropped: ${oneLine(data.reason, TEXT_MAX)}`,
};

/** Return the sentence of an event. */
export function sentence(event: LoggedEvent): string {
  if (event.erased === true) return `${event.type}: its data was erased`;
  if (!Object.hasOwn(SENTENCES, event.type))
    return `${event.type}: this page is older than the server and does not know this type`;
  try {
    return intact(event);
  } catch {
    return event.type;
  }
}

function intact<Type extends EventType>(event: { readonly type: Type; readonly data: EventData[Type] }): string {
  return SENTENCES[event.type](event.data);
}

function part(type: string, value: unknown): string {
  const body = record(value);
  if (type === "text") return `The text ${quoted(text(body.text))} was finished`;
  if (type !== "tool") return `A part of the transcript (${type}) was finished`;
  const state = record(body.state);
  const input = record(state.input);
  const what = text(input.command) || text(input.filePath) || text(input.pattern) || text(input.description);
  const how = state.status === "error" ? "failed" : "was done";
  return `The tool ${text(body.tool) || "a tool"} ${how}${what && `: ${oneLine(what, TEXT_MAX)}`}`;
}

function asked(value: unknown): string {
  const { metadata, patterns, questions, permission } = record(value);
  if (Array.isArray(questions)) return oneLine(text(record(questions[0]).question), TEXT_MAX);
  const { command, filepath } = record(metadata);
  const what = text(command) || text(filepath) || list(patterns).join(", ");
  return `${oneLine(text(permission))} ${oneLine(what, TEXT_MAX)}`.trim();
}

/** Return what an event's stream is: its kind and the id of what it happened to. */
export function streamOf(stream: string): { readonly kind: string; readonly id: string } {
  const dash = stream.indexOf("-");
  return dash < 0 ? { kind: stream, id: "" } : { kind: stream.slice(0, dash), id: stream.slice(dash + 1) };
}

/** Return who an actor is, in words. */
export function who(actor: string): string {
  const colon = actor.indexOf(":");
  const kind = colon < 0 ? actor : actor.slice(0, colon);
  const name = colon < 0 ? "" : actor.slice(colon + 1);
  switch (kind) {
    case "local":
      return "this machine's user";
    case "token":
      return name;
    case "session":
      return `session ${short(name)}`;
    case "instance":
      return `OpenCode ${short(name)}`;
    case "system":
      return "Fleet";
    default:
      return baseName(actor);
  }
}
