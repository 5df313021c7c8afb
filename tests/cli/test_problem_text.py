"""What is refused, in the words of the command line: options and commands, not fields and requests; and exit codes."""

import pytest
import trio
from typer.testing import CliRunner

from fleet.cli.app import command_line
from fleet.cli.problem_text import sentence_of
from fleet.client import Conflict
from fleet.core.session.transitions import STATUSES
from tests.cli.terminal import fleet, on_terminal
from tests.client.line import Line
from tests.gateway.machine import PLAIN


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["new", PLAIN, "--title", ""], "--title: "),
        (["new", PLAIN, "--tag", ""], "--tag: "),
        (["history", "--from", "yesterday"], "--from: "),
        (["ls", "--status", "bogus"], "--status"),
        (["ls", "--url", "localhost:4411"], "http://localhost:3000"),
    ],
)
async def test_a_wrong_value_names_its_option_and_ends_with_2(line: Line, command: list[str], option: str) -> None:
    done = await fleet(line, *command)
    assert (done.code, option in done.err) == (2, True), done.err


def test_help_of_fleet_ls_lists_every_status() -> None:
    shown = CliRunner().invoke(command_line(), ["ls", "--help"], env={"COLUMNS": "300", "TERMINAL_WIDTH": "300"}).output
    assert all(status in shown for status in STATUSES)


async def test_hints_of_errors_name_commands_instead_of_requests(line: Line) -> None:
    session_id = (await fleet(line, "new", PLAIN)).out.strip()
    await fleet(line, "stop", session_id)
    late = await fleet(line, "prompt", session_id, "Late")
    assert late.code == 1
    assert "`fleet resume`" in late.err
    assert "POST" not in late.err
    stranger = await fleet(line, "ls", FLEET_TOKEN="unknown")
    assert stranger.code == 1
    assert "FLEET_TOKEN" in stranger.err
    assert "Bearer" not in stranger.err


async def test_another_program_on_the_port_is_reported_as_no_fleet(line: Line) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(65536)
            await stream.send_all(b"HTTP/1.1 404 No\r\nContent-Length: 15\r\n\r\n<h1>A page</h1>")

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        foreign = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        for url in (foreign, f"{line.url}/api"):
            done = await fleet(line, "ls", "--url", url)
            assert done.code == 1
            assert done.err.startswith(f"fleet: The server at {url} (HTTP 404) is not Fleet")
            assert "page" not in done.err
        nursery.cancel_scope.cancel()
    secure = await fleet(line, "ls", "--url", line.url.replace("http:", "https:"))
    assert secure.code == 6
    assert "Fleet itself speaks http" in secure.err
    assert "ConnectError" not in secure.err


async def test_ctrl_c_under_wait_says_that_the_session_continues(line: Line) -> None:
    session_id = (await fleet(line, "new", PLAIN)).out.strip()
    done = await on_terminal(line, "prompt", session_id, "hang", "--wait", interrupt_at=b"turn 1")
    assert done.code == 130
    assert f"fleet: the session continues; `fleet abort {session_id}` stops its turn." in done.out


async def test_ctrl_c_at_a_question_ends_the_command(line: Line) -> None:
    session_id = (await fleet(line, "new", PLAIN, "--title", "Kept")).out.strip()
    done = await on_terminal(line, "rm", session_id, interrupt_at=b"for good?")
    assert done.code == 130
    assert (await fleet(line, "show", session_id)).code == 0


async def test_wait_option_prints_each_event_once(line: Line) -> None:
    for text in ("Say it", "fail"):
        done = await fleet(line, "new", PLAIN, "--prompt", text, "--wait")
        *_, before, last = done.err.splitlines()
        assert ": " in before
        assert before.partition(": ")[2] not in last


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("Use force=true to leave the workspace.", "Use --force to leave the workspace."),
        ('Resume it with "fresh": true.', "Resume it with --fresh."),
        (
            "Restore it with POST /api/workspaces/0198/restore.",
            "Restore it with `fleet workspaces restore 0198`.",
        ),
        ("`fleet x` creates it again (POST /api/workspaces/0198/restore).", "`fleet x` creates it again."),
    ],
)
def test_a_hint_is_in_the_words_of_the_command_line(hint: str, said: str) -> None:
    error = Conflict("workspace_busy", "sessions need the workspace", members={"hint": hint})
    assert sentence_of(error, "http://localhost:3000") == f"sessions need the workspace [workspace_busy]. {said}"


def test_option_is_named_whatever_the_server_refuses_about_it() -> None:
    error = Conflict("base_ref_unknown", "'nope' does not name a commit", members={"field": "baseRef"})
    expected = "--base: 'nope' does not name a commit [base_ref_unknown]."
    assert sentence_of(error, "http://localhost:3000") == expected
