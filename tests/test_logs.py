"""The log: one form for Fleet's lines and its libraries', for programs or for people, and no secrets in either."""

import ast
import contextlib
import errno
import io
import json
import logging
import re
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import structlog

import fleet.logs
from fleet.logs import LogFormat, LogLevel, announce, configure_logs

Open = Callable[..., io.StringIO]


@pytest.fixture
def opened() -> Generator[Open]:
    """Configure the log, onto a text; afterwards it is as it was."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers, root.level
    logging.captureWarnings(capture=False)  # a command that ran in this process may have begun it

    def opened(form: LogFormat = "json", level: LogLevel = "info") -> io.StringIO:
        output = io.StringIO()
        configure_logs(level, form, output)
        return output

    yield opened
    structlog.configure(**before)
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.contextvars.clear_contextvars()


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_every_line_is_json_from_every_source(opened: Open) -> None:
    output = opened()
    structlog.contextvars.bind_contextvars(request_id="r1")
    structlog.get_logger().info("said", count=3, title="two\nlines")
    logging.getLogger("hypercorn.error").error("it %s", "broke")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    ours, theirs, warned = lines(output)
    assert (ours["event"], ours["level"], ours["count"], ours["title"]) == ("said", "info", 3, "two\nlines")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("it broke", "error", "hypercorn.error")
    assert "old" in warned["event"]
    assert all(line["request_id"] == "r1" and line["timestamp"] for line in (ours, theirs, warned))


@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_a_level_is_the_least_that_is_shown(opened: Open, level: LogLevel, shown: int) -> None:
    output = opened(level=level)
    log = structlog.get_logger()
    for say in (log.debug, log.info, log.warning, log.error):
        say("said")
    logging.getLogger("httpx").info("HTTP Request: POST https://hooks.example/SECRETPATH")
    assert len(lines(output)) == shown


SECRETS = {
    "password": "hunter2secret",
    "FLEET_TOKEN": "hunter2secret",
    "Authorization": "hunter2secret",
    "nested": {"api_key": "hunter2secret", "fine": ["Bearer hunter2secret", ("whsec_hunter2secret",)]},
    "url": "https://me:hunter2secret@example.org/x",
    "header": "authorization: Basic aHVudGVyMnNlY3JldA==",
    "link": "http://localhost:3000/login?code=fleet_l1_hunter2secret-0000000000_00",
    "text": "the key is sk-hunter2secret00000000 or ghp_hunter2secret000000000",
}


@pytest.mark.parametrize("form", ["json", "console"])
def test_secrets_are_blotted_out(opened: Open, form: LogFormat) -> None:
    output = opened(form)
    structlog.get_logger().warning("tried", tokens=12, **SECRETS)
    logging.getLogger("x").warning("with %s", "whsec_hunter2secret")
    try:
        _fail("".join(("hunter2", "secret")))  # its source stands in the trace
    except RuntimeError:
        structlog.get_logger().exception("broke")
        logging.getLogger("x").exception("broke too")
    text = output.getvalue()
    assert "hunter2secret" not in text
    assert "aHVudGVyMnNlY3JldA" not in text
    assert "RuntimeError" in text
    assert "example.org" in text
    assert "12" in text


def _fail(password: str) -> None:
    raise RuntimeError(f"GET https://me:{password}@example.org/x failed")


def test_text_cannot_move_the_cursor_or_add_lines(opened: Open) -> None:
    output = opened("console")
    structlog.get_logger().warning("tried", title="\x1b[2Jgone\r\nforged \x9b31m", bell="\x07")
    logging.getLogger("x").warning("forged\nline \x1b]0;title\x07")
    text = output.getvalue()
    assert len(text.splitlines()) == 2
    assert all(sign not in text for sign in "\x1b\x07\x9b\r")


def test_a_lack_of_file_descriptors_is_logged_once_a_minute(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet.logs._accepting, "_said", 0.0)
    output, log = opened(), logging.getLogger("trio.serve_listeners")
    for _ in range(3):
        log.error("accept returned EMFILE; retrying", exc_info=OSError(errno.EMFILE, "Too many open files"))
    (line,) = lines(output)
    assert "EMFILE" in line["event"]
    assert "exception" not in line


@pytest.mark.usefixtures("opened")
def test_a_log_that_cannot_be_written_ends_nothing() -> None:
    """Standard error may be a file on a full disk, or a terminal that is gone."""

    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    configure_logs(output=Full())
    structlog.get_logger("fleet.test").warning("lost")
    logging.getLogger("library").warning("lost")
    with contextlib.redirect_stderr(Full()):
        announce("lost")


def test_names_of_log_events_are_snake_case() -> None:
    calls = [
        (f"{file}:{node.lineno}", node.args[0])
        for file in sorted(Path(fleet.logs.__file__).parent.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and re.fullmatch(
            r"(?:self\.)?_?log(?:ger)?\.(?:debug|info|warning|error|exception|critical)", ast.unparse(node.func)
        )
    ]
    assert len(calls) > 50
    names = [(at, name.value) for at, name in calls if isinstance(name, ast.Constant)]
    assert [(at, name) for at, name in names if not re.fullmatch("[a-z]+(?:_[a-z]+)*", str(name))] == []
