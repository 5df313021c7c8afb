"""The steps in the life of a session that a pack lists; their sentences are those of the log."""

from typing import Any, Final

from fleet.core.session import events as session

LIFE: Final[tuple[type[Any], ...]] = (
    session.SessionCreated,
    session.SessionEdited,
    session.WorkspaceAttached,
    session.InstanceAttached,
    session.ResumeRequested,
    session.SessionResumed,
    session.ProvisionFailed,
    session.SessionCompleted,
    session.SessionDisconnected,
    session.StopRequested,
    session.SessionStopped,
    session.CallbackOrdered,
    session.CallbackDelivered,
    session.CallbackDropped,
    session.BudgetSet,
    session.BudgetExceeded,
)
