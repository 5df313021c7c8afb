// Made by tools/wire_types.py of the server's OpenAPI document: `make wire` writes it again. Do not edit it.
// made of sha256:3af1e71da79fb5ac81c6e10c0973d7b4323b8f45cb9a77060d49168d9191a0d4
// holds   sha256:51b6396c467244a8a581ecd1ac4b77c2cdc7fcec4439f7d75b3d9e1f7603d914

import type {
  CommandFrame,
  Delta,
  EngineBack,
  EngineLost,
  ErrorFrame,
  EventItem,
  GoneFrame,
  HostDraining,
  HostLost,
  HostReturned,
  HostSeen,
  HostSilent,
  HostUndrained,
  HttpResponseStored,
  InboxFrame,
  InstanceLost,
  InstancePermissionAllowed,
  InstancePermissionRulesRead,
  InstanceReachable,
  InstanceReady,
  InstanceRemnantsKilled,
  InstanceRequested,
  InstanceSessionAttached,
  InstanceSessionDetached,
  InstanceSpawned,
  InstanceStartFailed,
  InstanceStopRequested,
  InstanceStopped,
  InstanceUnreachable,
  ItemFrame,
  ItemsFrame,
  LaggingFrame,
  LiveFrame,
  LoginEnded,
  LoginLinkMade,
  LoginMade,
  PartChanged,
  PingFrame,
  ReplyFrame,
  ServerBackupMade,
  ServerCrashed,
  ServerLogExported,
  ServerLogVerified,
  ServerRequestsRefused,
  ServerStarted,
  ServerStopped,
  SessionAbortRequested,
  SessionBudgetExceeded,
  SessionBudgetSet,
  SessionCallbackDelivered,
  SessionCallbackDropped,
  SessionCallbackOrdered,
  SessionCallbackUndelivered,
  SessionCallbacksErased,
  SessionChangesRecorded,
  SessionCompleted,
  SessionConversationOpened,
  SessionCreated,
  SessionDisconnected,
  SessionEdited,
  SessionErased,
  SessionInstanceAttached,
  SessionInstanceDetached,
  SessionInstanceDetaching,
  SessionMessageRecorded,
  SessionNotificationsRead,
  SessionPartRecorded,
  SessionPromptAccepted,
  SessionPromptDelivered,
  SessionPromptEdited,
  SessionPromptWithdrawn,
  SessionProvisionDelayed,
  SessionProvisionFailed,
  SessionRequestAnswered,
  SessionRequestClosed,
  SessionRequestOpened,
  SessionResumeRequested,
  SessionResumed,
  SessionSettled,
  SessionSetupEnded,
  SessionSetupHeld,
  SessionSetupOutput,
  SessionSetupSkipped,
  SessionSetupStarted,
  SessionStepSnapshotTaken,
  SessionStopRequested,
  SessionStopped,
  SessionTurnContinued,
  SessionTurnDelayed,
  SessionTurnEnded,
  SessionTurnFailed,
  SessionTurnSnapshotTaken,
  SessionTurnStarted,
  SessionTurnSteered,
  SessionWorkspaceAttached,
  SnapshotFrame,
  StatusChanged,
  SubscribeFrame,
  TokenExpired,
  TokenMade,
  TokenRevoked,
  TrustAllowed,
  TrustRevoked,
  UnsubscribeFrame,
  WebhookCursorAdvanced,
  WebhookDeleted,
  WebhookDeliveryDropped,
  WebhookDeliveryFailed,
  WebhookDeliveryOrdered,
  WebhookDeliverySucceeded,
  WebhookDisabled,
  WebhookEnabled,
  WebhookRegistered,
  WorkspaceClaimed,
  WorkspaceEdited,
  WorkspaceErased,
  WorkspaceFailed,
  WorkspaceLeftoversRemoved,
  WorkspaceLookedAt,
  WorkspaceMoved,
  WorkspacePortsLeased,
  WorkspaceReady,
  WorkspaceRebound,
  WorkspaceReleased,
  WorkspaceRelocated,
  WorkspaceRemovalFailed,
  WorkspaceRemovalRequested,
  WorkspaceRemoved,
  WorkspaceRequested,
  WorkspaceRestoreFailed,
  WorkspaceRestoreRequested,
  WorkspaceRestored,
  WorkspaceRootAdded,
  WorkspaceRootRemoved,
  WorkspaceSetUp,
  WorkspaceTornDown,
  WorkspaceWorkPreserved,
  WorkspaceWorkSaved,
} from "./api.ts";

/** What each type of event says, as it was logged: with names in snake_case. */
export interface EventData {
  readonly "session.created": SessionCreated;
  readonly "session.edited": SessionEdited;
  readonly "session.workspace-attached": SessionWorkspaceAttached;
  readonly "session.setup-held": SessionSetupHeld;
  readonly "session.setup-started": SessionSetupStarted;
  readonly "session.setup-output": SessionSetupOutput;
  readonly "session.setup-ended": SessionSetupEnded;
  readonly "session.setup-skipped": SessionSetupSkipped;
  readonly "session.instance-attached": SessionInstanceAttached;
  readonly "session.conversation-opened": SessionConversationOpened;
  readonly "session.resume-requested": SessionResumeRequested;
  readonly "session.resumed": SessionResumed;
  readonly "session.provision-failed": SessionProvisionFailed;
  readonly "session.provision-delayed": SessionProvisionDelayed;
  readonly "session.prompt-accepted": SessionPromptAccepted;
  readonly "session.prompt-withdrawn": SessionPromptWithdrawn;
  readonly "session.prompt-edited": SessionPromptEdited;
  readonly "session.turn-started": SessionTurnStarted;
  readonly "session.turn-steered": SessionTurnSteered;
  readonly "session.prompt-delivered": SessionPromptDelivered;
  readonly "session.message-recorded": SessionMessageRecorded;
  readonly "session.part-recorded": SessionPartRecorded;
  readonly "session.turn-snapshot-taken": SessionTurnSnapshotTaken;
  readonly "session.step-snapshot-taken": SessionStepSnapshotTaken;
  readonly "session.changes-recorded": SessionChangesRecorded;
  readonly "session.request-opened": SessionRequestOpened;
  readonly "session.request-answered": SessionRequestAnswered;
  readonly "session.request-closed": SessionRequestClosed;
  readonly "session.turn-delayed": SessionTurnDelayed;
  readonly "session.turn-continued": SessionTurnContinued;
  readonly "session.abort-requested": SessionAbortRequested;
  readonly "session.turn-ended": SessionTurnEnded;
  readonly "session.turn-failed": SessionTurnFailed;
  readonly "session.settled": SessionSettled;
  readonly "session.instance-detaching": SessionInstanceDetaching;
  readonly "session.completed": SessionCompleted;
  readonly "session.instance-detached": SessionInstanceDetached;
  readonly "session.disconnected": SessionDisconnected;
  readonly "session.stop-requested": SessionStopRequested;
  readonly "session.stopped": SessionStopped;
  readonly "session.erased": SessionErased;
  readonly "session.callback-ordered": SessionCallbackOrdered;
  readonly "session.callback-delivered": SessionCallbackDelivered;
  readonly "session.callback-undelivered": SessionCallbackUndelivered;
  readonly "session.callback-dropped": SessionCallbackDropped;
  readonly "session.callbacks-erased": SessionCallbacksErased;
  readonly "session.budget-set": SessionBudgetSet;
  readonly "session.budget-exceeded": SessionBudgetExceeded;
  readonly "session.notifications-read": SessionNotificationsRead;
  readonly "instance.requested": InstanceRequested;
  readonly "instance.session-attached": InstanceSessionAttached;
  readonly "instance.session-detached": InstanceSessionDetached;
  readonly "instance.spawned": InstanceSpawned;
  readonly "instance.ready": InstanceReady;
  readonly "instance.start-failed": InstanceStartFailed;
  readonly "instance.unreachable": InstanceUnreachable;
  readonly "instance.reachable": InstanceReachable;
  readonly "instance.lost": InstanceLost;
  readonly "instance.stop-requested": InstanceStopRequested;
  readonly "instance.stopped": InstanceStopped;
  readonly "instance.remnants-killed": InstanceRemnantsKilled;
  readonly "instance.permission-allowed": InstancePermissionAllowed;
  readonly "instance.permission-rules-read": InstancePermissionRulesRead;
  readonly "workspace.requested": WorkspaceRequested;
  readonly "workspace.claimed": WorkspaceClaimed;
  readonly "workspace.ready": WorkspaceReady;
  readonly "workspace.failed": WorkspaceFailed;
  readonly "workspace.rebound": WorkspaceRebound;
  readonly "workspace.relocated": WorkspaceRelocated;
  readonly "workspace.moved": WorkspaceMoved;
  readonly "workspace.leftovers-removed": WorkspaceLeftoversRemoved;
  readonly "workspace.looked-at": WorkspaceLookedAt;
  readonly "workspace.released": WorkspaceReleased;
  readonly "workspace.removal-requested": WorkspaceRemovalRequested;
  readonly "workspace.work-preserved": WorkspaceWorkPreserved;
  readonly "workspace.work-saved": WorkspaceWorkSaved;
  readonly "workspace.edited": WorkspaceEdited;
  readonly "workspace.ports-leased": WorkspacePortsLeased;
  readonly "workspace.set-up": WorkspaceSetUp;
  readonly "workspace.torn-down": WorkspaceTornDown;
  readonly "workspace.removed": WorkspaceRemoved;
  readonly "workspace.removal-failed": WorkspaceRemovalFailed;
  readonly "workspace.restore-requested": WorkspaceRestoreRequested;
  readonly "workspace.restored": WorkspaceRestored;
  readonly "workspace.restore-failed": WorkspaceRestoreFailed;
  readonly "workspace.erased": WorkspaceErased;
  readonly "workspace-root.added": WorkspaceRootAdded;
  readonly "workspace-root.removed": WorkspaceRootRemoved;
  readonly "trust.allowed": TrustAllowed;
  readonly "trust.revoked": TrustRevoked;
  readonly "host.seen": HostSeen;
  readonly "host.silent": HostSilent;
  readonly "host.lost": HostLost;
  readonly "host.returned": HostReturned;
  readonly "host.draining": HostDraining;
  readonly "host.undrained": HostUndrained;
  readonly "engine.lost": EngineLost;
  readonly "engine.back": EngineBack;
  readonly "server.started": ServerStarted;
  readonly "server.stopped": ServerStopped;
  readonly "server.crashed": ServerCrashed;
  readonly "server.requests-refused": ServerRequestsRefused;
  readonly "server.log-verified": ServerLogVerified;
  readonly "server.log-exported": ServerLogExported;
  readonly "server.backup-made": ServerBackupMade;
  readonly "token.made": TokenMade;
  readonly "token.revoked": TokenRevoked;
  readonly "token.expired": TokenExpired;
  readonly "login.link-made": LoginLinkMade;
  readonly "login.made": LoginMade;
  readonly "login.ended": LoginEnded;
  readonly "http-response.stored": HttpResponseStored;
  readonly "webhook.registered": WebhookRegistered;
  readonly "webhook.enabled": WebhookEnabled;
  readonly "webhook.disabled": WebhookDisabled;
  readonly "webhook.deleted": WebhookDeleted;
  readonly "webhook.cursor-advanced": WebhookCursorAdvanced;
  readonly "webhook.delivery-ordered": WebhookDeliveryOrdered;
  readonly "webhook.delivery-succeeded": WebhookDeliverySucceeded;
  readonly "webhook.delivery-failed": WebhookDeliveryFailed;
  readonly "webhook.delivery-dropped": WebhookDeliveryDropped;
}

export type EventType = keyof EventData;

/** All types of events, in the order of the server's catalog. */
export const EVENT_TYPES: readonly EventType[] = [
  "session.created",
  "session.edited",
  "session.workspace-attached",
  "session.setup-held",
  "session.setup-started",
  "session.setup-output",
  "session.setup-ended",
  "session.setup-skipped",
  "session.instance-attached",
  "session.conversation-opened",
  "session.resume-requested",
  "session.resumed",
  "session.provision-failed",
  "session.provision-delayed",
  "session.prompt-accepted",
  "session.prompt-withdrawn",
  "session.prompt-edited",
  "session.turn-started",
  "session.turn-steered",
  "session.prompt-delivered",
  "session.message-recorded",
  "session.part-recorded",
  "session.turn-snapshot-taken",
  "session.step-snapshot-taken",
  "session.changes-recorded",
  "session.request-opened",
  "session.request-answered",
  "session.request-closed",
  "session.turn-delayed",
  "session.turn-continued",
  "session.abort-requested",
  "session.turn-ended",
  "session.turn-failed",
  "session.settled",
  "session.instance-detaching",
  "session.completed",
  "session.instance-detached",
  "session.disconnected",
  "session.stop-requested",
  "session.stopped",
  "session.erased",
  "session.callback-ordered",
  "session.callback-delivered",
  "session.callback-undelivered",
  "session.callback-dropped",
  "session.callbacks-erased",
  "session.budget-set",
  "session.budget-exceeded",
  "session.notifications-read",
  "instance.requested",
  "instance.session-attached",
  "instance.session-detached",
  "instance.spawned",
  "instance.ready",
  "instance.start-failed",
  "instance.unreachable",
  "instance.reachable",
  "instance.lost",
  "instance.stop-requested",
  "instance.stopped",
  "instance.remnants-killed",
  "instance.permission-allowed",
  "instance.permission-rules-read",
  "workspace.requested",
  "workspace.claimed",
  "workspace.ready",
  "workspace.failed",
  "workspace.rebound",
  "workspace.relocated",
  "workspace.moved",
  "workspace.leftovers-removed",
  "workspace.looked-at",
  "workspace.released",
  "workspace.removal-requested",
  "workspace.work-preserved",
  "workspace.work-saved",
  "workspace.edited",
  "workspace.ports-leased",
  "workspace.set-up",
  "workspace.torn-down",
  "workspace.removed",
  "workspace.removal-failed",
  "workspace.restore-requested",
  "workspace.restored",
  "workspace.restore-failed",
  "workspace.erased",
  "workspace-root.added",
  "workspace-root.removed",
  "trust.allowed",
  "trust.revoked",
  "host.seen",
  "host.silent",
  "host.lost",
  "host.returned",
  "host.draining",
  "host.undrained",
  "engine.lost",
  "engine.back",
  "server.started",
  "server.stopped",
  "server.crashed",
  "server.requests-refused",
  "server.log-verified",
  "server.log-exported",
  "server.backup-made",
  "token.made",
  "token.revoked",
  "token.expired",
  "login.link-made",
  "login.made",
  "login.ended",
  "http-response.stored",
  "webhook.registered",
  "webhook.enabled",
  "webhook.disabled",
  "webhook.deleted",
  "webhook.cursor-advanced",
  "webhook.delivery-ordered",
  "webhook.delivery-succeeded",
  "webhook.delivery-failed",
  "webhook.delivery-dropped",
];

interface Envelope {
  readonly position: number;
  readonly stream: string;
  readonly version: number;
  readonly at: string;
  readonly actor: string;
  readonly causationId?: string | null;
  readonly correlationId?: string | null;
}

type OneOf<Type extends EventType> = Type extends EventType
  ? Envelope & { readonly type: Type; readonly erased?: false; readonly data: EventData[Type] }
  : never;

/** An event whose payload was erased: look at `erased` before you look at `type`. */
export interface ErasedEvent extends Envelope {
  readonly type: EventType;
  readonly erased: true;
  readonly data: object;
}

/** An event with its payload; for `Type`, give one type of event or some. */
export type IntactEvent<Type extends EventType = EventType> = OneOf<Type>;

/** An event as live readers get it. */
export type LoggedEvent = IntactEvent | ErasedEvent;

/** An event as `GET /api/log` gives it: with what led to it. */
export type AuditEvent = LoggedEvent & Pick<EventItem, "causationId" | "correlationId" | "commandId">;

export type Signal = Delta | PartChanged | StatusChanged;

/** A logged event, for a subscription. */
export interface EventFrame {
  readonly type: "event";
  readonly id: string;
  readonly position: number;
  readonly event: LoggedEvent;
}

/** A signal, for a subscription: it is never logged, and may be lost. */
export interface SignalFrame {
  readonly type: "signal";
  readonly id: string;
  readonly signal: Signal;
}

/** All that the server sends over `/api/ws`. */
export type ServerFrame = EventFrame | SignalFrame | SnapshotFrame | ReplyFrame | ErrorFrame | LiveFrame | LaggingFrame | ItemsFrame | ItemFrame | GoneFrame | InboxFrame;

/** All that a client sends over `/api/ws`. */
export type ClientFrame = SubscribeFrame | UnsubscribeFrame | CommandFrame | PingFrame;
