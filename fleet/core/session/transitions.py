# ruff: noqa: E501 - the table is read best in one piece
"""The transition table of a session: which event may come in which phase, and which phase follows.

`=` stays, `x` is refused (fleet/core/transition_table.py). `absent` is before the first event, `erased` after the last one.
"""

from typing import Final, Literal, get_args

from fleet.core.session.events import SessionEvent
from fleet.core.transition_table import read_table

Phase = Literal[
    "absent",
    "created",
    "active",
    "waiting_input",
    "idle",
    "completed",
    "stopped",
    "disconnected",
    "error",
    "erased",
]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)
STATUSES: Final[frozenset[Phase]] = frozenset(PHASES) - {"absent", "erased"}
"""The phases that clients see."""
RUNNING: Final[frozenset[Phase]] = frozenset(("active", "waiting_input"))
RESTING: Final[frozenset[Phase]] = frozenset(("idle", "error"))
"""No turn runs; the session has an instance or can get one again."""
ENDED: Final[frozenset[Phase]] = frozenset(("completed", "stopped", "disconnected"))

TABLE: Final = read_table(
    """
    event                absent   created       active         waiting_input  idle          completed  stopped  disconnected  error    erased
    SessionCreated       created  x             x              x              x             x          x        x             x        x
    SessionEdited        x        =             =              =              =             =          =        =             =        x
    WorkspaceAttached    x        =             x              x              x             =          =        =             =        x
    SetupHeld            x        =             x              x              x             =          =        =             =        x
    SetupStarted         x        =             x              x              x             =          =        =             =        x
    SetupOutput          x        =             x              x              x             =          =        =             =        x
    SetupEnded           x        =             x              x              x             =          =        =             =        x
    SetupSkipped         x        =             x              x              x             =          =        =             =        x
    InstanceAttached     x        =             x              x              x             =          =        =             =        x
    ConversationOpened   x        idle          x              x              x             x          x        x             x        x
    ResumeRequested      x        x             x              x              x             =          =        =             =        x
    SessionResumed       x        x             x              x              x             active     active   active        active   x
    ProvisionFailed      x        error         x              x              x             =          =        =             =        x
    ProvisionDelayed     x        =             x              x              x             =          =        =             =        x
    PromptAccepted       x        =             =              =              =             =          =        =             =        x
    PromptWithdrawn      x        =             =              =              =             =          =        =             =        x
    PromptEdited         x        =             =              =              =             =          =        =             =        x
    TurnStarted          x        x             active         x              active        x          x        x             active   x
    TurnSteered          x        x             =              =              x             x          x        x             x        x
    PromptDelivered      x        x             =              =              x             x          x        x             x        x
    MessageRecorded      x        x             =              =              =             =          =        =             =        x
    PartRecorded         x        x             =              =              =             =          =        =             =        x
    TurnSnapshotTaken    x        x             =              =              x             x          x        x             x        x
    StepSnapshotTaken    x        x             =              =              x             x          x        x             x        x
    ChangesRecorded      x        x             =              =              =             =          =        =             =        x
    RequestOpened        x        x             waiting_input  =              x             x          x        x             x        x
    RequestAnswered      x        x             x              =              x             x          x        x             x        x
    RequestClosed        x        x             x              =              x             x          x        x             x        x
    TurnContinued        x        x             x              active         x             x          x        x             x        x
    TurnDelayed          x        x             =              =              x             x          x        x             x        x
    AbortRequested       x        x             =              =              x             x          x        x             x        x
    TurnEnded            x        x             idle           idle           x             x          x        =             x        x
    TurnFailed           x        x             error          error          x             x          x        x             x        x
    SessionSettled       x        x             idle           idle           x             x          x        x             x        x
    InstanceDetaching    x        =             =              =              =             =          =        =             =        x
    SessionCompleted     x        x             x              x              completed     x          x        x             x        x
    InstanceDetached     x        x             =              =              =             =          =        =             =        x
    SessionDisconnected  x        disconnected  disconnected   disconnected   disconnected  x          x        x             x        x
    StopRequested        x        =             =              =              =             =          =        =             =        x
    SessionStopped       x        stopped       stopped        stopped        stopped       stopped    =        stopped       stopped  x
    SessionErased        x        x             x              x              x             x          erased   x             x        x
    CallbackOrdered      x        =             =              =              =             =          =        =             =        x
    CallbackDelivered    x        =             =              =              =             =          =        =             =        x
    CallbackUndelivered  x        =             =              =              =             =          =        =             =        x
    CallbackDropped      x        =             =              =              =             =          =        =             =        x
    CallbacksErased      x        =             =              =              =             =          =        =             =        x
    BudgetSet            x        =             =              =              =             =          =        =             =        x
    BudgetExceeded       x        =             =              =              =             =          =        =             =        x
    NotificationsRead    x        =             =              =              =             =          =        =             =        x
    """,
    PHASES,
    get_args(SessionEvent),
)
