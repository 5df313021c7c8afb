"""A host as `RayHosts` knows it: the link to its agent, its machine in the cluster, and when it was last heard."""

from typing import Final

import msgspec
import trio

from fleet.adapters.ray.frames import Node
from fleet.adapters.ray.link import HostLink
from fleet.limits import DISK_FREE_BYTES_MIN, ENGINE_DEAF_S, HOST_GRACE_MARGIN_S, HOST_SILENT_S, HOST_UNUSED_S
from fleet.ports import Host, HostInfo, HostLost, HostSilent, HostUp

_NODE_ID: Final = "ray.io/node-id"


class HostDeadlines(msgspec.Struct, frozen=True):
    """How long a host may be unheard before it is silent; and after the lease, before it is lost.

    And how long it may have no session, before it gives up its agent where the cluster removes machines.
    """

    silent_s: float = HOST_SILENT_S
    margin_s: float = HOST_GRACE_MARGIN_S
    unused_s: float = HOST_UNUSED_S


DEADLINES: Final = HostDeadlines()


class HeardHost:
    """A host: its link, its machine in the cluster, and when it was last heard or waited for."""

    def __init__(self, link: HostLink, host: Host) -> None:
        self.link = link
        self.host = host
        self.node: Node | None = None
        self.last_s = trio.current_time()
        self.heard_from = ""  # the id of its machine in the cluster when it was last heard
        self.replaced_for = 0.0  # the silence, by its `last_s`, for which the sidecar was replaced
        self.event: HostUp | HostSilent | HostLost | None = None
        self.unused_since_s: float | None = None
        self.upgraded_from = ""  # the version of an agent that was ended for another one

    def note_heard(self) -> None:
        """Note that its agent has answered now."""
        self.last_s = trio.current_time()
        self.heard_from = "" if self.node is None else self.node.labels.get(_NODE_ID, "")

    def is_deaf_on(self, node: Node) -> bool:
        """Return whether its machine has started again as `node`, and its agent has not been heard there for long."""
        has_returned = self.heard_from not in ("", node.labels.get(_NODE_ID, ""))
        return has_returned and not self.link.is_resting and trio.current_time() - self.last_s >= ENGINE_DEAF_S


def lack_of(info: HostInfo) -> str | None:
    """Return what a host lacks so that every session there would fail; None if it lacks nothing."""
    if not info.git_version:
        return "which has no git"
    return "whose disk is full" if info.disk_free_bytes < DISK_FREE_BYTES_MIN else None
