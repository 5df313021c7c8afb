"""How a browser logs in by a link, what its cookie may do, and when both end."""

from collections import Counter

import pytest
import trio

from fleet.limits import (
    COOKIE_LIFETIME_S,
    COOKIES_PER_TOKEN_MAX,
    LINK_LIFETIME_S,
    LINKS_PER_TOKEN_MAX,
    LOGIN_FAILURES_MAX,
)
from tests.gateway.keys import Keys, bearer, browse, keys, locked, public
from tests.gateway.machine import PLAIN, Api
from tests.gateway.test_problems import raw

__all__ = ["keys", "locked", "public"]  # fixtures


@pytest.mark.trio(run=trio.run)  # the file is changed in a thread, during which virtual time would fly
async def test_links_are_limited_too(locked: Api, keys: Keys) -> None:
    keys.new("me")
    for _ in range(LOGIN_FAILURES_MAX):
        (await locked.send("GET", "/login?code=x")).problem(403, "link_invalid")
    (await locked.send("GET", "/login?code=x")).problem(429, "too_many_attempts")


async def test_a_link_logs_one_browser_in_once(locked: Api, keys: Keys) -> None:
    keys.new("me")
    code = keys.link("me")
    answer, cookie = await browse(locked, code, Host="localhost:3000")
    assert answer.status == 303
    set_cookie = answer.headers["set-cookie"]
    assert cookie.startswith("fleet-3000=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={int(COOKIE_LIFETIME_S)}"} <= set(set_cookie.split("; "))
    assert "Secure" not in set_cookie
    assert code not in str(answer)
    own = {"Host": "localhost:3000", "Cookie": cookie, "Sec_Fetch_Site": "same-origin"}
    assert answer.headers["location"] == "/"
    assert (await locked.send("GET", "/api/fleet/summary", **own)).status == 200
    assert (await locked.send("POST", "/api/sessions", {"directory": PLAIN}, **own)).status == 200
    (await locked.send("GET", f"/login?code={code}")).problem(403, "link_invalid")


async def test_a_link_expires(locked: Api, keys: Keys) -> None:
    keys.new("me")
    code = keys.link("me")
    await trio.sleep(LINK_LIFETIME_S)
    (await locked.send("GET", f"/login?code={code}")).problem(403, "link_invalid")


async def test_the_newest_links_of_a_token_replace_its_oldest(locked: Api, keys: Keys) -> None:
    keys.new("me")
    keys.new("other")
    keys.link("other")
    first, second, *_ = [keys.link("me") for _ in range(LINKS_PER_TOKEN_MAX + 1)]
    links = Counter(row.token for row in keys.file.read().secrets if row.kind == "link")
    assert links == {"me": LINKS_PER_TOKEN_MAX, "other": 1}
    assert (await browse(locked, second))[0].status == 303
    (await locked.send("GET", f"/login?code={first}")).problem(403, "link_invalid")


async def test_a_head_request_does_not_use_a_link(locked: Api, keys: Keys) -> None:
    keys.new("me")
    code = keys.link("me")
    head = await raw(locked, f"HEAD /login?code={code} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert head.status == 403
    assert (await browse(locked, code))[0].status == 303


async def test_foreign_page_cannot_log_a_browser_in(locked: Api, keys: Keys) -> None:
    keys.new("me")
    code = keys.link("me")
    (await locked.send("GET", f"/login?code={code}", Sec_Fetch_Site="cross-site")).problem(403, "forbidden_origin")
    assert (await browse(locked, code))[0].status == 303


async def test_a_cookie_is_for_the_servers_own_pages(locked: Api, keys: Keys) -> None:
    keys.new("me")
    _, cookie = await browse(locked, keys.link("me"), Host="fleet.example")
    own = {"Host": "fleet.example", "Cookie": cookie}
    for headers in (
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "https://fleet.example.evil.example"},
        {"Origin": "null"},
        {"Origin": "https://"},
    ):
        (await locked.send("GET", "/api/sessions", **own, **headers)).problem(403, "forbidden_origin")
    # A proxy in front speaks TLS: the scheme is not the one that arrives here.
    assert (await locked.send("GET", "/api/sessions", **own, Origin="https://fleet.example")).status == 200


async def test_a_cookie_set_over_tls_is_secure(public: Api, keys: Keys) -> None:
    keys.new("me")
    proxied = {"X_Forwarded_Proto": "https", "X_Forwarded_For": "10.0.0.1", "Host": "fleet.example"}
    answer, cookie = await browse(public, keys.link("me"), **proxied)
    assert "Secure" in answer.headers["set-cookie"]
    assert (await public.send("GET", "/api/sessions", **proxied, Cookie=cookie)).status == 200


async def test_revoking_logs_browsers_out(locked: Api, keys: Keys) -> None:
    keys.new("me")
    _, cookie = await browse(locked, keys.link("me"))
    waiting = keys.link("me")
    keys.revoke("me")
    (await locked.send("GET", "/api/sessions", Cookie=cookie)).problem(401, "token_invalid")
    (await locked.send("GET", f"/login?code={waiting}")).problem(403, "link_invalid")


async def test_logging_out_forgets_the_cookie_and_not_the_token(locked: Api, keys: Keys) -> None:
    token = keys.new("wall", "viewer")
    _, cookie = await browse(locked, keys.link("wall"))
    left = await locked.send("POST", "/logout", Cookie=cookie)
    assert (left.status, "Max-Age=0" in left.headers["set-cookie"]) == (204, True)
    (await locked.send("GET", "/api/sessions", Cookie=cookie)).problem(401, "token_invalid")
    assert (await locked.send("POST", "/logout", **bearer(token))).status == 204
    assert (await locked.send("GET", "/api/sessions", **bearer(token))).status == 200


async def test_the_browsers_of_a_token_are_limited(locked: Api, keys: Keys) -> None:
    keys.new("me")
    cookies = [(await browse(locked, keys.link("me")))[1] for _ in range(COOKIES_PER_TOKEN_MAX + 1)]
    statuses = [(await locked.send("GET", "/api/sessions", Cookie=cookie)).status for cookie in cookies]
    assert statuses == [401] + [200] * COOKIES_PER_TOKEN_MAX


async def test_a_cookie_ends_with_its_token(locked: Api, keys: Keys) -> None:
    keys.new("me", lifetime_s=60)
    answer, cookie = await browse(locked, keys.link("me"))
    assert "Max-Age=60" in answer.headers["set-cookie"]
    await trio.sleep(60)
    (await locked.send("GET", "/api/sessions", Cookie=cookie)).problem(401, "token_invalid")


async def test_an_old_cookie_is_ignored_where_no_token_is_needed(locked: Api) -> None:
    assert (await locked.send("GET", "/api/sessions", Cookie="fleet=fleet_0_0")).status == 200
