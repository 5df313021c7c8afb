"""How the page gets to the browser: which file at which address, how long it may be kept, and in which encoding."""

from pathlib import Path

import pytest
import trio

from fleet.errors import StartupError
from fleet.gateway.routes.page import SHELL_RULES
from fleet.gateway.server import page_files as build_module
from fleet.gateway.server.middleware import PAGE_POLICY
from fleet.gateway.server.page_files import Build, read_build
from tests.gateway.builds import APP, BROTLI, FILES, MEMBERS, SHELL, WORKER, unzipped, write_build
from tests.gateway.machine import NOWHERE, Api
from tests.gateway.test_problems import raw

ADDRESSES = ["/", "/inbox", f"/s/{NOWHERE}", f"/s/{NOWHERE}/a/ses_x", "/new", "/history", "/log"]
ADDRESSES.extend(["/processes", "/settings", "/login", "/?q=x&sort=age", "/s/x?tab=diffs&at=7"])
FOR_GOOD = "public, max-age=31536000, immutable"


@pytest.fixture
def built(api: Api, tmp_path: Path) -> Api:
    """An API whose page is built."""
    return Api(api.fleet, build=read_build(write_build(tmp_path / "dashboard")))


@pytest.mark.parametrize("address", ADDRESSES)
async def test_each_address_of_the_page_gets_the_shell(built: Api, address: str) -> None:
    answer = await built.send("GET", address)
    assert (answer.status, answer.body) == (200, SHELL)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-security-policy"] == PAGE_POLICY
    assert answer.headers["x-frame-options"] == "DENY"


def test_these_are_all_addresses_of_the_page() -> None:
    assert len(SHELL_RULES) + 1 == len({address.partition("?")[0] for address in ADDRESSES} - {"/s/x"})


@pytest.mark.parametrize(
    ("name", "content_type", "cache"),
    [
        ("theme.js", "text/javascript; charset=utf-8", "no-cache"),
        ("manifest.webmanifest", "application/manifest+json", "no-cache"),
        ("icons/icon.svg", "image/svg+xml", "no-cache"),
        ("icons/icon-192.png", "image/png", "no-cache"),
        ("assets/app-1a2b.js", "text/javascript; charset=utf-8", FOR_GOOD),
        ("assets/app-3c4d.css", "text/css; charset=utf-8", FOR_GOOD),
        ("assets/mono-7a8b.woff2", "font/woff2", FOR_GOOD),
    ],
)
async def test_each_file_has_its_type_and_time_to_live(built: Api, name: str, content_type: str, cache: str) -> None:
    answer = await built.send("GET", f"/{name}")
    assert (answer.status, answer.body) == (200, FILES[name])
    assert answer.headers["content-type"] == content_type
    assert answer.headers["cache-control"] == cache
    assert "content-encoding" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_worker_gets_the_policy_of_the_page(built: Api) -> None:
    """A worker's policy is that of its own script: without one it could load no part of itself."""
    answer = await built.send("GET", "/assets/worker-5e6f.js")
    assert answer.headers["content-security-policy"] == PAGE_POLICY


@pytest.mark.parametrize("name", sorted(MEMBERS))
async def test_what_the_browser_has_is_not_sent_again(built: Api, name: str) -> None:
    address = "/" if name == "index.html" else f"/{name}"
    first = await built.send("GET", address)
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await built.send("GET", address, If_None_Match=known)
        assert (again.status, again.body) == (304, b"")
        for header in ("etag", "cache-control", "content-security-policy", "vary"):
            assert again.headers.get(header) == first.headers.get(header)
        assert "content-encoding" not in again.headers
    assert (await built.send("GET", address, If_None_Match='"other"')).status == 200


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("", None),
        ("identity", None),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, br;q=0.5", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("*", "br"),
        ("br;q=0, *", "gzip"),
        ("gzip;q=0.5, identity", None),
        ("br;q=0, gzip;q=0", None),
    ],
)
async def test_an_asset_comes_in_the_encoding_that_the_browser_prefers(
    built: Api, accepted: str, encoding: str | None
) -> None:
    answer = await built.send("GET", "/assets/app-1a2b.js", Accept_Encoding=accepted)
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert (unzipped(answer.body) if encoding == "gzip" else answer.body) == (BROTLI if encoding == "br" else APP)


async def test_an_encoding_that_was_not_made_is_not_given(built: Api) -> None:
    worker = await built.send("GET", "/assets/worker-5e6f.js", Accept_Encoding="br, gzip;q=0.1")
    assert (worker.headers["content-encoding"], unzipped(worker.body)) == ("gzip", WORKER)
    style = await built.send("GET", "/assets/app-3c4d.css", Accept_Encoding="br, gzip")
    assert {"content-encoding", "vary"} & style.headers.keys() == set()


async def test_each_encoding_has_a_tag_of_its_own(built: Api) -> None:
    tags = {
        accepted: (await built.send("GET", "/assets/app-1a2b.js", Accept_Encoding=accepted)).headers["etag"]
        for accepted in ("identity", "gzip", "br")
    }
    assert len(set(tags.values())) == 3
    other = await built.send("GET", "/assets/app-1a2b.js", Accept_Encoding="gzip", If_None_Match=tags["br"])
    assert other.status == 200


@pytest.mark.parametrize("address", ["/", "/assets/app-1a2b.js", "/theme.js"])
async def test_a_head_request_gets_the_size_and_no_body(built: Api, address: str) -> None:
    whole = await built.send("GET", address)
    head = await raw(built, f"HEAD {address} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) == len(whole.body)
    assert head.headers["etag"] == whole.headers["etag"]


async def test_a_304_ends_with_its_head(built: Api) -> None:
    tag = (await built.send("GET", "/")).headers["etag"]
    ask = f"GET / HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\n\r\n"
    async with built.listen() as port:
        answers = await _both(port, ask + ask.replace(f"If-None-Match: {tag}\r\n", "Connection: close\r\n"))
    assert [answer.split(b" ", 2)[1] for answer in answers] == [b"304", b"200"]
    assert answers[1].endswith(SHELL)
    assert b"content-length" not in answers[0].lower()
    assert b"content-type" not in answers[0].lower().replace(b"x-content-type-options", b"")


async def _both(port: int, asked: str) -> list[bytes]:
    received = b""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(asked.encode())
        async for chunk in stream:
            received += chunk
    return [b"HTTP/1.1" + part for part in received.split(b"HTTP/1.1")[1:]]


@pytest.mark.parametrize(
    "address",
    [
        "/assets/nothing.js",
        "/assets/app-1a2b.js.br",
        "/assets/",
        "/assets/../index.html",
        "/assets/..%2findex.html",
        "/assets/%2e%2e/%2e%2e/guard.cfg",
        "/assets//etc/passwd",
        "/assets/..%5c..%5cguard.cfg",
        "/assets/%00",
        "/icons/../theme.js",
        "/index.html",
        "/notes.txt",
        "/.vite/manifest.json",
        "/inbox/",
        "/s/",
        "/s/x/a",
        "/nothing",
    ],
)
async def test_no_other_address_gives_a_file(built: Api, address: str) -> None:
    answer = await raw(built, f"GET {address} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    answer.problem(404, "not_found")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("address", ["/", "/assets/app-1a2b.js", "/theme.js"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_can_be_sent_to_the_page(built: Api, method: str, address: str) -> None:
    (await built.send(method, address)).problem(405, "method_not_allowed")


# ------------------------------------------------------------------------------------------------------ without a build


@pytest.mark.parametrize("address", ADDRESSES)
async def test_without_a_build_the_page_says_how_to_make_one(api: Api, address: str) -> None:
    answer = await api.send("GET", address)
    assert (answer.status, answer.headers["content-type"]) == (503, "text/html; charset=utf-8")
    text = answer.body.decode()
    assert "make web" in text
    assert 'href="/api/docs"' in text
    assert "<script" not in text
    assert answer.headers["cache-control"] == "no-store"


async def test_without_a_build_the_api_works(api: Api) -> None:
    assert (await api.send("GET", "/api/sessions")).status == 200
    (await api.send("GET", "/theme.js")).problem(404, "not_found")


# ----------------------------------------------------------------------------------------------------------- the index


def test_the_index_has_what_browsers_may_ask_for(tmp_path: Path) -> None:
    build = read_build(write_build(tmp_path))
    assert build.files.keys() == MEMBERS
    assert build.files["assets/app-1a2b.js"].bodies.keys() == {"identity", "br", "gzip"}


def test_a_folder_without_a_shell_is_no_build(tmp_path: Path) -> None:
    assert read_build(tmp_path / "nothing") == Build()
    (write_build(tmp_path / "half") / "index.html").unlink()
    assert read_build(tmp_path / "half") == Build()


def test_links_are_no_part_of_a_build(tmp_path: Path) -> None:
    secret = tmp_path / "secret.js"
    secret.write_text("secret")
    folder = write_build(tmp_path / "dashboard")
    (folder / "assets" / "link.js").symlink_to(secret)
    (folder / "icons" / "all").symlink_to(tmp_path)
    assert read_build(folder).files.keys() == MEMBERS


def test_a_build_that_is_too_large_is_refused_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_module, "PAGE_BYTES_MAX", 1000)
    with pytest.raises(StartupError, match="make"):
        read_build(write_build(tmp_path))


def test_a_tag_changes_with_the_content(tmp_path: Path) -> None:
    before = read_build(write_build(tmp_path)).shell
    (tmp_path / "index.html").write_bytes(SHELL + b"<!-- more -->")
    after = read_build(tmp_path).shell
    assert before is not None
    assert after is not None
    assert before.tag("identity") != after.tag("identity")
