"""Access tokens over HTTP: an operator lists and revokes them and makes login links; others may not even look."""

import pytest
import trio
from structlog.testing import capture_logs

from fleet.client import FleetClient, NotFound
from tests.gateway.keys import Keys, bearer, browse, keys, locked
from tests.gateway.machine import Api

__all__ = ["keys", "locked"]  # fixtures

ROUTES = (("GET", "/api/tokens"), ("DELETE", "/api/tokens/wall"), ("POST", "/api/tokens/wall/link"))


async def test_an_operator_lists_tokens_without_their_secrets(locked: Api, keys: Keys) -> None:
    mine, viewer = keys.new("me"), keys.new("wall", "viewer", lifetime_s=60)
    keys.new("old")
    keys.revoke("old")
    answer = await locked.send("GET", "/api/tokens", **bearer(mine))
    listed = [(token["name"], token["role"], token["status"]) for token in answer.json]
    assert listed == [("me", "operator", "active"), ("wall", "viewer", "active"), ("old", "operator", "revoked")]
    assert answer.json[1]["expiresAt"] > answer.json[1]["createdAt"]
    assert answer.json[2]["revokedAt"] is not None
    for secret in (mine, viewer):
        assert secret.split("_", 2)[2].encode() not in answer.body
    digests = {row.digest.encode() for row in keys.file.read().secrets}
    assert not any(digest in answer.body for digest in digests)
    await trio.sleep(60)
    assert (await locked.send("GET", "/api/tokens", **bearer(mine))).json[1]["status"] == "expired"


async def test_a_token_revoked_over_http_is_refused_at_once(locked: Api, keys: Keys) -> None:
    mine, wall = keys.new("me"), keys.new("wall", "viewer")
    with capture_logs() as logs:
        assert (await locked.send("DELETE", "/api/tokens/wall", **bearer(mine))).status == 204
    (await locked.send("GET", "/api/sessions", **bearer(wall))).problem(401, "token_invalid")
    (told,) = [log for log in logs if log["event"] == "token_revoked"]
    assert (told["token_name"], told["actor"]) == ("wall", "token:me")
    assert (await locked.send("DELETE", "/api/tokens/wall", **bearer(mine))).status == 204
    (await locked.send("POST", "/api/tokens/wall/link", **bearer(mine))).problem(422, "invalid")


@pytest.mark.trio(run=trio.run)  # the file is changed in a thread, during which virtual time would fly
async def test_a_login_link_is_shown_once_and_logs_one_browser_in(locked: Api, keys: Keys) -> None:
    mine = keys.new("me")
    keys.new("wall", "viewer")
    with capture_logs() as logs:
        made = await locked.send("POST", "/api/tokens/wall/link", Idempotency_Key="k", **bearer(mine))
    path = made.json["path"]
    code = path.removeprefix("/login?code=")
    assert code not in str(logs)
    assert code.split("_", 2)[2] not in keys.file.read().secrets[-1].digest
    again = await locked.send("POST", "/api/tokens/wall/link", Idempotency_Key="k", **bearer(mine))
    assert again.json["path"] != path  # no answer with a secret is kept
    _, cookie = await browse(locked, code)
    assert (await locked.send("GET", "/api/caller", Cookie=cookie)).json == {"actor": "token:wall", "role": "viewer"}
    (await locked.send("GET", path)).problem(403, "link_invalid")
    assert keys.file.read().secrets[-1].kind == "cookie"


@pytest.mark.trio(run=trio.run)  # the same
async def test_the_client_manages_tokens(locked: Api, keys: Keys) -> None:
    mine = keys.new("me")
    keys.new("wall", "viewer")
    async with locked.listen() as port, FleetClient(f"http://127.0.0.1:{port}", token=mine) as fleet:
        made = await fleet.login_link("wall")
        assert (await browse(locked, made.path.partition("code=")[2]))[0].status == 303
        await fleet.revoke_token("wall")
        assert [(token.name, token.status) for token in await fleet.tokens()] == [("me", "active"), ("wall", "revoked")]
        with pytest.raises(NotFound):
            await fleet.revoke_token("nobody")


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_viewers_and_agents_cannot_manage_tokens(locked: Api, keys: Keys, method: str, path: str) -> None:
    mine, wall = keys.new("me"), keys.new("wall", "viewer")
    before = keys.file.read()
    (await locked.send(method, path, **bearer(wall))).problem(403, "read_only")
    (await locked.send(method, path, **bearer(mine), Fleet_Session="ses_1")).problem(403, "agent_refused")
    (await locked.send(method, path)).problem(401, "token_required")
    assert keys.file.read() == before


@pytest.mark.parametrize(("method", "path"), ROUTES[1:])
async def test_an_unknown_token_is_not_found(locked: Api, keys: Keys, method: str, path: str) -> None:
    mine = keys.new("me")
    (await locked.send(method, path, **bearer(mine))).problem(404, "token_not_found")


async def test_a_fleet_without_tokens_has_none_to_list(api: Api) -> None:
    assert (await api.send("GET", "/api/tokens")).json == []
    (await api.send("DELETE", "/api/tokens/me")).problem(404, "token_not_found")
