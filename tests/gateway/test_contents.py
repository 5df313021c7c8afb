"""Files of a session's workspace: what is inside can be read, and nothing else."""

import base64
import os
from pathlib import Path

import pytest

from fleet.limits import FILE_READ_BYTES_MAX
from tests.gateway.machine import Answer, Api, Machine


@pytest.fixture
def root(tmp_path: Path, machine: Machine) -> Path:
    """A directory on this machine's disk in which sessions may work."""
    root = tmp_path.resolve() / "project"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("not yours")
    machine.files.directories.add(str(root))
    return root


@pytest.fixture
async def session_id(api: Api, root: Path) -> str:
    return str((await api.session(str(root)))["id"])


async def read(api: Api, session_id: str, path: str = "") -> Answer:
    return await api.send("GET", f"/api/sessions/{session_id}/files{path}")


async def test_a_directory_lists_its_entries_by_name(api: Api, root: Path, session_id: str) -> None:
    (root / "src").mkdir()
    (root / "src" / "app.py").write_text("print()\n")
    (root / "README.md").write_text("# Project\n")
    (root / "link").symlink_to("README.md")
    os.mkfifo(root / "pipe")
    listed = (await read(api, session_id)).json
    assert (listed["path"], listed["type"], listed["total"], listed["isTruncated"]) == ("", "directory", 4, False)
    found = [(entry["path"], entry["type"], entry["sizeBytes"]) for entry in listed["entries"]]
    assert found == [
        ("README.md", "file", 10),
        ("link", "symlink", None),
        ("pipe", "other", None),
        ("src", "directory", None),
    ]
    below = (await read(api, session_id, "/src")).json
    assert [(entry["name"], entry["path"]) for entry in below["entries"]] == [("app.py", "src/app.py")]


async def test_text_is_text_and_anything_else_is_base64(api: Api, root: Path, session_id: str) -> None:
    (root / "größe.txt").write_text("Zürich\n")
    (root / "binary").write_bytes(b"\x00\xff")
    text = (await read(api, session_id, "/größe.txt")).json
    assert (text["encoding"], text["content"], text["sizeBytes"]) == ("utf-8", "Zürich\n", 8)
    binary = (await read(api, session_id, "/binary")).json
    assert (binary["encoding"], base64.b64decode(binary["content"])) == ("base64", b"\x00\xff")


async def test_a_large_file_is_cut_between_characters(api: Api, root: Path, session_id: str) -> None:
    (root / "large.txt").write_text("x" * (FILE_READ_BYTES_MAX - 1) + "ü and more")
    found = (await read(api, session_id, "/large.txt")).json
    assert (found["encoding"], found["isTruncated"]) == ("utf-8", True)
    assert found["content"] == "x" * (FILE_READ_BYTES_MAX - 1)
    assert found["sizeBytes"] == FILE_READ_BYTES_MAX + 10


async def test_symlinks_are_followed_inside_only(api: Api, root: Path, session_id: str) -> None:
    (root / "here").mkdir()
    (root / "here" / "file").write_text("inside")
    (root / "inside").symlink_to("here/file")
    (root / "outside").symlink_to("../secret.txt")
    (root / "absolute").symlink_to("/etc")
    (root / "circle").symlink_to("circle")
    assert (await read(api, session_id, "/inside")).json["content"] == "inside"
    for path in ("/outside", "/absolute/passwd", "/absolute", "/here/../../secret.txt", "/%2e%2e/secret.txt"):
        (await read(api, session_id, path)).problem(422, "path_outside_workspace")
    (await read(api, session_id, "/circle")).problem(422, "file_unreadable")


@pytest.mark.parametrize("path", ["/missing", "/file/below", "/" + "x" * 300])
async def test_missing_file_is_not_found(api: Api, root: Path, session_id: str, path: str) -> None:
    (root / "file").touch()
    (await read(api, session_id, path)).problem(404, "file_not_found")


async def test_a_pipe_is_refused_without_a_wait(api: Api, root: Path, session_id: str) -> None:
    os.mkfifo(root / "pipe")
    (await read(api, session_id, "/pipe")).problem(422, "file_unreadable")
    (await read(api, session_id, "/a%00b")).problem(422, "path_outside_workspace")


async def test_a_workspace_that_is_gone(api: Api, root: Path, session_id: str) -> None:
    (root.parent / "secret.txt").unlink()
    root.rmdir()
    (await read(api, session_id)).problem(410, "workspace_gone")


async def test_an_unknown_session_and_another_s_instance(api: Api, session_id: str) -> None:
    (await read(api, "nobody")).problem(404, "session_not_found")
    (await read(api, session_id, "?instanceId=other")).problem(404, "instance_not_found")
    (await read(api, session_id, "?paths=x")).problem(422, "invalid")


async def test_without_a_list_there_is_nothing_to_do(api: Api, session_id: str) -> None:
    answer = await api.send("GET", f"/api/sessions/{session_id}/todos")
    assert (answer.status, answer.json) == (200, [])
