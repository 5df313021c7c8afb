"""The command line options, made from the table in fleet/config.py."""

import inspect
import os
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Annotated, Final, TypeVar

import typer

from fleet.config import CONFIG_VARIABLE, KEYS, Key, default_config_file, load_config

Result = TypeVar("Result")

_PLACE: Final = {
    "host": "The address on which the server listens.",
    "port": "The port on which the server listens.",
    "data_dir": "The server's data directory.",
}


def configured(command: Callable[..., Result]) -> Callable[..., Result]:
    """Give `command(config, …)` an option for each configuration key and call it with the checked configuration.

    The options take any text: fleet/config.py checks all sources together. Raises `StartupError` for what is wrong.
    """
    return _with_options(command, KEYS)


def located(*names: str) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Give `command(config, …)` only the options that say where a server or its data is. Raises as `configured`."""
    keys = [key._replace(meaning=_PLACE[key.name]) for key in KEYS if key.name in names]
    return partial(_with_options, keys=keys)


def _with_options(command: Callable[..., Result], keys: Sequence[Key]) -> Callable[..., Result]:
    options = [_option(key) for key in keys] + [_file_option()]
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
    run.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]  # functions do have it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *options)}
    del run.__wrapped__
    return run


def _option(key: Key) -> inspect.Parameter:
    note = f"{key.meaning} [dim]\\[env var: {key.variable}; default: {key.default}][/dim]"
    return _parameter(key.name, key.flag, _placeholder(key.kind), note)


def _placeholder(kind: str) -> str:
    """Return how the help shows a value: its choices as they are typed, and a word in capitals for any other."""
    return (
        kind.replace(", ", "|") if ", " in kind else {"directory": "DIR", "directories": "DIRS"}.get(kind, kind.upper())
    )


def _file_option() -> inspect.Parameter:
    note = (
        f"TOML file to read. [dim]\\[env var: {CONFIG_VARIABLE}; default: {default_config_file()}, if it exists][/dim]"
    )
    return _parameter("config", "--config", "FILE", note)


def _parameter(name: str, flag: str, metavar: str, note: str) -> inspect.Parameter:
    option = Annotated[
        str | None,
        typer.Option(flag, help=note, metavar=metavar, show_default=False, rich_help_panel="Configuration"),
    ]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
