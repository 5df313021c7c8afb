"""Reading `.fleet.toml`, and running scripts, on a real disk with real processes."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from fleet.adapters import scripts as adapter
from fleet.adapters.opencode.identity import Owner, marked
from fleet.adapters.scripts import LocalScripts
from fleet.errors import Problem
from fleet.ports import Recipe, Script, ScriptEnd


def scripts(tmp_path: Path, **environment: str) -> LocalScripts:
    return LocalScripts(tmp_path / "data", {"PATH": os.environ["PATH"], **environment})


async def read(tmp_path: Path, text: str | bytes) -> Recipe | None:
    content = text.encode() if isinstance(text, str) else text
    (tmp_path / ".fleet.toml").write_bytes(content)
    return await scripts(tmp_path).read(str(tmp_path))


async def ran(tmp_path: Path, text: str, *, timeout_s: float = 30.0, **environment: str) -> tuple[ScriptEnd, str]:
    pieces: list[str] = []

    async def on_output(piece: str) -> None:
        pieces.append(piece)

    variables = {"FLEET_WORKSPACE_ID": "w1"}
    script = Script("setup-w1", text, str(tmp_path), variables, timeout_s)
    end = await scripts(tmp_path, **environment).run(script, on_output)
    return end, "".join(pieces)


def left(tmp_path: Path) -> int:
    return len(marked(Owner(str((tmp_path / "data").resolve())), "setup-w1"))


# ------------------------------------------------------------------------------------------------------------ the file


async def test_a_set_up_file_asks_for_commands(tmp_path: Path) -> None:
    text = '[workspace]\nsetup = ["npm ci", "npm run build"]\nteardown = """\ndocker down\n"""\nsubmodules = true\n'
    digest = hashlib.sha256(text.encode()).hexdigest()
    recipe = await read(tmp_path, text)
    assert recipe is not None
    assert recipe == Recipe(digest, "npm ci\nnpm run build", "docker down", submodules=True)
    assert recipe.script == "git submodule update --init --recursive\nnpm ci\nnpm run build"


@pytest.mark.parametrize("text", ["", "[workspace]\n", "[other]\nx = 1\n", '[workspace]\nsetup = " "\n'])
async def test_a_set_up_file_may_ask_for_nothing(tmp_path: Path, text: str) -> None:
    assert await read(tmp_path, text) is None


async def test_a_checkout_without_a_set_up_file_asks_for_nothing(tmp_path: Path) -> None:
    assert await scripts(tmp_path).read(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[workspace", "Expected ']'"),
        ("workspace = 1", "workspace is not a table"),
        ("[workspace]\nsetpu = 'x'", "no key 'setpu'"),
        ("[workspace]\nsetup = 1", "setup must be a string of commands"),
        ("[workspace]\nsetup = ['a', 1]", "setup must be a string of commands"),
        ("[workspace]\nsubmodules = 'yes'", "submodules must be true or false"),
        ("[workspace]\nsetup = " + "[" * 15_000, "too deep"),
        (b"\xff", "codec"),
        (f"[workspace]\nsetup = '{'x' * 20_000}'", "larger than"),
    ],
)
async def test_a_bad_set_up_file_says_what_is_wrong_and_asks_for_nothing(
    tmp_path: Path, text: str | bytes, says: str
) -> None:
    recipe = await read(tmp_path, text)
    assert recipe is not None
    assert says in recipe.problem
    assert (recipe.script, recipe.teardown) == ("", "")


@pytest.mark.parametrize(
    "sign", ["\0", "\r", "\x1b", "\x9d", "\xad", "\u200b", "\u2028", "\u202e", "\u3164", "\U000e0041"]
)
async def test_commands_with_invisible_characters_are_refused(tmp_path: Path, sign: str) -> None:
    code = f"U+{ord(sign):04X}"
    for key in ("setup", "teardown"):
        recipe = await read(tmp_path, f'[workspace]\n{key} = ["npm ci", "echo \\U{ord(sign):08x}; evil"]\n')
        assert recipe is not None
        assert f"{key} has an invisible character, {code}" in recipe.problem
        assert (recipe.script, recipe.teardown) == ("", "")


async def test_commands_may_have_characters_of_any_language_and_tabs(tmp_path: Path) -> None:
    recipe = await read(tmp_path, '[workspace]\nsetup = "echo \\u00e9\\t\\u05d0 \\U0001f600"\r\n')
    assert recipe is not None
    assert (recipe.setup, recipe.problem) == ("echo é\t\u05d0 \U0001f600", "")


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
async def test_a_set_up_file_that_is_a_pipe_or_directory_is_refused_and_closed(
    tmp_path: Path, make: Callable[[str], None]
) -> None:
    make(str(tmp_path / ".fleet.toml"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        recipe = await scripts(tmp_path).read(str(tmp_path))
        assert recipe is not None
        assert recipe.problem == ".fleet.toml cannot be read: it is not a regular file"
    assert len(list(Path("/proc/self/fd").iterdir())) - before < 5


async def test_a_set_up_file_that_is_a_symlink_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text("[workspace]\nsetup = 'true'\n")
    (tmp_path / ".fleet.toml").symlink_to("real.toml")
    recipe = await scripts(tmp_path).read(str(tmp_path))
    assert recipe is not None
    assert "cannot be read" in recipe.problem


# --------------------------------------------------------------------------------------------------------- the commands


async def test_commands_run_in_the_directory_and_stop_at_the_first_that_fails(tmp_path: Path) -> None:
    assert await ran(tmp_path, "pwd\necho err >&2") == (ScriptEnd(0), f"{tmp_path}\nerr\n")
    assert await ran(tmp_path, "false\necho never") == (ScriptEnd(1), "")
    assert (await ran(tmp_path, "exit 7"))[0] == ScriptEnd(7)
    assert (await ran(tmp_path, "kill -9 $$"))[0] == ScriptEnd(-9)


async def test_commands_have_the_users_environment_without_fleets_settings(tmp_path: Path) -> None:
    text = 'echo "$MINE [$FLEET_TOKEN] [$GIT_DIR] $FLEET_WORKSPACE_ID"; read x || echo no input'
    assert await ran(tmp_path, text, MINE="yes", FLEET_TOKEN="secret", GIT_DIR="/other") == (
        ScriptEnd(0),
        "yes [] [] w1\nno input\n",
    )


async def test_a_script_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    end, _ = await ran(tmp_path, "(trap '' TERM; sleep 60) & setsid sleep 60 & sleep 60", timeout_s=0.3)
    assert (end, left(tmp_path)) == (ScriptEnd(None), 0)


async def test_what_a_script_leaves_running_is_ended(tmp_path: Path) -> None:
    end, output = await ran(tmp_path, "setsid sleep 60 & echo begun")
    assert (end, output, left(tmp_path)) == (ScriptEnd(0), "begun\n", 0)


async def test_cancelled_script_leaves_no_process(tmp_path: Path) -> None:
    with trio.move_on_after(0.3):
        await ran(tmp_path, "setsid sleep 60 & sleep 60")
    assert left(tmp_path) == 0


async def test_a_long_output_keeps_its_beginning_and_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "SCRIPT_OUTPUT_BYTES_MAX", 1000)
    monkeypatch.setattr(adapter, "SCRIPT_TAIL_BYTES", 100)
    _, output = await ran(tmp_path, "seq 1 100000; echo the end")
    assert output.startswith("1\n2\n3\n")
    assert output.endswith("\nthe end\n")
    assert "bytes omitted]" in output
    assert len(output) < 1200


async def test_output_that_is_not_utf_8_has_replacement_characters(tmp_path: Path) -> None:
    assert (await ran(tmp_path, r"printf 'caf\303\251 \377'"))[1] == "café \N{REPLACEMENT CHARACTER}"


async def test_output_of_a_script_comes_while_it_runs(tmp_path: Path) -> None:
    heard = trio.Event()

    async def on_output(piece: str) -> None:
        assert piece == "first\n"
        heard.set()

    async with trio.open_nursery() as nursery:
        script = Script("setup-w1", "echo first; sleep 60", str(tmp_path), {}, 60.0)
        nursery.start_soon(scripts(tmp_path).run, script, on_output)
        await heard.wait()
        nursery.cancel_scope.cancel()


async def test_script_in_a_missing_directory_fails(tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        await ran(tmp_path / "gone", "true")
    assert caught.value.code == "setup_failed"
