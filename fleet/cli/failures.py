"""Turns errors around a command (configuration, file system, bytes that are no text) into one sentence.

A defect of Fleet is none of these, and keeps its traceback. problem_text.py reports what a server refuses.
"""

import os
import sys
from pathlib import Path
from typing import cast

from fleet.errors import StartupError

_FAILED = 1
_USAGE = 2


def sentence_and_code(error: BaseException) -> tuple[str, int] | None:
    """Return the sentence for what a command ended with, and the exit code; None for a defect."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        told = [sentence_and_code(each) for each in group.exceptions]
        return told[0] if all(told) else None
    if isinstance(error, StartupError):
        return str(error), _FAILED
    if isinstance(error, UnicodeEncodeError):
        return f"{error.object!a} is not UTF-8 text and cannot be sent.", _USAGE
    if isinstance(error, OSError):
        return _sentence(error), _FAILED
    return None


def _sentence(error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and _directory_is_gone():
        return "the current directory was deleted. Change to one that exists, then try again."
    why = error.strerror or str(error)
    return f"{error.filename}: {why}." if error.filename else f"{why}."


def _directory_is_gone() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def flush_output() -> None:
    """Write the rest of standard output. Raises `OSError` if the disk is full."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
    except OSError:
        _discard_output()
        raise


def _discard_output() -> None:
    """Prevent an error of Python's own flush at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
