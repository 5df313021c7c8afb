"""`fleet diff`: patches that git applies, and what a person sees on a terminal."""

import base64
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from rich.cells import cell_len

from fleet.cli.commands.diff import patch
from fleet.wire.items import DiffItem
from tests.cli.terminal import fleet, on_terminal
from tests.client.line import Line
from tests.gateway.machine import REPOSITORY, Machine

ESCAPE = "\x1b]0;owned\x07\x1b[2J"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a.txt": "1\n2\n3\n", "gone.txt": "x\n"}, {"a.txt": "1\nzwei\n3", "new dir/naïve.txt": "y\n", 'q"uote': "z"}),
        ({}, {"empty": "", "crlf": "a\r\nb\r\n", "-dash": "x\n"}),
        ({"long": "".join(f"{n}\n" for n in range(500))}, {"long": "".join(f"{n}\n" for n in range(500) if n % 90)}),
    ],
)
def test_fleet_diff_prints_a_patch_that_git_applies(
    tmp_path: Path, before: dict[str, str], after: dict[str, str]
) -> None:

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True)

    def lay(files: dict[str, str]) -> None:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(text.encode())

    git("init", "-q")
    lay(before)
    text = b""
    for name in sorted(before | after):
        old, new = before.get(name), after.get(name)
        status: Any = "added" if old is None else "deleted" if new is None else "modified"
        text += patch(
            DiffItem(
                file=name,
                before=old,
                after=new,
                additions=0,
                deletions=0,
                status=status,
                is_binary=False,
                is_truncated=False,
                old_file=None,
                mode_before="100644",
                mode_after="100644",
                overlaps_with=[],
                encoding="utf-8",
                before_digest=None,
                after_digest=None,
            )
        )
    (tmp_path / "x.patch").write_bytes(text)
    git("apply", "x.patch")
    (tmp_path / "x.patch").unlink()
    found = {str(f.relative_to(tmp_path)): f.read_bytes().decode() for f in tmp_path.rglob("*") if f.is_file()}
    assert {name: text for name, text in found.items() if not name.startswith(".git/")} == after


def test_patch_of_text_that_is_not_utf_8_has_its_bytes() -> None:
    before, after = (base64.b64encode(content).decode() for content in (b"caf\xe9\n", b"caf\xe8\n"))
    item = DiffItem(
        file="a",
        before=before,
        after=after,
        additions=1,
        deletions=1,
        status="modified",
        is_binary=False,
        is_truncated=False,
        old_file=None,
        mode_before="100644",
        mode_after="100644",
        overlaps_with=[],
        encoding="base64",
        before_digest=None,
        after_digest=None,
    )
    assert patch(item).endswith(b"\n-caf\xe9\n+caf\xe8\n")


def test_a_patch_names_a_file_that_is_not_utf_8_as_git_does(tmp_path: Path) -> None:
    old, new = b"caf\xe9.txt", b'"q\xff'
    (tmp_path / os.fsdecode(old)).write_text("x\n")
    plain = DiffItem(
        file="a",
        before="x\n",
        after="y\n",
        additions=1,
        deletions=1,
        status="modified",
        is_binary=False,
        is_truncated=False,
        old_file="b",
        mode_before="100644",
        mode_after="100644",
        overlaps_with=[],
        encoding="utf-8",
        before_digest=None,
        after_digest=None,
    )
    names = {"file_bytes": base64.b64encode(new).decode(), "old_file_bytes": base64.b64encode(old).decode()}
    text = patch(msgspec.structs.replace(plain, **names))
    assert b'--- "a/caf\\351.txt"\n+++ "b/\\"q\\377"\n' in text
    subprocess.run(["git", "apply"], cwd=tmp_path, input=text, check=True, capture_output=True)
    assert [os.fsencode(each.name) for each in tmp_path.iterdir()] == [new]


async def changed(line: Line, machine: Machine, files: dict[str, bytes]) -> str:
    """Return a session that has made these files."""
    session_id = (await fleet(line, "new", REPOSITORY, "-i", "worktree")).out.strip()
    await trio.sleep(1)
    await line.api.send("POST", f"/api/sessions/{session_id}/prompt", {"text": "bash:5"})
    state = await line.api.fleet.views.sessions.wait(session_id, lambda s: s.turn is not None and s.turn.delivered)
    machine.files.contents.setdefault(state.directory, {}).update(files)
    await line.api.settled(session_id)
    return session_id


async def test_diff_is_paged_coloured_and_plain_on_a_terminal_and_a_patch_elsewhere(
    line: Line, machine: Machine
) -> None:
    session_id = await changed(line, machine, {"a.txt": f"one\n{ESCAPE}\n".encode()})
    assert "changed" in (await fleet(line, "diff", session_id, "--stat")).out
    names = (await fleet(line, "diff", session_id, "--name-only")).out.split()
    piped = (await fleet(line, "diff", session_id)).out
    assert names == ["a.txt"]
    assert f"+++ b/a.txt\n@@ -0,0 +1,2 @@\n+one\n+{ESCAPE}\n" in piped
    paged = await on_terminal(line, "diff", session_id, pager="sed s/^/paged:/")
    assert paged.code == 0
    assert "paged:\x1b[1mdiff --git" in paged.out
    assert ESCAPE not in paged.out
    none = await on_terminal(line, "diff", session_id, pager="/no/such/pager")
    assert none.code == 1
    assert (
        none.out
        == "fleet: The pager /no/such/pager cannot be started: No such file or directory. Set FLEET_PAGER or PAGER.\r\n"
    )
    early = await on_terminal(line, "diff", session_id, pager="head -n 1")
    assert early.code == 0


async def test_a_pager_has_ended_when_the_command_says_that_git_is_missing(
    line: Line, machine: Machine, tmp_path: Path
) -> None:
    session_id = await changed(line, machine, {"a.txt": b"one\n"})
    pager = shlex.join([sys.executable, "-c", "import sys; sys.stdin.read(); print('the pager ends')"])
    done = await on_terminal(line, "diff", session_id, pager=pager, PATH=str(tmp_path))
    assert done.code == 1
    assert done.out.split("\r\n")[0] == "the pager ends"
    assert "needs git on the PATH" in done.out
    assert "Traceback" not in done.out


async def test_patch_omits_and_names_files_that_git_could_not_apply(
    line: Line, machine: Machine, tmp_path: Path
) -> None:
    session_id = await changed(
        line, machine, {"a.txt": b"one\n", "logo\x1b[2J.png": b"\x89PNG\x00\x01", "z.txt": b"two\n"}
    )
    piped = await fleet(line, "diff", session_id)
    assert piped.code == 0
    assert piped.err == "fleet: logo.png is not in the patch: it is binary.\n"
    assert "logo" not in piped.out
    await trio.run_process(["git", "init", "-q"], cwd=tmp_path)
    await trio.run_process(["git", "apply", "-"], stdin=piped.out.encode(), cwd=tmp_path)
    assert (tmp_path / "z.txt").read_text() == "two\n"
    assert "Binary files" in (await on_terminal(line, "diff", session_id)).out


async def test_carriage_return_in_a_diff_starts_no_line_on_a_terminal(line: Line, machine: Machine) -> None:
    evil = b"innocent\r-removed\r\ndiff\x0b--git a/x b/x\x1b[1A\n"
    shown = await on_terminal(line, "diff", await changed(line, machine, {"a.txt": evil}))
    lines = [re.sub(r"\x1b\[\d*(;\d+)*m", "", each) for each in shown.out.replace("\r\n", "\n").splitlines()]
    assert lines[-2:] == ["+innocent\\r-removed\\r", "+diff\\x0b--git a/x b/x\\x1b[1A"]


async def test_columns_of_diff_statistics_are_aligned(line: Line, machine: Machine) -> None:
    names = ("a.txt", "日本語.txt", f"{'長' * 60}.txt")
    session_id = await changed(line, machine, dict.fromkeys(names, b"one\n"))
    *files, total = (await fleet(line, "diff", session_id, "--stat")).out.splitlines()
    assert {cell_len(each.partition("|")[0]) for each in files} == {42}
    assert total.strip().startswith("3 files changed, 3 insertions(+)")
