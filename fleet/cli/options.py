"""The command line options, made from the table in fleet/config.py."""

import inspect
import os
from collections.abc import Callable
from functools import wraps
from typing import Annotated, TypeVar

import typer

from fleet.config import CONFIG_VARIABLE, KEYS, Key, default_config_file, load_config

Result = TypeVar("Result")


def configured(command: Callable[..., Result]) -> Callable[..., Result]:
    """Give `command(config, …)` an option for each configuration key and call it with the checked configuration.

    The options take any text: fleet/config.py checks all sources together. Raises `StartupError` for what is wrong.
    """
    options = [_option(key) for key in KEYS] + [_file_option()]
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "config"
    ]

    @wraps(command)
    def run(**arguments: object) -> Result:
        flags = {option.name: _text(arguments.pop(option.name)) for option in options}
        return command(config=load_config(flags, os.environ), **arguments)

    # Typer reads the signature and the annotations; `wraps` has copied those of `command`.
    run.__signature__ = inspect.Signature([*options, *own])  # type: ignore[attr-defined]  # functions do have it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*options, *own)}
    del run.__wrapped__
    return run


def _option(key: Key) -> inspect.Parameter:
    note = f"{key.meaning} [dim]\\[{key.variable}; default: {key.default}][/dim]"
    return _parameter(key.name, key.flag, key.kind.replace(", ", "|"), note)


def _file_option() -> inspect.Parameter:
    note = f"TOML file to read. [dim]\\[{CONFIG_VARIABLE}; default: {default_config_file()}, if it exists][/dim]"
    return _parameter("config", "--config", "path", note)


def _parameter(name: str, flag: str, metavar: str, note: str) -> inspect.Parameter:
    option = Annotated[str | None, typer.Option(flag, help=note, metavar=metavar.upper(), show_default=False)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
