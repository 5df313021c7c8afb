"""Who gets the page: every client gets its files, which hold no data, by links on other sites too."""

from collections.abc import AsyncGenerator
from itertools import product
from pathlib import Path

import pytest

from fleet.gateway.server.guard import Guard
from fleet.gateway.server.page_files import Build, read_build
from fleet.limits import COOKIES_PER_TOKEN_MAX
from tests.gateway.builds import MEMBERS, SHELL, write_build
from tests.gateway.keys import Keys, browse
from tests.gateway.machine import NOWHERE, PLAIN, Api, Machine
from tests.gateway.test_problems import raw

SHELLS = ["/", "/inbox", f"/s/{NOWHERE}", f"/s/{NOWHERE}/a/ses_x", "/new?directory=/x", "/login", "/login?next=/inbox"]
FILES = sorted(f"/{name}" for name in MEMBERS - {"index.html"})
SITES = ["cross-site", "same-site"]
FOLLOWED = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
"""What a browser says of a link that a person has followed."""


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return read_build(write_build(tmp_path / "dashboard"))


@pytest.fixture
def keys(tmp_path: Path, machine: Machine) -> Keys:
    keys = Keys(tmp_path / "data", machine)
    keys.new("me")
    return keys


@pytest.fixture
async def open_api(machine: Machine, build: Build) -> AsyncGenerator[Api]:
    """An API on loopback without a token."""
    async with machine.fleet() as api:
        yield Api(api.fleet, build=build)


@pytest.fixture
async def locked(machine: Machine, keys: Keys, build: Build) -> AsyncGenerator[Api]:
    """An API on loopback that needs a token."""
    async with machine.fleet() as api:
        yield Api(api.fleet, Guard(machine.clock, keys.file), build)


@pytest.fixture
async def public(machine: Machine, keys: Keys, build: Build) -> AsyncGenerator[Api]:
    """An API that others can reach."""
    async with machine.fleet() as api:
        yield Api(api.fleet, Guard(machine.clock, keys.file, loopback=False), build)


# ------------------------------------------------------------------------------------------------- without a token


@pytest.mark.parametrize("address", [*SHELLS, *FILES])
async def test_the_pages_files_need_no_token(locked: Api, public: Api, address: str) -> None:
    for api in (locked, public):
        assert (await api.send("GET", address)).status == 200
        assert (await api.send("GET", address, Cookie="fleet=old", Authorization="Bearer wrong")).status == 200


@pytest.mark.parametrize("address", ["/api/sessions", "/api/ws", "/api/docs", "/api/info", "/api/caller", "/nothing"])
async def test_all_other_addresses_need_a_token_and_refuse_in_json(locked: Api, address: str) -> None:
    for headers in ({}, {"Accept": "text/html", "Sec_Fetch_Site": "none", "Sec_Fetch_Mode": "navigate"}):
        (await locked.send("GET", address, **headers)).problem(401, "token_required")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_methods_that_do_not_read_need_a_token_on_the_page_too(locked: Api, method: str) -> None:
    for address in ("/", "/theme.js", "/assets/app-1a2b.js"):
        (await locked.send(method, address)).problem(401, "token_required")


async def test_page_contains_no_data_of_this_fleet(locked: Api) -> None:
    """The same bytes for a session that is there, for one that is not, and for every caller."""
    item = await Api(locked.fleet).session(PLAIN, title="A secret title")
    bodies = {
        (await locked.send("GET", f"/s/{session_id}", **headers)).body
        for session_id in (item["id"], NOWHERE, "x")
        for headers in ({}, {"Cookie": "fleet=x"}, FOLLOWED)
    }
    assert bodies == {SHELL}


async def test_the_page_is_served_while_the_tokens_cannot_be_read(locked: Api, tmp_path: Path) -> None:
    (tmp_path / "data" / "tokens.json").write_text("{")
    assert (await locked.send("GET", "/", Host="fleet.example")).status == 200
    (await locked.send("GET", "/api/caller")).problem(503, "tokens_unreadable")


# ------------------------------------------------------------------------------------------------- from other sites


@pytest.mark.parametrize("site", SITES)
async def test_a_link_on_another_site_opens_the_page(open_api: Api, locked: Api, site: str) -> None:
    followed = FOLLOWED | {"Sec_Fetch_Site": site}
    for api, address in product((open_api, locked), SHELLS):
        answer = await api.send("GET", address, **followed)
        assert (answer.status, answer.body) == (200, SHELL), address


async def test_the_page_of_a_fleet_without_a_build_opens_too(api: Api) -> None:
    assert (await api.send("GET", "/", **FOLLOWED)).status == 503


@pytest.mark.parametrize(
    ("mode", "destination"),
    [
        ("navigate", "iframe"),
        ("navigate", "frame"),
        ("navigate", "object"),
        ("navigate", "embed"),
        ("navigate", None),
        (None, "document"),
        (None, None),
        ("no-cors", "document"),
        ("no-cors", "image"),
        ("no-cors", "script"),
        ("cors", "empty"),
        ("nested-navigate", "iframe"),
        ("websocket", "empty"),
    ],
)
async def test_other_requests_of_another_site_are_refused(
    open_api: Api, mode: str | None, destination: str | None
) -> None:
    for site, address in product(SITES, SHELLS):
        sent = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": mode, "Sec_Fetch_Dest": destination}
        headers = {name: value for name, value in sent.items() if value is not None}
        (await open_api.send("GET", address, **headers)).problem(403, "forbidden_origin")


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
async def test_a_navigation_from_another_site_that_does_not_read_is_refused(open_api: Api, method: str) -> None:
    answer = await open_api.send(method, "/", **FOLLOWED)
    assert answer.status == 403


@pytest.mark.parametrize(
    "address",
    [
        *FILES,
        "/api/sessions",
        "/api/docs",
        "/api/openapi.json",
        "/api/ws",
        "/login?code=x",
        "/login?next=/&code=x",
        "/login?code=",
        "/logout",
        "/nothing",
    ],
)
async def test_a_link_on_another_site_opens_only_the_page(open_api: Api, locked: Api, address: str) -> None:
    for api in (open_api, locked):
        (await api.send("GET", address, **FOLLOWED)).problem(403, "forbidden_origin")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:5173"])
async def test_a_foreign_origin_gets_no_file_of_the_page(open_api: Api, locked: Api, origin: str) -> None:
    for api in (open_api, locked):
        for address in ("/", "/assets/app-1a2b.js"):
            answer = await api.send("GET", address, Host="localhost:3000", Origin=origin)
            answer.problem(403, "forbidden_origin")


# ---------------------------------------------------------------------------------------------- names and proxies


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"X_Forwarded_For": "10.0.0.1"}, {"Via": "1.1 proxy"}])
async def test_without_tokens_the_page_is_refused_to_other_names_and_proxies(
    open_api: Api, headers: dict[str, str]
) -> None:
    for address in ("/", "/login", "/theme.js", "/assets/app-1a2b.js"):
        (await open_api.send("GET", address, **headers)).problem(403, "forbidden_origin")
        (await open_api.send("GET", address, **headers, **FOLLOWED)).problem(403, "forbidden_origin")


async def test_with_tokens_the_page_is_served_behind_a_proxy(locked: Api, public: Api) -> None:
    """Who comes from elsewhere reads there how to log in; the API is as closed as ever."""
    proxied = {"Host": "fleet.example", "X_Forwarded_For": "10.0.0.1", "X_Forwarded_Proto": "https"}
    for api in (locked, public):
        assert (await api.send("GET", "/login?next=/inbox", **proxied)).body == SHELL
        assert (await api.send("GET", "/theme.js", **proxied, Origin="https://fleet.example")).status == 200
        (await api.send("GET", "/api/sessions", **proxied)).problem(403, "forbidden_origin")


async def test_a_websocket_at_an_address_of_the_page_follows_the_rules_of_access(locked: Api) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n"
    answer = await raw(locked, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + upgrade + b"\r\n")
    answer.problem(401, "token_required")


# --------------------------------------------------------------------------------------------------- after a login


@pytest.mark.parametrize(
    ("asked", "location"),
    [
        ("", "/"),
        ("&next=/", "/"),
        ("&next=/inbox", "/inbox"),
        ("&next=/s/0198%3Ftab%3Ddiffs%26at%3D7%23L3", "/s/0198?tab=diffs&at=7#L3"),
        ("&next=/history%3Fq%3Da%2520b", "/history?q=a%20b"),
        ("&next=/history%3Fq%3Dk%C3%A4se%20%F0%9F%A7%80", "/history?q=k%C3%A4se%20%F0%9F%A7%80"),
        ("&next=", "/"),
        ("&next=inbox", "/"),
        ("&next=https://evil.example/", "/"),
        ("&next=//evil.example/", "/"),
        ("&next=/%2Fevil.example/", "/"),
        ("&next=/x//evil.example/", "/"),
        ("&next=/%5Cevil.example/", "/"),
        ("&next=%5C%5Cevil.example/", "/"),
        ("&next=/%09/evil.example/", "/"),
        ("&next=/x%0D%0ASet-Cookie:%20a=b", "/"),
        ("&next=/x%00", "/"),
        ("&next=/x%E2%80%AEtxt", "/"),
        ("&next=javascript:alert(1)", "/"),
        ("&next=%20/inbox", "/"),
        ("&next=/%ED%A0%80", None),
    ],
)
async def test_a_login_leads_to_an_address_of_this_server_alone(
    locked: Api, keys: Keys, asked: str, location: str | None
) -> None:
    answer, cookie = await browse(locked, keys.link("me") + asked)
    assert (answer.status, cookie.startswith("fleet=")) == (303, True)
    assert answer.headers["location"].isascii()
    if location is not None:
        assert answer.headers["location"] == location


async def test_a_person_whose_link_is_not_good_any_more_gets_the_page(locked: Api, keys: Keys) -> None:
    """It says how to make another one, which a problem document would not."""
    code = keys.link("me")
    shown = {"Sec_Fetch_Site": "none", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert (await locked.send("GET", f"/login?code={code}", **shown)).status == 303
    again = await locked.send("GET", f"/login?code={code}", **shown)
    assert (again.status, again.body, again.headers["cache-control"]) == (403, SHELL, "no-store")
    assert "trusted-types" in again.headers["content-security-policy"]
    assert "set-cookie" not in again.headers
    (await locked.send("GET", f"/login?code={code}")).problem(403, "link_invalid")
    without_page = Api(locked.fleet, locked.guard)
    (await without_page.send("GET", f"/login?code={code}", **shown)).problem(403, "link_invalid")


async def test_the_login_page_does_not_redeem_a_link(locked: Api, keys: Keys) -> None:
    code = keys.link("me")
    assert (await locked.send("GET", "/login", **FOLLOWED)).body == SHELL
    assert (await browse(locked, code))[0].status == 303


async def test_a_browser_that_logs_in_again_takes_no_other_ones_place(locked: Api, keys: Keys) -> None:
    _, phone = await browse(locked, keys.link("me"))
    _, desk = await browse(locked, keys.link("me"))
    for _ in range(COOKIES_PER_TOKEN_MAX):
        old, (_, desk) = desk, await browse(locked, keys.link("me"), Cookie=desk)
        (await locked.send("GET", "/api/sessions", Cookie=old)).problem(401, "token_invalid")
    for cookie in (phone, desk):
        assert (await locked.send("GET", "/api/sessions", Cookie=cookie)).status == 200
