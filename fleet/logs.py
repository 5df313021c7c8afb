"""Structured logs of Fleet and its libraries on standard error: for people on a terminal, as JSON lines elsewhere.

Keeps: a line tells which request it belongs to (`request_id`), and one from an effect which event ordered it
(`causation_id`); what looks like a secret is masked, also in the lines of libraries; and no line shows local variables,
for a password might be among them. Of libraries only warnings are shown: httpx would write down whole addresses.
"""

import logging
import math
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, cast

from fleet.escape import plain
from fleet.limits import ACCEPT_FAILED_LOG_S

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

_HIDDEN: Final = "***"
_SECRET_NAMES: Final = re.compile(r"(?:^|[_-])(?:password|passwd|secret|token|authorization|cookie|api_?key)$", re.I)
_SECRETS: Final = re.compile(
    r"whsec_[\w+/=-]+|\bfleet_\w+_[\w-]{20,}"  # webhooks; access tokens
    r"|(?<=\b[Bb]earer )[^\s\"']+|(?<=\b[Bb]asic )[A-Za-z0-9+/=]{8,}"
    r"|(?<=://)[^\s/@\"']+(?=@)"  # user and password in a URL
    r"|\bsk-[\w-]{16,}|\bgh[pousr]_\w{20,}"  # model providers, GitHub
)


class _Sparing(logging.Filter):
    """Shows one line in `seconds`, without its traceback, because all lines say the same."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._said = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is shown."""
        if record.created - self._said < self._seconds:
            return False
        self._said, record.exc_info = record.created, None
        return True


_accepting: Final = _Sparing(ACCEPT_FAILED_LOG_S)
"""trio logs ten times a second that no file is left for connections: a client that opens them could fill the disk."""


class _Lossy:
    """Standard error or its replacement, which discards text that cannot be written (full disk, closed terminal).

    A server must not end because of a line of its log.
    """

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def write(self, text: str) -> None:
        """Write if possible."""
        with suppress(OSError):
            self._output.write(text)

    def flush(self) -> None:
        """Flush if possible."""
        with suppress(OSError):
            self._output.flush()


def announce(text: str) -> None:
    """Print lines for a person on standard error."""
    lossy = _Lossy(sys.stderr)
    lossy.write(text)
    lossy.flush()


def configure_logs(level: LogLevel = "info", form: LogFormat = "auto", output: TextIO | None = None) -> None:
    """Write Fleet's lines of at least `level`, and the libraries' warnings, to `output` (standard error)."""
    import structlog  # not above: the configuration, which every command reads, imports this module for two types

    to: TextIO = sys.stderr if output is None else output
    lossy = cast("TextIO", _Lossy(to))
    people = form == "console" or (form == "auto" and to.isatty())
    begin: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    end = _for_people(to) if people else _for_programs()
    least = getattr(logging, level.upper())
    structlog.configure(
        processors=[*begin, *end],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(lossy),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(lossy)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*begin, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *end],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(least, logging.WARNING))
    logging.captureWarnings(capture=True)
    logging.getLogger("trio.serve_listeners").addFilter(_accepting)


def mask_secrets(_: "WrappedLogger", __: str, line: "EventDict") -> "EventDict":
    """Replace the values of names like `password`, and parts of texts that look like secrets."""
    return {name: _masked(name, value) for name, value in line.items()}


def _masked(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return _HIDDEN if _SECRET_NAMES.search(name) else _SECRETS.sub(_HIDDEN, value)
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        return {key: _masked(str(key), each) for key, each in fields.items()}
    if isinstance(value, list | tuple):
        return [_masked(name, each) for each in cast("list[Any]", value)]
    return value if value is None or isinstance(value, bool | int | float) else _masked(name, str(value))


def _escape_controls(_: "WrappedLogger", __: str, line: "EventDict") -> "EventDict":
    """Escape control characters: an agent's text must not move a terminal's cursor or add lines to the log."""
    return {name: _escaped(value, lines=name == "exception") for name, value in line.items()}


def _escaped(value: Any, *, lines: bool) -> Any:
    if not isinstance(value, str):
        return value
    text = value if lines else value.replace("\n", "\\n")
    return plain(text)


def _for_people(output: TextIO) -> "list[Processor]":
    import structlog

    return [
        structlog.processors.format_exc_info,
        mask_secrets,
        _escape_controls,
        structlog.dev.ConsoleRenderer(colors=output.isatty(), exception_formatter=structlog.dev.plain_traceback),
    ]


def _for_programs() -> "list[Processor]":
    import structlog

    traces = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
    return [structlog.processors.ExceptionRenderer(traces), mask_secrets, structlog.processors.JSONRenderer()]
