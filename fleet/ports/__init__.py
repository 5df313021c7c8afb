"""The ports: the interfaces through which Fleet uses the outside world, as types.

Adapters implement them (fleet/adapters), fakes replace them in the simulation (tests/fakes), and one contract suite per
port tests both. A port raises `Problem` for errors that a caller can handle; every wait in it is a trio checkpoint, so
that the caller sets the deadline.
"""

from fleet.ports.files import FileContent, FileEntry, Files, FileType, Folder, FolderEntry, Listing
from fleet.ports.host import Endpoint, Exit, FoundProcess, OpenCodeHost, ProcessIdentity, StopStep
from fleet.ports.identity import Clock, Ids
from fleet.ports.offers import Agent, McpServers, OfferedModel, SlashCommand
from fleet.ports.opencode import OpenCode
from fleet.ports.removals import Busy, PreservedWork, Preview, Removals
from fleet.ports.setups import OnOutput, Recipe, Script, ScriptEnd, Scripts
from fleet.ports.shells import Shells
from fleet.ports.stream import (
    MessageChanged,
    OpenCodeEvent,
    PartChanged,
    PartDelta,
    RequestClosed,
    RequestOpened,
    SessionChanged,
    StatusChanged,
    StreamLost,
    StreamOpened,
    TurnErrored,
)
from fleet.ports.transcript import (
    Attachment,
    Message,
    MessageInfo,
    OpenCodeSession,
    OpenRequest,
    Part,
    Prompt,
    Tokens,
    TurnStatus,
)
from fleet.ports.trees import ChangeStatus, FileChange, Trees
from fleet.ports.webhooks import DeliveryAttempt, MessageType, Target, WebhookSecrets, WebhookSender
from fleet.ports.workspaces import (
    Branch,
    BranchKind,
    Condition,
    Fault,
    NotCarried,
    NotCarriedKind,
    PreparedWorkspace,
    Source,
    Strategy,
    Workspaces,
    WorkspaceSpec,
)

__all__ = [
    "Agent",
    "Attachment",
    "Branch",
    "BranchKind",
    "Busy",
    "ChangeStatus",
    "Clock",
    "Condition",
    "DeliveryAttempt",
    "Endpoint",
    "Exit",
    "Fault",
    "FileChange",
    "FileContent",
    "FileEntry",
    "FileType",
    "Files",
    "Folder",
    "FolderEntry",
    "FoundProcess",
    "Ids",
    "Listing",
    "McpServers",
    "Message",
    "MessageChanged",
    "MessageInfo",
    "MessageType",
    "NotCarried",
    "NotCarriedKind",
    "OfferedModel",
    "OnOutput",
    "OpenCode",
    "OpenCodeEvent",
    "OpenCodeHost",
    "OpenCodeSession",
    "OpenRequest",
    "Part",
    "PartChanged",
    "PartDelta",
    "PreparedWorkspace",
    "PreservedWork",
    "Preview",
    "ProcessIdentity",
    "Prompt",
    "Recipe",
    "Removals",
    "RequestClosed",
    "RequestOpened",
    "Script",
    "ScriptEnd",
    "Scripts",
    "SessionChanged",
    "Shells",
    "SlashCommand",
    "Source",
    "StatusChanged",
    "StopStep",
    "Strategy",
    "StreamLost",
    "StreamOpened",
    "Target",
    "Tokens",
    "Trees",
    "TurnErrored",
    "TurnStatus",
    "WebhookSecrets",
    "WebhookSender",
    "WorkspaceSpec",
    "Workspaces",
]
