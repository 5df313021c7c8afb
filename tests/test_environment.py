"""What a process of Fleet gets of the environment that Fleet was started in."""

import subprocess
from collections.abc import Mapping

import pytest

from fleet.environment import dropped, passed_on, proxies, remarks

LOOPBACK = "localhost,127.0.0.1,::1,[::1]"


def test_variables_local_to_a_repository_are_dropped() -> None:
    done = subprocess.run(["git", "rev-parse", "--local-env-vars"], check=True, capture_output=True, text=True)
    names = done.stdout.split()
    assert "GIT_DIR" in names
    assert dropped(dict.fromkeys(names, "x")) == tuple(sorted(names))


@pytest.mark.parametrize(
    "name",
    [
        *("GIT_NAMESPACE", "GIT_PREFIX", "GIT_CEILING_DIRECTORIES", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_12"),
        "MAKEFLAGS",
        "RAY_AUTH_TOKEN",
    ],
)
def test_more_that_belongs_to_the_starting_shell_is_dropped(name: str) -> None:
    assert passed_on({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}
    assert dropped({name: "x", "PATH": "/bin"}) == (name,)


@pytest.mark.parametrize(
    "name", ["GIT_SSH", "GIT_SSH_COMMAND", "GIT_AUTHOR_NAME", "GIT_CONFIG_GLOBAL", "GIT_ASKPASS", "MAKE"]
)
def test_identity_and_connection_variables_are_passed_on(name: str) -> None:
    assert passed_on({name: "x"}) == {name: "x"}
    assert remarks({name: "x"}) == ()


@pytest.mark.parametrize(
    ("given", "exempt"),
    [
        ({}, LOOPBACK),
        ({"NO_PROXY": "corp, .example.org"}, f"corp,.example.org,{LOOPBACK}"),
        ({"no_proxy": "corp", "NO_PROXY": "other,localhost"}, "other,localhost,corp,127.0.0.1,::1,[::1]"),
        ({"no_proxy": "*"}, f"*,{LOOPBACK}"),
    ],
)
def test_loopback_is_exempt_from_a_proxy(given: Mapping[str, str], exempt: str) -> None:
    environment = passed_on({"HTTP_PROXY": "http://proxy:3128", **given})
    assert (environment["NO_PROXY"], environment["no_proxy"]) == (exempt, exempt)
    assert passed_on(environment) == environment


def test_without_a_proxy_nothing_is_exempt() -> None:
    assert passed_on({"NO_PROXY": "corp", "HTTP_PROXY": ""}) == {"NO_PROXY": "corp", "HTTP_PROXY": ""}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("http://me:secret@proxy:3128/", "proxy:3128"),
        ("me:secret@proxy:3128", "proxy:3128"),
        ("socks5://[::1]:1080", "[::1]:1080"),
        ("http://[secret", "an address that cannot be read"),
        ("http://", "an address without a host"),
    ],
)
def test_a_proxy_is_shown_without_its_password(value: str, shown: str) -> None:
    assert proxies({"all_proxy": value}) == {"all_proxy": shown}
    assert "secret" not in "".join(remarks({"all_proxy": value}))
