"""Who may come in: programs on this machine and the server's own pages, and no foreign page."""

import pytest

from tests.gateway.machine import PLAIN, Api


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost:3000"},
        {"Host": "LocalHost"},
        {"Host": "127.0.0.1:3000"},
        {"Host": "[::1]:3000"},
        {"Host": "127.8.0.1:3000"},
        {"Host": "localhost:3000", "Origin": "http://localhost:3000"},
        {"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1:8080", "Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"User_Agent": "curl/8.5.0", "Accept": "*/*"},
    ],
)
async def test_local_programs_and_own_pages_are_admitted(api: Api, headers: dict[str, str]) -> None:
    assert (await api.send("GET", "/api/sessions", **headers)).status == 200
    created = await api.send("POST", "/api/sessions", {"directory": PLAIN}, **headers)
    assert created.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example:3000"},
        {"Host": "127.0.0.1.nip.io"},
        {"Host": "192.168.1.7:3000"},
        {"Host": "0.0.0.0:3000"},
        {"Host": "localhost@evil.example"},
        {"Host": ""},
        {"Host": "foo@localhost"},
        {"Host": "localhost/evil"},
        {"Host": "localhost:abc"},
        {"Host": "localhost:3477, evil.example"},
        {"Host": "::1"},
        {"X_Forwarded_Server": "proxy"},
        {"X_Forwarded_Port": "443"},
        {"CF_Connecting_IP": "10.0.0.1"},
        {"True_Client_IP": "10.0.0.1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://localhost"},
        {"Host": "localhost:3000", "Origin": "http://localhost:5173"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Forwarded": "for=10.0.0.1"},
        {"X_Forwarded_For": "10.0.0.1"},
        {"X_Forwarded_Host": "fleet.example"},
        {"X_Real_IP": "10.0.0.1"},
        {"Via": "1.1 proxy"},
    ],
)
async def test_foreign_pages_and_proxied_requests_are_refused(api: Api, headers: dict[str, str]) -> None:
    for method, path, body in (
        ("GET", "/api/sessions", None),
        ("GET", "/api/events", None),
        ("GET", "/api/healthz", None),
        ("GET", "/api/openapi.json", None),
        ("POST", "/api/sessions", {"directory": PLAIN}),
        ("DELETE", "/api/sessions/x", None),
        ("OPTIONS", "/api/sessions", None),
    ):
        problem = (await api.send(method, path, body, **headers)).problem(403, "forbidden_origin")
        assert problem["hint"]
    assert api.fleet.log.head() == 0


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", "x"],
)
async def test_write_in_a_media_type_that_html_forms_can_send_is_refused(api: Api, media_type: str) -> None:
    raw = b'{"directory": "%s"}' % PLAIN.encode()
    problem = (await api.send("POST", "/api/sessions", raw, Content_Type=media_type)).problem(
        415, "unsupported_media_type"
    )
    assert "application/json" in problem["hint"]
    assert api.fleet.log.head() == 0


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
async def test_write_in_json_is_accepted(api: Api, media_type: str) -> None:
    raw = b'{"directory": "%s"}' % PLAIN.encode()
    assert (await api.send("POST", "/api/sessions", raw, Content_Type=media_type)).status == 200


async def test_write_without_a_body_needs_no_media_type(api: Api) -> None:
    """As `curl -X POST …/abort` sends them."""
    item = await api.session()
    path = f"/api/sessions/{item['id']}"
    assert (await api.send("POST", f"{path}/abort")).status == 200
    assert (await api.send("DELETE", path)).status == 200
    assert (await api.send("POST", f"{path}/resume")).status == 200


async def test_no_foreign_page_gets_cors_headers(api: Api) -> None:
    for method in ("GET", "OPTIONS"):
        answer = await api.send(method, "/api/sessions")
        assert [name for name in answer.headers if name.startswith("access-control-")] == []
