"""The catalog of event names in the log. A name that was used once never gets another meaning.

`ON_FULL_DISK` lists the events that are accepted when the disk is full.

To add an event, write its class in fleet/core and name it here. To change one, raise its schema, add an upcaster
(registry.py), and add a log with the old schema to the test histories.
"""

from typing import Any, Final

from fleet.core import hosts, server, trust
from fleet.core import stored_responses as answers
from fleet.core import workspace_roots as roots
from fleet.core.instance import events as instance_events
from fleet.core.session import events as session_events
from fleet.core.session import turn_events as session_turn_events
from fleet.core.webhook import events as webhook_events
from fleet.core.workspace import events as workspace_events
from fleet.events.registry import EventRegistry

NAMES: Final[dict[str, type[Any]]] = {
    "session.created": session_events.SessionCreated,
    "session.edited": session_events.SessionEdited,
    "session.workspace-attached": session_events.WorkspaceAttached,
    "session.setup-held": session_events.SetupHeld,
    "session.setup-started": session_events.SetupStarted,
    "session.setup-output": session_events.SetupOutput,
    "session.setup-ended": session_events.SetupEnded,
    "session.setup-skipped": session_events.SetupSkipped,
    "session.instance-attached": session_events.InstanceAttached,
    "session.conversation-opened": session_events.ConversationOpened,
    "session.resume-requested": session_events.ResumeRequested,
    "session.resumed": session_events.SessionResumed,
    "session.provision-failed": session_events.ProvisionFailed,
    "session.provision-delayed": session_events.ProvisionDelayed,
    "session.prompt-accepted": session_turn_events.PromptAccepted,
    "session.prompt-withdrawn": session_turn_events.PromptWithdrawn,
    "session.prompt-edited": session_turn_events.PromptEdited,
    "session.turn-started": session_turn_events.TurnStarted,
    "session.turn-steered": session_turn_events.TurnSteered,
    "session.prompt-delivered": session_turn_events.PromptDelivered,
    "session.message-recorded": session_turn_events.MessageRecorded,
    "session.part-recorded": session_turn_events.PartRecorded,
    "session.turn-snapshot-taken": session_turn_events.TurnSnapshotTaken,
    "session.changes-recorded": session_turn_events.ChangesRecorded,
    "session.request-opened": session_turn_events.RequestOpened,
    "session.request-answered": session_turn_events.RequestAnswered,
    "session.request-closed": session_turn_events.RequestClosed,
    "session.turn-delayed": session_turn_events.TurnDelayed,
    "session.turn-continued": session_turn_events.TurnContinued,
    "session.abort-requested": session_turn_events.AbortRequested,
    "session.turn-ended": session_turn_events.TurnEnded,
    "session.turn-failed": session_turn_events.TurnFailed,
    "session.settled": session_events.SessionSettled,
    "session.instance-detaching": session_events.InstanceDetaching,
    "session.completed": session_events.SessionCompleted,
    "session.instance-detached": session_events.InstanceDetached,
    "session.disconnected": session_events.SessionDisconnected,
    "session.stop-requested": session_events.StopRequested,
    "session.stopped": session_events.SessionStopped,
    "session.erased": session_events.SessionErased,
    "session.callback-ordered": session_events.CallbackOrdered,
    "session.callback-delivered": session_events.CallbackDelivered,
    "session.callback-undelivered": session_events.CallbackUndelivered,
    "session.callback-dropped": session_events.CallbackDropped,
    "session.budget-set": session_events.BudgetSet,
    "session.budget-exceeded": session_events.BudgetExceeded,
    "session.notifications-read": session_events.NotificationsRead,
    "instance.requested": instance_events.InstanceRequested,
    "instance.session-attached": instance_events.SessionAttached,
    "instance.session-detached": instance_events.SessionDetached,
    "instance.spawned": instance_events.InstanceSpawned,
    "instance.ready": instance_events.InstanceReady,
    "instance.start-failed": instance_events.InstanceStartFailed,
    "instance.unreachable": instance_events.InstanceUnreachable,
    "instance.reachable": instance_events.InstanceReachable,
    "instance.lost": instance_events.InstanceLost,
    "instance.stop-requested": instance_events.InstanceStopRequested,
    "instance.stopped": instance_events.InstanceStopped,
    "instance.remnants-killed": instance_events.RemnantsKilled,
    "instance.permission-allowed": instance_events.PermissionAllowed,
    "instance.permission-rules-read": instance_events.PermissionRulesRead,
    "workspace.requested": workspace_events.WorkspaceRequested,
    "workspace.claimed": workspace_events.WorkspaceClaimed,
    "workspace.ready": workspace_events.WorkspaceReady,
    "workspace.failed": workspace_events.WorkspaceFailed,
    "workspace.rebound": workspace_events.WorkspaceRebound,
    "workspace.relocated": workspace_events.WorkspaceRelocated,
    "workspace.moved": workspace_events.WorkspaceMoved,
    "workspace.leftovers-removed": workspace_events.LeftoversRemoved,
    "workspace.looked-at": workspace_events.WorkspaceLookedAt,
    "workspace.released": workspace_events.WorkspaceReleased,
    "workspace.removal-requested": workspace_events.WorkspaceRemovalRequested,
    "workspace.work-preserved": workspace_events.WorkPreserved,
    "workspace.work-saved": workspace_events.WorkSaved,
    "workspace.edited": workspace_events.WorkspaceEdited,
    "workspace.ports-leased": workspace_events.PortsLeased,
    "workspace.set-up": workspace_events.WorkspaceSetUp,
    "workspace.torn-down": workspace_events.WorkspaceTornDown,
    "workspace.removed": workspace_events.WorkspaceRemoved,
    "workspace.removal-failed": workspace_events.WorkspaceRemovalFailed,
    "workspace.restore-requested": workspace_events.WorkspaceRestoreRequested,
    "workspace.restored": workspace_events.WorkspaceRestored,
    "workspace.restore-failed": workspace_events.WorkspaceRestoreFailed,
    "workspace.erased": workspace_events.WorkspaceErased,
    "workspace-root.added": roots.WorkspaceRootAdded,
    "workspace-root.removed": roots.WorkspaceRootRemoved,
    "trust.allowed": trust.RecipeAllowed,
    "trust.revoked": trust.TrustRevoked,
    "host.seen": hosts.HostSeen,
    "host.silent": hosts.HostSilent,
    "host.lost": hosts.HostLost,
    "host.returned": hosts.HostReturned,
    "host.draining": hosts.HostDraining,
    "host.undrained": hosts.HostUndrained,
    "engine.lost": hosts.EngineLost,
    "engine.back": hosts.EngineBack,
    "server.started": server.ServerStarted,
    "server.stopped": server.ServerStopped,
    "server.crashed": server.ServerCrashed,
    "server.requests-refused": server.RequestsRefused,
    "server.log-verified": server.LogVerified,
    "server.log-exported": server.LogExported,
    "server.backup-made": server.BackupMade,
    "token.made": server.TokenMade,
    "token.revoked": server.TokenRevoked,
    "token.expired": server.TokenExpired,
    "http-response.stored": answers.ResponseStored,
    "webhook.registered": webhook_events.WebhookRegistered,
    "webhook.enabled": webhook_events.WebhookEnabled,
    "webhook.disabled": webhook_events.WebhookDisabled,
    "webhook.deleted": webhook_events.WebhookDeleted,
    "webhook.cursor-advanced": webhook_events.CursorAdvanced,
    "webhook.delivery-ordered": webhook_events.DeliveryOrdered,
    "webhook.delivery-succeeded": webhook_events.DeliverySucceeded,
    "webhook.delivery-failed": webhook_events.DeliveryFailed,
    "webhook.delivery-dropped": webhook_events.DeliveryDropped,
}

ON_FULL_DISK: Final = frozenset(
    {
        "session.provision-failed",
        "session.prompt-withdrawn",
        "session.prompt-delivered",
        "session.request-closed",
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
        "session.budget-exceeded",
        "session.callback-ordered",
        "session.callback-dropped",
        "instance.session-detached",
        "instance.start-failed",
        "instance.lost",
        "instance.stop-requested",
        "instance.stopped",
        "instance.remnants-killed",
        "workspace.failed",
        "workspace.released",
        "workspace.removal-requested",
        "workspace.work-preserved",
        "workspace.torn-down",
        "workspace.removed",
        "workspace.leftovers-removed",
        "workspace.removal-failed",
        "workspace.erased",
        "host.silent",
        "host.lost",
        "server.started",
        "server.stopped",
        "server.crashed",
        "token.revoked",
        "http-response.stored",
        "webhook.disabled",
        "webhook.deleted",
    }
)
"""These events end something, free space, record the response to such a request, or come in one append with them.

All of them are small. `prompt-delivered` is here because a turn can be aborted only once it is followed.
"""


def make_registry() -> EventRegistry:
    """Return a registry of all of Fleet's events."""
    registry = EventRegistry()
    for name, event in NAMES.items():
        registry.register(event, name, on_full_disk=name in ON_FULL_DISK)
    return registry
