"""The log tells what happens to the server itself: starts, crashes, tokens, refused requests, proofs, exports."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio
from msgspec.structs import replace

from fleet.actors.upkeep.server_records import ServerFacts
from fleet.core.server import BackupMade
from fleet.events import codec
from fleet.events.envelope import Cause
from fleet.gateway.server.guard import Guard
from fleet.gateway.server.tokens import Register, known_tokens, revoke
from fleet.limits import (
    LINK_LIFETIME_S,
    LOGIN_FAILURES_MAX,
    RECORD_KINDS_MAX,
    RECORDS_EVERY_S,
    TOKEN_IDLE_S,
    TOKEN_LOOK_S,
)
from tests.fakes.memory_log import KEY
from tests.gateway.keys import Keys, bearer, browse
from tests.gateway.machine import Api, Machine


def facts(keys: Keys, run_id: str, version: str = "1.0") -> ServerFacts:
    return ServerFacts(run_id, version, "c0ffee", lambda: known_tokens(keys.file.read()))


def told(api: Api, *names: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return type, actor and given fields of the events of the server's stream."""
    return [
        (each.type, each.cause.actor, {name: value for name in names if (value := getattr(each.event, name, None))})
        for each in api.fleet.log.read_stream("server-fleet")
    ]


def logins(api: Api) -> list[tuple[str, str, dict[str, Any]]]:
    return [each for each in told(api, "token", "by", "count") if each[0].startswith("login.")]


async def test_starts_stops_and_crashes_are_recorded(machine: Machine, tmp_path: Path) -> None:
    keys = Keys(tmp_path, machine)
    machine.facts = facts(keys, "one")
    async with machine.fleet(killed=True):
        await trio.sleep(60)
    machine.facts = facts(keys, "two", "1.1")
    async with machine.fleet():
        pass
    machine.facts = facts(keys, "three", "1.1")
    async with machine.fleet() as api:
        first = api.fleet.log.read_all(0, 1)[0]
        assert (first.type, first.event.configuration) == ("server.started", "c0ffee")
        assert told(api, "run_id", "version") == [
            ("server.started", "local", {"run_id": "one", "version": "1.0"}),
            ("server.crashed", "local", {"run_id": "one", "version": "1.0"}),
            ("server.started", "local", {"run_id": "two", "version": "1.1"}),
            ("server.stopped", "local", {"run_id": "two"}),
            ("server.started", "local", {"run_id": "three", "version": "1.1"}),
        ]


async def test_token_that_was_changed_by_hand_is_recorded_again(machine: Machine, tmp_path: Path) -> None:
    """Its name is known, but not its secret, its role or that it is valid again."""
    keys = Keys(tmp_path, machine)
    for name in ("ann", "ben", "eve"):
        keys.new(name, "viewer")
    keys.revoke("eve")
    machine.facts = facts(keys, "one")
    async with machine.fleet() as api:

        async def recorded_after(edit: Callable[[Register], Register]) -> list[tuple[str, str, dict[str, Any]]]:
            before = len(told(api))
            keys.file.change(lambda register: (edit(register), None))
            await trio.sleep(3 * TOKEN_LOOK_S)
            return told(api, "name", "role", "again")[before:]

        def of_another(register: Register) -> Register:
            _, ben, _ = register.secrets
            return replace(register, secrets=tuple(replace(each, digest=ben.digest) for each in register.secrets))

        def operator(register: Register) -> Register:
            ann, ben, eve = register.tokens
            return replace(register, tokens=(ann, replace(ben, role="operator"), eve, replace(ben, role="viewer")))

        def valid(register: Register) -> Register:
            return replace(register, tokens=tuple(replace(each, revoked_at_ms=None) for each in register.tokens))

        def revoked(register: Register) -> Register:
            return revoke(register, ["eve"], machine.clock.now_ms())[0]

        made = ("token.made", "local")
        ann, eve = ({"name": name, "role": "viewer", "again": True} for name in ("ann", "eve"))
        assert await recorded_after(lambda register: register) == []
        assert await recorded_after(of_another) == [
            (*made, ann),
            (*made, eve),
            ("token.revoked", "local", {"name": "eve"}),
        ]
        assert await recorded_after(operator) == [(*made, {"name": "ben", "role": "operator", "again": True})]
        assert await recorded_after(valid) == [(*made, eve)]
        assert await recorded_after(revoked) == [("token.revoked", "local", {"name": "eve"})]


async def test_start_records_a_head_that_the_log_contradicts(machine: Machine, tmp_path: Path) -> None:
    machine.facts = facts(Keys(tmp_path, machine), "one")
    machine.disk.contradicted = KEY.sign(7, bytes(32), 1)
    async with machine.fleet() as api:
        assert told(api, "contradicted_head") == [("server.started", "local", {"contradicted_head": 7})]


async def test_tokens_are_recorded_by_name_from_every_source(machine: Machine, tmp_path: Path) -> None:
    """One is made while no server runs, one by another process, and one is revoked over HTTP."""
    keys = Keys(tmp_path, machine)
    ann = keys.new("ann")
    machine.facts = facts(keys, "one")
    async with machine.fleet() as running:
        api = Api(running.fleet, Guard(machine.clock, keys.file))
        ben = keys.new("ben", lifetime_s=30)
        await trio.sleep(TOKEN_LOOK_S + 1)
        await api.send("DELETE", "/api/tokens/ann", **bearer(keys.new("eve")))
        await trio.sleep(60)
        tokens = [each for each in told(api, "name", "role") if each[0].startswith("token.")]
        assert tokens == [
            ("token.made", "local", {"name": "ann", "role": "operator"}),
            ("token.made", "local", {"name": "ben", "role": "operator"}),
            ("token.made", "local", {"name": "eve", "role": "operator"}),
            ("token.revoked", "token:eve", {"name": "ann"}),
            ("token.expired", "policy:expiry", {"name": "ben"}),
        ]
        for secret in (ann, ben):
            assert secret.encode() not in b"".join(codec.decode(record).payload for record in machine.disk.records)


async def test_refused_requests_are_counted_once_a_minute(machine: Machine, tmp_path: Path) -> None:
    keys = Keys(tmp_path, machine)
    viewer = keys.new("eye", "viewer")
    machine.facts = facts(keys, "one")
    async with machine.fleet() as running:
        api = Api(running.fleet, Guard(machine.clock, keys.file))
        for _ in range(3):
            assert (await api.send("POST", "/api/sessions", {"directory": "/"}, **bearer(viewer))).status == 403
        assert (await api.send("GET", "/api/sessions")).status == 401
        assert (await api.send("GET", "/login?code=wrong")).status == 403
        for n in range(RECORD_KINDS_MAX + 5):
            api.fleet.records.refused("write", "read_only", f"token:{n}")
        await trio.sleep(RECORDS_EVERY_S + 1)
        refused = [each[2] for each in told(api, "request", "code", "count", "actor") if "refused" in each[0]]
        assert refused[:3] == [
            {"request": "write", "code": "read_only", "count": 3, "actor": "token:eye"},
            {"request": "read", "code": "token_required", "count": 1},
            {"request": "login", "code": "link_invalid", "count": 1},
        ]
        assert len(refused) == RECORD_KINDS_MAX + 1
        assert refused[-1] == {"request": "write", "code": "read_only", "count": 8}


async def test_a_refusal_during_the_records_does_not_change_their_beginning(machine: Machine, tmp_path: Path) -> None:
    machine.facts = facts(Keys(tmp_path, machine), "one")
    async with machine.fleet() as api:
        records = api.fleet.records
        api.fleet.log.listen(lambda _: records.refused("write", "forbidden_origin", None))
        began_ms = machine.clock.now_ms()
        for request in ("login", "read"):
            records.refused(request, "forbidden_origin", None)
        await trio.sleep(RECORDS_EVERY_S + 1)
        refused = [each[2] for each in told(api, "request", "since_ms") if "refused" in each[0]]
        assert refused == [{"request": each, "since_ms": began_ms} for each in ("login", "read")]


async def test_proofs_exports_and_backups_name_their_caller(machine: Machine, tmp_path: Path) -> None:
    machine.facts = facts(Keys(tmp_path, machine), "one")
    async with machine.fleet() as api:
        head = api.fleet.log.head()
        assert (await api.send("GET", "/api/log/verify")).json["intact"]
        assert (await api.send("GET", f"/api/log/export?after={head}")).status == 200
        backup = BackupMade(directory="/backup", through=head, at_ms=machine.clock.now_ms())
        await api.fleet.records.note(backup, Cause("token:ann"))
        assert told(api, "through", "after", "directory")[1:] == [
            ("server.log-verified", "local", {"through": head}),
            ("server.log-exported", "local", {"through": head + 1, "after": head}),
            ("server.backup-made", "token:ann", {"through": head, "directory": "/backup"}),
        ]


async def test_a_full_disk_holds_neither_start_nor_proof(machine: Machine, tmp_path: Path) -> None:
    machine.facts = facts(Keys(tmp_path, machine), "one")
    machine.disk.low = machine.disk.full = True
    async with machine.fleet() as api:
        assert (await api.send("GET", "/api/log/verify")).json["intact"]
        assert told(api) == []
        machine.disk.low = machine.disk.full = False
        await trio.sleep(TOKEN_LOOK_S + 1)
        assert [each[0] for each in told(api)] == ["server.started"]


async def test_logins_are_recorded_at_once_and_repeated_ones_counted_once_a_minute(
    machine: Machine, tmp_path: Path
) -> None:
    keys = Keys(tmp_path, machine)
    ann, ben = keys.new("ann"), keys.new("ben", "viewer")
    machine.facts = facts(keys, "one")
    async with machine.fleet() as running:
        api = Api(running.fleet, Guard(machine.clock, keys.file))
        link = (await api.send("POST", "/api/tokens/ben/link", **bearer(ann))).json["path"]
        cookie = (await browse(api, link.partition("code=")[2]))[1]
        for _ in range(5):
            assert (await api.send("GET", "/api/sessions", **bearer(ben))).status == 200
        assert (await api.send("POST", "/logout", cookie=cookie)).status == 204
        for _ in range(3):
            await browse(api, keys.link("ben"))
        first = [
            ("login.made", "token:ann", {"token": "ann", "by": "token", "count": 1}),
            ("login.link-made", "token:ann", {"token": "ben", "count": 1}),
            ("login.made", "token:ben", {"token": "ben", "by": "link", "count": 1}),
            ("login.made", "token:ben", {"token": "ben", "by": "token", "count": 1}),
            ("login.ended", "token:ben", {"token": "ben", "count": 1}),
        ]
        assert logins(api) == first
        await trio.sleep(RECORDS_EVERY_S + 1)
        repeated = ("login.made", "token:ben", {"token": "ben", "by": "link", "count": 3})
        assert logins(api) == [*first, repeated]
        await trio.sleep(TOKEN_IDLE_S)
        assert (await api.send("GET", "/api/sessions", **bearer(ben))).status == 200
        assert logins(api) == [*first, repeated, first[3]]
        for secret in (ann, ben, link.partition("code=")[2]):
            assert secret.encode() not in b"".join(codec.decode(record).payload for record in machine.disk.records)


async def test_head_of_a_login_link_is_no_refused_login_and_does_not_use_it_up(
    machine: Machine, tmp_path: Path
) -> None:
    keys = Keys(tmp_path, machine)
    keys.new("ann")
    machine.facts = facts(keys, "one")
    async with machine.fleet() as running:
        api = Api(running.fleet, Guard(machine.clock, keys.file))
        code = keys.link("ann")
        for _ in range(LOGIN_FAILURES_MAX + 1):  # previews and scanners of links send it, each from the same address
            assert (await api.send("HEAD", f"/login?code={code}")).status == 403
        assert (await browse(api, code))[0].status == 303
        await trio.sleep(RECORDS_EVERY_S + 1)
        assert [each for each in told(api, "code") if "refused" in each[0]] == []
        assert [each[0] for each in logins(api)] == ["login.made"]


async def test_refused_logins_name_the_token_that_is_not_valid_any_more(machine: Machine, tmp_path: Path) -> None:
    keys = Keys(tmp_path, machine)
    ann, ben, eve = keys.new("ann"), keys.new("ben", lifetime_s=LINK_LIFETIME_S / 2), keys.new("eve")
    late = keys.link("ann")
    keys.revoke("eve")
    machine.facts = facts(keys, "one")
    async with machine.fleet() as running:
        api = Api(running.fleet, Guard(machine.clock, keys.file))
        await trio.sleep(LINK_LIFETIME_S + 1)
        for _ in range(2):
            assert (await browse(api, late))[0].status == 403
        assert (await browse(api, "wrong"))[0].status == 403
        for secret in (ben, eve, ann + "x"):
            assert (await api.send("GET", "/api/sessions", **bearer(secret))).status == 401
        await trio.sleep(RECORDS_EVERY_S + 1)
        refused = [each[2] for each in told(api, "request", "count", "actor", "reason") if "refused" in each[0]]
        assert refused == [
            {"request": "login", "count": 2, "actor": "token:ann", "reason": "expired"},
            {"request": "login", "count": 1, "reason": "unknown"},
            {"request": "read", "count": 1, "actor": "token:ben", "reason": "expired"},
            {"request": "read", "count": 1, "actor": "token:eve", "reason": "revoked"},
            {"request": "read", "count": 1, "reason": "unknown"},
        ]


async def test_a_viewer_that_verifies_and_exports_again_and_again_does_not_fill_the_log(
    machine: Machine, tmp_path: Path
) -> None:
    keys = Keys(tmp_path, machine)
    eye = bearer(keys.new("eye", "viewer"))
    machine.facts = facts(keys, "one")
    async with machine.fleet() as running:
        api = Api(running.fleet, Guard(machine.clock, keys.file))
        for _ in range(7):
            assert (await api.send("GET", "/api/log/verify?scope=chain", **eye)).json["intact"]
            assert (await api.send("GET", "/api/log/export?after=1", **eye)).status == 200
        head = api.fleet.log.head()
        await trio.sleep(RECORDS_EVERY_S + 1)
        read = [each for each in told(api, "count", "through") if each[0].startswith("server.log-")]
        assert [(kind, actor, fact["count"]) for kind, actor, fact in read] == [
            ("server.log-verified", "token:eye", 1),
            ("server.log-exported", "token:eye", 1),
            ("server.log-verified", "token:eye", 6),
            ("server.log-exported", "token:eye", 6),
        ]
        assert [fact["through"] for _, _, fact in read[2:]] == [head, head]
