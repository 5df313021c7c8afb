"""The commands for sessions, as scripts use them: output, exit codes, errors."""

import json
import subprocess
from pathlib import Path

import pytest
import trio

from fleet.client import FleetClient
from fleet.ports import NotCarried
from tests.cli.terminal import PROGRAM, environment, fleet, on_terminal
from tests.client.line import Line
from tests.gateway.machine import NOWHERE, PLAIN, REPOSITORY, Machine

ESCAPE = "\x1b]0;owned\x07\x1b[2J"


async def make(line: Line, *options: str) -> str:
    """Create a session and return its id."""
    done = await fleet(line, "new", PLAIN, *options)
    assert done.code == 0, done.err
    return done.out.strip()


async def test_session_is_created_followed_listed_and_ended(line: Line) -> None:
    done = await fleet(
        line,
        "new",
        REPOSITORY,
        "-i",
        "worktree",
        "--title",
        "One",
        "--tag",
        "a",
        "--prompt",
        "-",
        "--wait",
        stdin="Do it",
    )
    session_id = done.out.strip()
    assert done.code == 0, done.err
    assert "> Do it" in done.err
    assert "finished" in done.err
    (item,) = json.loads((await fleet(line, "ls", "--tag", "a", "--json")).out)
    assert (item["id"], item["title"], item["outcome"]) == (session_id, "One", "finished")
    listed = (await fleet(line, "ls")).out.splitlines()
    assert listed[1].split()[:3] == [session_id[:13], "idle", "One"]
    assert (await fleet(line, "ls", "--at", "0")).out == "There is no session yet.\n"
    then = await fleet(line, "show", session_id, "--at", item["updatedAt"])
    assert (then.code, session_id in then.out) == (0, True)
    ahead = await fleet(line, "show", session_id, "--at", "2999-01-01")
    assert (ahead.code, "ahead of the log" in ahead.err) == (2, True)
    shown = (await fleet(line, "show", session_id, "--conversation")).out
    assert "> Do it" in shown
    assert session_id in shown
    prompted = await fleet(line, "prompt", session_id, "More, with write:2", "--wait")
    assert prompted.code == 0
    assert "> More" in prompted.out
    assert "> Do it" not in prompted.out
    assert (await fleet(line, "compact", session_id)).code == 0
    refused = await fleet(line, "prompt", session_id, "/nope")
    assert (refused.code, "/review" in refused.err) == (1, True)
    assert (await fleet(line, "prompt", session_id, "/review", "--wait")).code == 0
    assert (await fleet(line, "abort", session_id)).out == "nothing to abort\n"
    assert (await fleet(line, "stop", session_id)).out.startswith("stopped")
    late = await fleet(line, "prompt", session_id, "Late")
    assert (late.code, late.err.count("\n")) == (1, 1)
    assert "session_stopped" in late.err
    assert (await fleet(line, "resume", session_id)).code == 0
    await fleet(line, "stop", session_id)
    fresh = json.loads((await fleet(line, "resume", session_id, "--fresh", "--json")).out)["session"]
    assert fresh["opencodeId"] != item["opencodeId"]
    forked = await fleet(line, "fork", session_id, "--title", "Two", "--json")
    assert json.loads(forked.out)["title"] == "Two"
    asked = await fleet(line, "rm", session_id)
    assert (asked.code, "--yes" in asked.err) == (2, True)
    assert "erased" in (await fleet(line, "rm", session_id, "--yes")).out
    assert (await fleet(line, "show", session_id)).code == 1


async def test_show_names_files_that_were_not_carried_into_the_workspace(line: Line, machine: Machine) -> None:
    machine.files.repositories[REPOSITORY].not_carried = (NotCarried("hooks", f"No hooks came along.{ESCAPE}"),)
    made = (await fleet(line, "new", REPOSITORY, "--isolation", "clone")).out.strip()
    shown = (await fleet(line, "show", made)).out
    assert "lacks      No hooks came along." in shown
    assert "ports      20000 to 20009" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(("text", "code"), [("Say it", 0), ("fail", 3), ("ask", 5), ("question", 5)])
async def test_the_exit_code_says_the_outcome(line: Line, text: str, code: int) -> None:
    done = await fleet(line, "new", PLAIN, "--prompt", text, "--wait", "--json")
    assert done.code == code, done.err
    assert json.loads(done.out)["turns"] == 1


async def test_exit_code_of_an_aborted_turn_is_not_0(line: Line) -> None:
    session_id = await make(line)
    async with trio.open_nursery() as nursery:

        async def abort() -> None:
            await line.api.fleet.views.sessions.wait(session_id, lambda s: s.turn is not None)
            await line.api.send("POST", f"/api/sessions/{session_id}/abort")

        nursery.start_soon(abort)
        assert (await fleet(line, "prompt", session_id, "hang", "--wait")).code == 4


async def test_show_says_why_prompts_wait(line: Line) -> None:
    session_id = await make(line, "--prompt", "hang")
    await line.api.fleet.views.sessions.wait(session_id, lambda s: s.turn is not None and s.turn.delivered)
    assert (await fleet(line, "prompt", session_id, "and then that")).code == 0
    assert (await fleet(line, "abort", session_id)).code == 0
    shown = (await fleet(line, "show", session_id)).out
    assert "queue      1 waits; the last turn was aborted: a further prompt starts them" in shown


async def test_open_requests_are_shown_and_answered(line: Line) -> None:
    permission, question = await make(line, "--prompt", "ask"), await make(line, "--prompt", "question")
    for session_id in (permission, question):
        await line.api.fleet.views.sessions.wait(session_id, lambda s: bool(s.requests))
    shown = (await fleet(line, "inbox")).out
    assert "permission" in shown
    assert "question" in shown
    wrong = await fleet(line, "answer", permission, "perhaps")
    assert (wrong.code, "once, always, reject" in wrong.err) == (2, True)
    assert (await fleet(line, "answer", permission, "once")).code == 0
    assert (await fleet(line, "answer", question, "Blue")).code == 0
    for session_id in (permission, question):
        await line.api.settled(session_id)
    assert (await fleet(line, "inbox")).out == "Nothing waits for you.\n"
    assert "no open request" in (await fleet(line, "answer", question, "Blue")).err


async def test_a_session_is_named_by_the_beginning_of_its_id(line: Line) -> None:
    one, two = await make(line), await make(line)
    opencode_id = line.api.fleet.sessions.session(one).opencode.session_id
    for name in (one, opencode_id, opencode_id[:-3], one[: _apart(one, two)]):
        done = await fleet(line, "show", name, "--json")
        assert (done.code, json.loads(done.out)["id"]) == (0, one), name
    both = await fleet(line, "show", one[:3])
    assert both.code == 1
    assert one in both.err
    assert two in both.err
    for name in ("nothing", NOWHERE):
        none = await fleet(line, "show", name)
        assert (none.code, "session_not_found" in none.err) == (1, True)


def _apart(one: str, two: str) -> int:
    return next(at for at in range(len(one)) if one[at] != two[at]) + 1


async def test_log_history_and_top_show_a_session(line: Line) -> None:
    session_id = await make(line, "--title", "Searched", "--prompt", "Something rare")
    await line.api.settled(session_id)
    events = [json.loads(each) for each in (await fleet(line, "log", "show", "--json", "-n", "5")).out.splitlines()]
    assert [event["position"] for event in events] == list(
        range(line.api.fleet.log.head() - 4, line.api.fleet.log.head() + 1)
    )
    assert json.loads((await fleet(line, "log", "show", "1")).out)["type"] == "session.created"
    assert "are intact" in (await fleet(line, "log", "verify")).out
    assert "session.created" in (await fleet(line, "log", "show", "--after", "0")).out
    for options in (("--session", session_id[:12], "--type", "session.created"), ("--actor", "local", "--before", "2")):
        found = [json.loads(each) for each in (await fleet(line, "log", "show", "--json", *options)).out.splitlines()]
        assert [event["type"] for event in found] == ["session.created"]
    newest = [
        json.loads(each) for each in (await fleet(line, "log", "show", "--json", "-r", "-n", "3")).out.splitlines()
    ]
    assert [event["position"] for event in newest] == [event["position"] for event in events][:1:-1]
    nobody = await fleet(line, "log", "show", "--from", "2099-01-01", "--json")
    assert (nobody.code, nobody.out) == (0, "")
    wrong = await fleet(line, "log", "show", "--type", "session.born")
    assert (wrong.code, "--type: " in wrong.err) == (2, True)
    assert session_id[:13] in (await fleet(line, "history", "rare")).out
    assert "Nothing was found" in (await fleet(line, "history", "absent")).out
    assert session_id[:13] in (await fleet(line, "top")).out
    looked = json.loads((await fleet(line, "top", "--json")).out)
    assert looked["summary"]["sessions"] == {"idle": 1}
    assert [each["id"] for each in looked["sessions"]] == [session_id]


async def test_tail_shows_one_or_all_and_the_json_is_the_log(line: Line) -> None:
    one, two = await make(line, "--title", "First"), await make(line, "--title", "Second")
    await line.api.prompt(one, "Only here")
    await line.api.prompt(two, "Only there")
    everything = (await fleet(line, "tail", "--once")).out
    assert "First" in everything
    assert "> Only there" in everything
    alone = (await fleet(line, "tail", one, "--once")).out
    assert "> Only here" in alone
    assert "Only there" not in alone
    told = [json.loads(each) for each in (await fleet(line, "tail", "--once", "--json")).out.splitlines()]
    assert [event["position"] for event in told] == list(range(1, line.api.fleet.log.head() + 1))


async def test_tail_ends_with_130_at_ctrl_c(line: Line) -> None:
    session_id = await make(line, "--prompt", "Say something")
    await line.api.settled(session_id)
    done = await on_terminal(line, "tail", session_id, "--after", "0", interrupt_at=b"finished")
    assert done.code == 130
    assert "Traceback" not in done.out
    assert "\x1b[" in done.out  # coloured


async def test_closed_output_pipe_is_no_error(line: Line) -> None:
    await make(line, "--prompt", "Say something")
    read = await trio.run_process(
        ["sh", "-c", '"$@" tail --once --json | head -n 1; true', "sh", *PROGRAM],
        env=environment(line),
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )
    assert read.stdout.count(b"\n") == 1
    assert read.stderr == b""


@pytest.mark.parametrize("more", [["--json"], []])
async def test_tail_ends_with_its_reader_without_further_events(line: Line, more: list[str]) -> None:
    session_id = await make(line, "--prompt", "Say something")
    await line.api.settled(session_id)
    process = await trio.lowlevel.open_process(
        [*PROGRAM, "tail", "--after", "0", *more],
        env=environment(line),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    head = line.api.fleet.log.head()
    said = b""
    while said.count(b"\n") < (head if more else 1):
        said += await process.stdout.receive_some()
    with trio.move_on_after(5):  # until it waits
        await process.stdout.receive_some()
    await process.stdout.aclose()
    with trio.move_on_after(60):
        await process.wait()
    ended = process.returncode
    process.kill()
    await process.wait()
    assert (ended, await process.stderr.receive_some(), line.api.fleet.log.head()) == (141, b"", head)


async def test_no_server_says_how_to_start_one(line: Line) -> None:
    await line.stop()
    done = await fleet(line, "ls")
    assert done.code == 6
    assert line.url in done.err
    assert "fleet serve" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("url", ["localhost:3000", "ftp://x", "http://", "http://[::1"])
async def test_wrong_server_address_is_reported(line: Line, url: str) -> None:
    done = await fleet(line, "ls", "--url", url)
    assert (done.code, "address" in done.err, "Traceback" in done.err) == (2, True, False)


async def test_the_token_comes_from_the_environment_or_a_file(line: Line, tmp_path: Path) -> None:
    seen: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            seen.append(await stream.receive_some(65536))
            await stream.send_all(b"HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    (tmp_path / "token").write_text("from-file\n")
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        for more in ({"FLEET_TOKEN": "from-environment"}, {"FLEET_TOKEN_FILE": str(tmp_path / "token")}):
            done = await fleet(line, "ls", "--url", url, **more)
            assert (done.code, "from-" in done.err) == (1, False)
        nursery.cancel_scope.cancel()
    assert b"Bearer from-environment" in seen[0]
    assert b"Bearer from-file" in seen[1]
    missing = await fleet(line, "ls", "--token-file", str(tmp_path / "none"))
    assert (missing.code, "token cannot be read" in missing.err) == (1, True)


@pytest.mark.parametrize("token", ["ü", "a\nb", "a b", " ", "\x1b[2J"])
async def test_invalid_token_is_reported_from_every_source(line: Line, tmp_path: Path, token: str) -> None:
    (tmp_path / "token").write_text(token)
    for more, place in (({"FLEET_TOKEN": token}, "FLEET_TOKEN"), ({"FLEET_TOKEN_FILE": str(tmp_path / "token")}, "/")):
        done = await fleet(line, "ls", **more)
        assert done.code == 1
        assert done.err.startswith(f"fleet: {place}")
        assert done.err.endswith("does not contain a token: a token is one word, as `fleet token new` prints it.\n")
    asked = await fleet(line, "ps", "--url", line.url, FLEET_TOKEN=token)  # by a way of its own
    assert (asked.code, "FLEET_TOKEN does not contain a token" in asked.err) == (1, True)
    assert (await fleet(line, "ls", FLEET_TOKEN="")).code == 0


async def test_hostile_titles_and_prompts_reach_no_terminal(line: Line) -> None:
    session_id = (await line.api.session(title=f"Bad{ESCAPE}title"))["id"]
    await line.api.prompt(session_id, f"say {ESCAPE}it")
    for command in (
        ["ls"],
        ["show", session_id, "-c"],
        ["tail", session_id, "--once"],
        ["top", "--once"],
        ["history", "title"],
    ):
        done = await on_terminal(line, *command)
        assert done.code == 0, done
        assert "\x1b]" not in done.out
        assert "\x07" not in done.out
        assert "\x1b[2J" not in done.out


async def test_characters_that_the_locale_lacks_are_shown_as_escapes(line: Line) -> None:
    session_id = await make(line, "--title", "日本 🙂", "--prompt", "Say naïve")
    await line.api.settled(session_id)
    around = environment(line, LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")

    async def run(*command: str) -> str:
        done = await trio.run_process([*PROGRAM, *command], env=around, capture_stdout=True, capture_stderr=True)
        assert done.stderr == b""
        return done.stdout.decode("ascii")

    assert "> Say na\\xefve" in await run("tail", session_id, "--after", "0", "--once")
    assert "\\u65e5\\u672c \\U0001f642" in await run("ls")
    assert json.loads(await run("show", session_id, "--json"))["title"] == "日本 🙂"


async def test_empty_prompts_wrong_models_and_wait_without_a_prompt_are_refused(line: Line) -> None:
    for arguments in (
        ["new", PLAIN, "--wait"],
        ["new", PLAIN, "--prompt", " "],
        ["new", PLAIN, "-p", "x", "--model", "y"],
    ):
        done = await fleet(line, *arguments)
        assert done.code == 2, done.err
    assert list(line.api.fleet.views.sessions) == []


async def test_the_shell_completes_commands_and_sessions(line: Line) -> None:
    session_id = await make(line, "--title", "One")
    assert await completed(line, "fleet", "ser") == ["serve"]
    assert await completed(line, "fleet", "show", session_id[:10]) == [session_id]
    assert await completed(line, "fleet", "tail", "", FLEET_URL="http://localhost:1") == []
    assert await completed(line, "fleet", "ls", "--parent", session_id[:10]) == [session_id]
    assert await completed(line, "fleet", "new", "--notify", session_id[:10]) == [session_id]
    assert await completed(line, "fleet", "ls", "--status", "wait") == ["waiting_input"]


async def test_a_prompt_to_a_session_that_waits_for_a_person_says_so_at_once(line: Line) -> None:
    made = await fleet(line, "new", PLAIN, "--prompt", "ask", "--wait")
    assert made.code == 5
    session_id = made.out.strip()
    for arguments in (["--wait"], ["--wait", "--json"], []):
        with trio.fail_after(120):
            done = await fleet(line, "prompt", session_id, "more", *arguments)
        assert done.code == (5 if arguments else 0)
        assert "the prompt waits: the session asks for an answer (permission): see the inbox" in done.err
    assert ", and 2 before it." in done.err


async def test_always_names_the_other_sessions_that_it_holds_for(line: Line) -> None:
    first, second = await make(line), await make(line)
    await fleet(line, "prompt", first, "ask", "--wait")
    done = await fleet(line, "answer", first, "always")
    assert done.code == 0
    assert f"OpenCode does not ask other sessions in the same directory either: {second}." in done.err


async def test_prompt_to_a_session_with_an_exceeded_budget_says_so_at_once(line: Line) -> None:
    made = await fleet(line, "new", PLAIN, "--prompt", "work", "--tokens", "1", "--wait")
    assert made.code == 0
    with trio.fail_after(120):
        done = await fleet(line, "prompt", made.out.strip(), "more", "--wait")
    assert done.code == 5
    assert "the prompt waits: the budget is used up: " in done.err
    async with FleetClient(line.url) as client:
        with trio.fail_after(120):
            item = await client.session(made.out.strip()).wait()
    assert (item.status, item.queued, item.queue_paused is None) == ("idle", 1, False)


async def test_prompt_behind_a_running_turn_says_so(line: Line) -> None:
    made = await fleet(line, "new", PLAIN, "--prompt", "hang")
    done = await fleet(line, "prompt", made.out.strip(), "more")
    assert (done.code, done.err) == (0, "fleet: the prompt waits: a turn runs.\n")
    assert (await fleet(line, "abort", made.out.strip())).code == 0


async def completed(line: Line, *words: str, **more: str) -> list[str]:
    """Ask as a shell does that wants to complete the last word; nothing may be complained of."""
    asked = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1), "_FLEET_COMPLETE": "complete_bash"}
    around = environment(line, **asked, **more)
    done = await trio.run_process(list(PROGRAM), env=around, capture_stdout=True, capture_stderr=True, check=False)
    assert done.stderr == b""
    return done.stdout.decode().split()
