"""Parsers of configuration values: of texts (command line, variable) and of values of a TOML file.

Each gets the value and the directory that relative paths start from, and raises `ValueError` with the end of the
sentence "… is not".
"""

import os
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec


def host(value: Any, _directory: Path | None) -> str:
    """Return a host name or an address."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a host name or an address, such as 127.0.0.1")
    return value


def path(value: Any, directory: Path | None) -> Path:
    """Return an absolute path."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("a path")
    try:
        expanded = Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError("a path below a home directory that exists") from error
    return Path(os.path.normpath(expanded.absolute() if directory is None else directory / expanded))


def paths(value: Any, directory: Path | None) -> tuple[Path, ...]:
    """Return one or more absolute paths."""
    if isinstance(value, str):
        value = value.split(os.pathsep)
    try:
        named = msgspec.convert(value, list[Any])
    except msgspec.ValidationError:
        named = []
    if not named:
        raise ValueError(f"one or more paths, separated by '{os.pathsep}' or in a TOML array")
    return tuple(path(each, directory) for each in named)


def choice(choices: tuple[str, ...]) -> Callable[[Any, Path | None], str]:
    """Return a parser that takes one of these texts."""

    def parse(value: Any, _directory: Path | None) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return str(value)

    return parse


def number(smallest: int, largest: int, note: str = "") -> Callable[[Any, Path | None], int]:
    """Return a parser of whole numbers within these bounds."""

    def parse(value: Any, _directory: Path | None) -> int:
        if isinstance(value, str) and value.isascii() and value.isdecimal():
            value = int(value)
        if type(value) is not int or not smallest <= value <= largest:
            raise ValueError(f"a number from {smallest} to {largest}{note}")
        return value

    return parse


def networks(value: Any, _directory: Path | None) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return one or more networks."""
    named = [each.strip() for each in value.split(",")] if isinstance(value, str) else value
    try:
        return tuple(ip_network(each) for each in msgspec.convert(named, list[str]))
    except (msgspec.ValidationError, ValueError):
        raise ValueError(
            "one or more networks such as 10.1.0.0/16 or ::1, separated by ',' or in a TOML array"
        ) from None


def minutes(value: Any, _directory: Path | None) -> float:
    """Return a positive number of minutes."""
    try:
        minutes = float(value)
    except (TypeError, ValueError):
        minutes = 0.0
    if isinstance(value, bool) or not 0.01 <= minutes <= 1_000_000:
        raise ValueError("a number of minutes, at least 0.01")
    return minutes


def cores(largest: float) -> Callable[[Any, Path | None], float]:
    """Return a parser of a number of cores up to this one."""

    def parse(value: Any, _directory: Path | None) -> float:
        try:
            cores = float(value)
        except (TypeError, ValueError):
            cores = -1.0
        if isinstance(value, bool) or not 0 <= cores <= largest:
            raise ValueError(f"a number of cores from 0 to {largest:g}")
        return cores

    return parse


def endpoint(value: Any, _directory: Path | None) -> str:
    """Return an address with a port."""
    try:
        url = urlsplit(f"//{value}")
        is_complete = bool(url.hostname and url.port and url.netloc == value)
    except ValueError:
        is_complete = False
    if not is_complete or "@" in value:
        raise ValueError("an address with a port, such as 10.0.0.1:6379")
    return str(value)


def flag(value: Any, _directory: Path | None) -> bool:
    """Return true or false."""
    flags = {"true": True, "false": False}
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in flags:
        raise ValueError("true or false")
    return flags[value.lower()]


def collector(value: Any, _directory: Path | None) -> str:
    """Return the URL that traces are sent to."""
    asked = "an http or https URL without password or query; those go into OTEL_EXPORTER_OTLP_HEADERS"
    try:
        url = urlsplit(str(value))
        port = url.port
    except ValueError as error:
        raise ValueError(asked) from error
    more = "@" in url.netloc or url.query or url.fragment
    if url.scheme not in ("http", "https") or not url.hostname or port == 0 or more:
        raise ValueError(asked)
    return urlunsplit(url._replace(path=url.path if url.path.strip("/") else "/v1/traces"))
