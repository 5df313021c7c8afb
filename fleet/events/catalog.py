"""The names under which Fleet's events stand in the log. A name, once used, is never given to anything else.

`ON_FULL_DISK` names those that are taken when the disk is full.

To add an event: write its class in fleet/core, give it a name here. To change one: raise its schema and give an
upcaster (registry.py), and keep a log of the old kind among the test histories.
"""

from typing import Any, Final

from fleet.core import answers, roots, trust
from fleet.core.instance import messages as instance
from fleet.core.session import messages as session
from fleet.core.webhook import messages as webhook
from fleet.core.workspace import messages as workspace
from fleet.events.registry import EventRegistry

NAMES: Final[dict[str, type[Any]]] = {
    "session.created": session.SessionCreated,
    "session.described": session.SessionDescribed,
    "session.workspace-attached": session.WorkspaceAttached,
    "session.setup-held": session.SetupHeld,
    "session.setup-started": session.SetupStarted,
    "session.setup-output": session.SetupOutput,
    "session.setup-ended": session.SetupEnded,
    "session.setup-skipped": session.SetupSkipped,
    "session.instance-attached": session.InstanceAttached,
    "session.conversation-opened": session.ConversationOpened,
    "session.resume-requested": session.ResumeRequested,
    "session.resumed": session.SessionResumed,
    "session.provision-failed": session.ProvisionFailed,
    "session.provision-delayed": session.ProvisionDelayed,
    "session.prompt-accepted": session.PromptAccepted,
    "session.prompt-withdrawn": session.PromptWithdrawn,
    "session.prompt-edited": session.PromptEdited,
    "session.turn-started": session.TurnStarted,
    "session.turn-steered": session.TurnSteered,
    "session.prompt-delivered": session.PromptDelivered,
    "session.message-recorded": session.MessageRecorded,
    "session.part-recorded": session.PartRecorded,
    "session.turn-tree-taken": session.TurnTreeTaken,
    "session.changes-recorded": session.ChangesRecorded,
    "session.request-opened": session.RequestOpened,
    "session.request-answered": session.RequestAnswered,
    "session.request-closed": session.RequestClosed,
    "session.turn-delayed": session.TurnDelayed,
    "session.turn-continued": session.TurnContinued,
    "session.abort-requested": session.AbortRequested,
    "session.turn-ended": session.TurnEnded,
    "session.turn-failed": session.TurnFailed,
    "session.settled": session.SessionSettled,
    "session.instance-detached": session.InstanceDetached,
    "session.completed": session.SessionCompleted,
    "session.instance-left": session.InstanceLeft,
    "session.disconnected": session.SessionDisconnected,
    "session.termination-requested": session.TerminationRequested,
    "session.stopped": session.SessionStopped,
    "session.erased": session.SessionErased,
    "session.callback-ordered": session.CallbackOrdered,
    "session.callback-delivered": session.CallbackDelivered,
    "session.callback-undelivered": session.CallbackUndelivered,
    "session.callback-dropped": session.CallbackDropped,
    "session.budget-set": session.BudgetSet,
    "session.budget-exceeded": session.BudgetExceeded,
    "session.notifications-read": session.NotificationsRead,
    "instance.requested": instance.InstanceRequested,
    "instance.session-attached": instance.SessionAttached,
    "instance.session-detached": instance.SessionDetached,
    "instance.spawned": instance.InstanceSpawned,
    "instance.ready": instance.InstanceReady,
    "instance.start-failed": instance.InstanceStartFailed,
    "instance.unreachable": instance.InstanceUnreachable,
    "instance.reachable": instance.InstanceReachable,
    "instance.lost": instance.InstanceLost,
    "instance.stop-requested": instance.InstanceStopRequested,
    "instance.stopped": instance.InstanceStopped,
    "instance.swept": instance.InstanceSwept,
    "instance.permission-allowed": instance.PermissionAllowed,
    "workspace.requested": workspace.WorkspaceRequested,
    "workspace.claimed": workspace.WorkspaceClaimed,
    "workspace.ready": workspace.WorkspaceReady,
    "workspace.failed": workspace.WorkspaceFailed,
    "workspace.rebound": workspace.WorkspaceRebound,
    "workspace.looked-at": workspace.WorkspaceLookedAt,
    "workspace.released": workspace.WorkspaceReleased,
    "workspace.removal-requested": workspace.WorkspaceRemovalRequested,
    "workspace.kept": workspace.WorkspaceKept,
    "workspace.described": workspace.WorkspaceDescribed,
    "workspace.ports-leased": workspace.PortsLeased,
    "workspace.set-up": workspace.WorkspaceSetUp,
    "workspace.torn-down": workspace.WorkspaceTornDown,
    "workspace.removed": workspace.WorkspaceRemoved,
    "workspace.removal-failed": workspace.WorkspaceRemovalFailed,
    "workspace.restore-requested": workspace.WorkspaceRestoreRequested,
    "workspace.restored": workspace.WorkspaceRestored,
    "workspace.restore-failed": workspace.WorkspaceRestoreFailed,
    "roots.chosen": roots.RootChosen,
    "roots.withdrawn": roots.RootWithdrawn,
    "trust.allowed": trust.RecipeAllowed,
    "trust.revoked": trust.TrustRevoked,
    "request.answered": answers.RequestAnswered,
    "webhook.registered": webhook.WebhookRegistered,
    "webhook.enabled": webhook.WebhookEnabled,
    "webhook.disabled": webhook.WebhookDisabled,
    "webhook.deleted": webhook.WebhookDeleted,
    "webhook.progress-noted": webhook.ProgressNoted,
    "webhook.delivery-ordered": webhook.DeliveryOrdered,
    "webhook.delivery-made": webhook.DeliveryMade,
    "webhook.delivery-failed": webhook.DeliveryFailed,
    "webhook.delivery-dropped": webhook.DeliveryDropped,
}

ON_FULL_DISK: Final = frozenset(
    {
        "session.provision-failed",
        "session.prompt-withdrawn",
        "session.request-closed",
        "session.abort-requested",
        "session.turn-ended",
        "session.turn-failed",
        "session.settled",
        "session.instance-detached",
        "session.completed",
        "session.instance-left",
        "session.disconnected",
        "session.termination-requested",
        "session.stopped",
        "session.erased",
        "session.callback-ordered",
        "session.callback-dropped",
        "instance.session-detached",
        "instance.start-failed",
        "instance.lost",
        "instance.stop-requested",
        "instance.stopped",
        "instance.swept",
        "workspace.failed",
        "workspace.released",
        "workspace.removal-requested",
        "workspace.kept",
        "workspace.removed",
        "workspace.removal-failed",
        "request.answered",
        "webhook.disabled",
        "webhook.deleted",
    }
)
"""They end something, give space back, or are what a request that does so is answered. All of them are small."""


def make_registry() -> EventRegistry:
    """Return a registry of all of Fleet's events."""
    registry = EventRegistry()
    for name, event in NAMES.items():
        registry.register(event, name, on_full_disk=name in ON_FULL_DISK)
    return registry
