"""Structured logs on standard error: for people on a terminal, as JSON lines elsewhere."""

import logging
import sys
from io import StringIO
from typing import TextIO

import structlog
from structlog.typing import ExcInfo, Processor

from fleet.plain import plain


def configure_logs(level: int = logging.INFO) -> None:
    """Set structlog up; `level` is the least that is shown."""
    people = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *(_for_people() if people else _for_programs()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


# Neither shows local variables: a password might be among them.


def _for_people() -> list[Processor]:
    return [structlog.dev.ConsoleRenderer(exception_formatter=_plain_traceback)]


def _plain_traceback(to: TextIO, exc_info: ExcInfo) -> None:
    """Write a traceback; the text of an error may hold what git or an agent said."""
    written = StringIO()
    structlog.dev.plain_traceback(written, exc_info)
    to.write(plain(written.getvalue()))


def _for_programs() -> list[Processor]:
    traces = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
    return [structlog.processors.ExceptionRenderer(traces), structlog.processors.JSONRenderer()]
