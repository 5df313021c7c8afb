"""The routes of a backup: for operators only, and no way to a file that a backup does not have."""

from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from fleet.events.blobs import name_of
from fleet.gateway.server.guard import Guard
from fleet.wire.backup import Contents, ErasedStreams, FileChunk, FileList, Origin, Owners, Records
from tests.gateway.keys import Keys, bearer
from tests.gateway.machine import PLAIN, Api, Machine

PARTS = (
    "",
    "/log?through=1",
    "/erased",
    "/owners",
    f"/contents?digests={'0' * 64}",
    "/files",
    "/file?path=tokens.json",
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "fleet"
    (data / "webhooks").mkdir(parents=True)
    (data / "webhooks" / "w1.json").write_text("{}")
    (data / "signing.key").write_text("a key")
    (data / "local-token").write_text("not for a backup")
    (data / "webhooks" / "link.json").symlink_to(data / "local-token")
    return data


@pytest.fixture
async def kept(machine: Machine, data: Path) -> AsyncGenerator[Api]:
    """The API of a Fleet with a data directory."""
    async with machine.fleet() as api:
        api.fleet.directory = data
        yield Api(api.fleet)


async def test_parts_have_the_log_the_contents_and_the_files(kept: Api, data: Path) -> None:
    session = await kept.session(PLAIN)
    [digest] = await kept.fleet.blobs.put(f"session-{session['id']}", [b"a content"])
    origin = msgspec.msgpack.decode((await kept.send("GET", "/api/backup")).body, type=Origin)
    assert (origin.head, origin.contents) == (kept.fleet.log.head(), 1)
    found = await kept.send("GET", f"/api/backup/log?after=1&through={origin.head}")
    records = msgspec.msgpack.decode(found.body, type=Records).records
    assert [raw for raw, _ in records] == [kept.fleet.log.read_record(n) for n in range(2, origin.head + 1)]
    owners = msgspec.msgpack.decode((await kept.send("GET", "/api/backup/owners")).body, type=Owners)
    assert owners == Owners([(f"session-{session['id']}", bytes.fromhex(digest))], more=False)
    rest = await kept.send("GET", f"/api/backup/owners?after=session-{session['id']}&digest={digest}")
    assert msgspec.msgpack.decode(rest.body, type=Owners) == Owners([], more=False)
    asked = f"{name_of(b'none')},{digest}"
    contents = msgspec.msgpack.decode(
        (await kept.send("GET", f"/api/backup/contents?digests={asked}")).body, type=Contents
    )
    assert (len(contents.contents), contents.done) == (1, 2)
    files = msgspec.msgpack.decode((await kept.send("GET", "/api/backup/files")).body, type=FileList)
    assert [file.path for file in files.files] == ["signing.key", "webhooks/w1.json"]
    chunk = await kept.send("GET", "/api/backup/file?path=signing.key&offset=2")
    assert msgspec.msgpack.decode(chunk.body, type=FileChunk) == FileChunk(b"key", end=True)
    done = await kept.send("POST", "/api/backup", {"position": origin.head})
    assert done.json["position"] == origin.head
    (await kept.send("POST", "/api/backup", {"position": 10**6})).problem(422, "invalid")
    assert b'"position":' in (data / "last-backup.json").read_bytes()


async def test_an_erased_stream_is_named_with_its_last_erased_event(kept: Api) -> None:
    session = await kept.session(PLAIN)
    await kept.send("DELETE", f"/api/sessions/{session['id']}?permanent=true")
    [(stream, through)] = msgspec.msgpack.decode(
        (await kept.send("GET", "/api/backup/erased")).body, type=ErasedStreams
    ).streams
    assert stream == f"session-{session['id']}"
    assert kept.fleet.log.read_headers([through])[0].type == "session.erased"


@pytest.mark.parametrize(
    "path",
    [
        "local-token",
        "webhooks/link.json",
        "../fleet/signing.key",
        "webhooks/../signing.key",
        "/etc/passwd",
        "",
        "trees",
    ],
)
async def test_no_other_file_can_be_read(kept: Api, path: str) -> None:
    (await kept.send("GET", f"/api/backup/file?path={quote(path)}")).problem(404, "file_not_found")


async def test_only_operators_may_read_a_backup_and_no_session(machine: Machine, kept: Api, tmp_path: Path) -> None:
    session = await kept.session(PLAIN)
    keys = Keys(tmp_path / "keys", machine)
    api = Api(kept.fleet, Guard(machine.clock, keys.file))
    viewer, operator = bearer(keys.new("v", "viewer")), bearer(keys.new("o"))
    for part in PARTS:
        (await api.send("GET", f"/api/backup{part}", **viewer)).problem(403, "read_only")
        (await api.send("GET", f"/api/backup{part}")).problem(401, "token_required")
        answer = await api.send("GET", f"/api/backup{part}", **operator, Fleet_Session=session["id"])
        answer.problem(403, "agent_refused")
