"""Reserves room on hosts: for each slot one reservation in the cluster, named `<slot>@<host>`.

A reservation is for one host, so it stays there when the host is away. Room is counted here from what the cluster has
and what is reserved; the cluster has the last word. Where it can start machines, a slot that waits also has a
reservation for no host in particular (`<slot>@`): it makes the cluster start one. One slot is placed at a time.

Other servers may use the same cluster. Their reservations take room, and are never released here. They end without
notice, so a slot that waits for room beside them reads the reservations again from time to time.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec
import structlog
import trio

from fleet.adapters.ray import frames
from fleet.adapters.ray.engine import Engine, down
from fleet.adapters.ray.frames import HOST_LABEL, Cluster, Node, Release, Reserve, Slot, Work
from fleet.errors import Rejected
from fleet.limits import HOST_ROOM_S, HOST_SILENT_S, MIB, ROOM_SWEEP_S
from fleet.ports import LOCAL, Need, OnDelay

_log = structlog.get_logger(__name__)

HEAD_AWAY: Final = f"the head of the cluster has not answered for {HOST_SILENT_S:g} s"


def hosts_in(cluster: Cluster) -> dict[str, Node]:
    """Return the machines that are hosts, by name. Of two with the same name it is always the same one."""
    named = [node for node in cluster.nodes if HOST_LABEL in node.labels]
    return {node.labels[HOST_LABEL]: node for node in sorted(named, key=lambda node: node.address, reverse=True)}


class Reservations:
    """The reservations of a cluster.

    `why_unusable` says why a host takes no session, None if it does; `is_known` whether the log names it.
    """

    def __init__(
        self, engine: Engine, why_unusable: Callable[[str], str | None], is_known: Callable[[str], bool]
    ) -> None:
        self._engine = engine
        self._why_unusable = why_unusable
        self._is_known = is_known
        self._cluster: Cluster | None = None
        self._slots: dict[str, Slot] | None = None  # what is reserved, None while it has to be read
        self._nodes: dict[str, Node] = {}  # of hosts that are in the cluster now
        self._seen: dict[str, Node] = {}  # also of hosts that were in it
        self._twins: set[str] = set()  # names that several machines have
        self._is_shared = False  # another server has reserved room
        self._placing = trio.Lock()
        self._change = trio.Event()
        self.away = ""  # why nothing can be reserved now

    def see(self, cluster: Cluster) -> None:
        """Store the current cluster; if it has changed, waiting placements try again."""
        nodes = hosts_in(cluster)
        self._warn_of_twins(cluster, nodes)
        is_changed = cluster != self._cluster
        self._cluster, self._nodes = cluster, nodes
        self._seen.update(nodes)
        if is_changed:
            self.changed()

    def _warn_of_twins(self, cluster: Cluster, nodes: Mapping[str, Node]) -> None:
        """Log once for each name that two machines have: only one of them can be the host."""
        named = (each.labels[HOST_LABEL] for each in cluster.nodes if HOST_LABEL in each.labels)
        twins = {name for name, count in Counter(named).items() if count > 1}
        for name in twins - self._twins:
            _log.warning(
                "host_name_twice",
                host=name,
                used=nodes[name].address,
                hint=f"Give one of them another name: {HOST_LABEL}=NAME.",
            )
        self._twins |= twins

    def changed(self) -> None:
        """Let waiting placements try again."""
        self._change.set()
        self._change = trio.Event()

    def forget(self) -> None:
        """Read the reservations again at the next use: the engine has ended, or the result of an order is not known."""
        self._slots = None

    async def _order(self, work: Work) -> bytes:
        """Have an order carried out. Raises `Unavailable` engine_down, also if the head of the cluster is away."""
        if self.away:
            await trio.lowlevel.checkpoint()
            raise down(self.away)
        try:
            with trio.fail_after(HOST_SILENT_S):
                return await self._engine.order(work)
        except BaseException as error:
            self.forget()
            if isinstance(error, trio.TooSlowError):
                raise down(HEAD_AWAY) from None
            raise

    async def _look(self) -> dict[str, Slot]:
        """Read the cluster, and return its reservations."""
        slots = self._slots
        cluster = frames.decode_cluster(await self._order(frames.Nodes(with_slots=slots is None)))
        self.see(msgspec.structs.replace(cluster, slots={}))
        if slots is None:
            slots = dict(cluster.slots)
            self._is_shared = any(not slot.is_own for slot in slots.values())
        self._slots = slots
        return slots

    async def hosts_in_use(self) -> frozenset[str]:
        """Return the hosts with reservations. Raises `Unavailable` engine_down."""
        slots = await self._look() if self._slots is None else self._slots
        return frozenset(slot.host for slot in slots.values() if slot.host)

    # --------------------------------------------------------------------------------------------- what can be at all

    def require(self, need: Need) -> None:
        """Raise `Rejected` host_unknown, host_unsuitable; `Unavailable` engine_down before the first look."""
        if need.host == LOCAL and not need.labels:
            return
        if need.host is not None and need.host != LOCAL and not self._is_known(need.host):
            raise Rejected("host_unknown", f"there is no host {need.host!r}", field="host")
        if self._cluster is None:
            raise down(self._engine.evidence)
        if need.host is not None and need.host not in self._seen and need.host != LOCAL:
            return  # the log names it; what it has is not known before it comes
        if any(_suits(name, node, need) for name, node in self._seen.items()):
            return
        if need.host is None and self._cluster.has_autoscaler:
            return
        raise Rejected(
            "host_unsuitable", f"{_none(need)} can give a session {_room(need)}; {self._largest()}", field="host"
        )

    def _largest(self) -> str:
        if not self._seen:
            return "no host is known"
        name, node = max(self._seen.items(), key=lambda each: (each[1].cpus, each[1].memory_bytes))
        return f"the largest, {name}, has {node.cpus:g} cores and {node.memory_bytes // MIB} MiB"

    # -------------------------------------------------------------------------------------------------------- placing

    async def reserve(self, slot: str, need: Need, preferred: tuple[str, ...], delayed: OnDelay) -> str:
        """Reserve room and return the host (see the port)."""
        told = ""
        if need.host == LOCAL and not need.labels:
            await trio.lowlevel.checkpoint()
            return LOCAL
        await self._look()
        try:
            while True:
                self.require(need)
                change = self._change
                async with self._placing:
                    if (name := await self._place(slot, need, preferred)) is not None:
                        return name
                if (reason := self._reason(need)) != told:
                    told = reason
                    await delayed(reason)
                with trio.move_on_after(ROOM_SWEEP_S if self._is_shared else float("inf")) as patience:
                    await change.wait()
                if patience.cancelled_caught:
                    self.forget()
        except trio.Cancelled:
            with trio.move_on_after(HOST_ROOM_S, shield=True):
                await self._release(f"{slot}@")
            raise

    async def _place(self, slot: str, need: Need, preferred: tuple[str, ...]) -> str | None:
        slots, floating = await self._look(), f"{slot}@"
        if (held := _held(slot, slots)) is not None:
            return held
        if floating in slots:
            await self._ask(floating, need, need.labels, 0.0)  # it may have a machine by now
        for name in self._candidates(slot, need, preferred):
            if await self._try(slot, need, name):
                return name
        if self._can_grow(need) and floating not in slots:
            await self._ask(floating, need, need.labels, 0.0)
        return None

    def _can_grow(self, need: Need) -> bool:
        return need.host is None and self._cluster is not None and self._cluster.has_autoscaler

    def _candidates(self, slot: str, need: Need, preferred: tuple[str, ...]) -> Iterator[str]:
        """Yield the hosts with room: those of `preferred`, the one of a machine that was started, the least used."""
        floating = None if self._slots is None else self._slots.get(f"{slot}@")
        started = [floating.host] if floating is not None and floating.host else []
        used = sorted(self._nodes, key=lambda name: (len(self._slots_on(name)), name))
        for name in dict.fromkeys((*preferred, *started, *used)):
            if (name == LOCAL and need.host is None and not need.labels and name not in need.avoid) or (
                name in self._nodes
                and name not in need.avoid
                and self._why_unusable(name) is None
                and self._fits(name, need, slot)
            ):
                yield name

    def _slots_on(self, name: str, but: str = "") -> list[Slot]:
        slots = self._slots or {}
        return [slot for key, slot in slots.items() if slot.host == name and key != but]

    def _fits(self, name: str, need: Need, slot: str) -> bool:
        node = self._nodes[name]
        taken = self._slots_on(name, but=f"{slot}@")
        cpus = sum(each.cpus for each in taken) + need.cpus
        memory_mb = sum(each.memory_mb for each in taken) + need.memory_mb
        return _suits(name, node, need) and cpus <= node.cpus and memory_mb << 20 <= node.memory_bytes

    async def _try(self, slot: str, need: Need, name: str) -> bool:
        if self._slots is not None and f"{slot}@" in self._slots:
            await self._release(f"{slot}@")
        placed = await self._ask(f"{slot}@{name}", need, {HOST_LABEL: name}, HOST_ROOM_S)
        if not placed.is_placed:
            await self._release(f"{slot}@{name}")
            self._is_shared = True  # it was counted as free
        return placed.is_placed

    async def _ask(self, name: str, need: Need, selector: Mapping[str, str], wait_s: float) -> Slot:
        slot = frames.decode_slot(await self._order(Reserve(name, need.cpus, need.memory_mb, selector, wait_s)))
        if self._slots is not None:
            self._slots[name] = slot
        return slot

    async def _release(self, name: str) -> None:
        await self._order(Release(name))
        if self._slots is not None:
            self._slots.pop(name, None)

    def _reason(self, need: Need) -> str:
        if need.host is not None and (why := self._why_unusable(need.host)) is not None:
            return f"the host {need.host}, {why}"
        words = f"a machine that starts, with {_words(need)}" if self._can_grow(need) else _words(need)
        others = [slot for slot in (self._slots or {}).values() if not slot.is_own and need.host in (None, slot.host)]
        if not others:
            return words
        cpus, memory_mb = sum(slot.cpus for slot in others), sum(slot.memory_mb for slot in others)
        return f"{words}; another Fleet server on this cluster has reserved {cpus:.3g} cores and {memory_mb} MiB there"

    # ------------------------------------------------------------------------------------------------- held and given

    async def release(self, slot: str) -> None:
        """Release the room of a slot. Raises `Unavailable` engine_down."""
        async with self._placing:
            for name in [each for each in await self._look() if each.rpartition("@")[0] == slot]:
                await self._release(name)
        self.changed()

    async def slots(self) -> Mapping[str, str]:
        """Return the slots of this server with their hosts. Raises `Unavailable` engine_down."""
        held = (await self._look()).items()
        placed = [name.rpartition("@") for name, slot in held if slot.is_placed and slot.is_own]
        return {slot: host for slot, _, host in placed if host}


def _held(slot: str, slots: Mapping[str, Slot]) -> str | None:
    for name, held in slots.items():
        of, _, host = name.rpartition("@")
        if of == slot and host and held.is_placed:
            return host
    return None


def _suits(name: str, node: Node, need: Need) -> bool:
    """Return whether the host could fulfil the need if it were empty."""
    is_meant = need.host in (None, name) and need.labels.items() <= node.labels.items()
    return is_meant and need.cpus <= node.cpus and need.memory_mb << 20 <= node.memory_bytes


def _words(need: Need) -> str:
    """What a session waits for: `2 cores on a host with the label gpu=true`."""
    where = "a host" if need.host is None else f"the host {need.host}"
    return f"{_room(need)} on {where}{_labelled(need)}"


def _none(need: Need) -> str:
    return f"no host{_labelled(need)}" if need.host is None else f"no host {need.host}{_labelled(need)}"


def _room(need: Need) -> str:
    room = [f"{need.cpus:g} {'core' if need.cpus == 1 else 'cores'}"] if need.cpus else []
    room += [f"{need.memory_mb} MiB"] if need.memory_mb else []
    return " and ".join(room) or "room"


def _labelled(need: Need) -> str:
    labels = ", ".join(f"{name}={value}" for name, value in sorted(need.labels.items()))
    return f" with the label {labels}" if labels else ""
