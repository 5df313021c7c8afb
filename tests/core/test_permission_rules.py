"""Permission rules and what tool calls ask for. tests/e2e holds both to the real OpenCode."""

import pytest

from fleet.core.permission_rules import Asks, judge, matches, rules_of
from fleet.core.shell_commands import commands_in
from fleet.core.tool_permissions import asks_of


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("ls", "ls *", True),
        ("ls -la", "ls *", True),
        ("lsof", "ls *", False),
        ("lsof", "ls*", True),
        ("a\nb", "a*", True),
        ("a.b", "a?b", True),
        ("axb", "a.b", False),
        ("src\\a.py", "src/*", True),
        ("x(1)", "x(1)", True),
    ],
)
def test_pattern_matches_the_whole_text(text: str, pattern: str, expected: bool) -> None:
    assert matches(text, pattern) == expected


def test_last_rule_that_matches_decides() -> None:
    rules = rules_of({"*": "deny", "bash": {"*": "ask", "git *": "allow", "git push *": "deny"}})
    assert judge([Asks("bash", ("git status",))], rules).action == "allow"
    assert judge([Asks("bash", ("git push -f",))], rules).action == "deny"
    assert judge([Asks("bash", ("make",))], rules).action == "ask"
    assert judge([Asks("edit", ("a",))], rules).action == "deny"
    assert judge([Asks("edit", ("a",))], ()).action == "ask"
    assert judge([], ()).action == "allow"


def test_strictest_judgement_decides_about_a_call() -> None:
    rules = rules_of({"bash": {"*": "ask", "git *": "allow", "rm *": "deny"}, "external_directory": "allow"})
    several = Asks("bash", ("git status", "make", "rm -r x"))
    found = judge([Asks("external_directory", ("/etc/*",)), several], rules)
    assert (found.action, found.pattern) == ("deny", "rm -r x")
    assert judge([Asks("bash", ("git status", "make"))], rules).action == "ask"


def test_a_tilde_means_home() -> None:
    rules = rules_of({"read": {"~/*": "deny", "$HOME/x": "allow"}}, "/home/user")
    assert [rule.pattern for rule in rules] == ["/home/user/*", "/home/user/x"]


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        ("git log --oneline -5; ls", ("git log --oneline -5", "ls")),
        ("cd src && make -j2", ("make -j2",)),
        ("echo 'a; b' | wc -l", ("echo 'a; b'", "wc -l")),
        ('echo "$(whoami) `id`"', ('echo "$(whoami) `id`"', "whoami", "id")),
        ("make > log 2>&1; ls", ("make > log 2>&1", "ls")),
        ("make && ls > log", ("make", "ls")),
        ("(cd a; make) || exit 1", ("make", "exit 1")),
        ("A=1 make\nls &", ("A=1 make", "ls")),
        ("", ()),
    ],
)
def test_command_line_is_taken_apart(line: str, commands: tuple[str, ...]) -> None:
    assert commands_in(line) == commands


@pytest.mark.parametrize(
    "line", ["cat <<END\nrm -r x\nEND", "echo 'open", "for i in *; do rm $i; done", "$(rm x", "a # b"]
)
def test_line_that_is_not_understood_stays_whole(line: str) -> None:
    assert commands_in(line) == (line,)


def test_tool_call_asks_for_what_it_touches() -> None:
    root = "/work/shop"
    assert asks_of("edit", {"filePath": "/work/shop/src/a.py"}, root) == (Asks("edit", ("src/a.py",)),)
    assert asks_of("write", {"filePath": "b.txt"}, root) == (Asks("edit", ("b.txt",)),)
    outside = (Asks("external_directory", ("/etc/*",)), Asks("read", ("../../etc/hosts",)))
    assert asks_of("read", {"filePath": "/etc/hosts"}, root) == outside
    assert asks_of("read", {"filePath": "/etc/hosts"}, "/") == (Asks("read", ("etc/hosts",)),)
    assert asks_of("webfetch", {"url": "https://a.org"}, root) == (Asks("webfetch", ("https://a.org",)),)
    patch = "*** Begin Patch\n*** Update File: a.py\n*** Add File: b.py\n"
    assert asks_of("apply_patch", {"patchText": patch}, root) == (Asks("edit", ("a.py",)), Asks("edit", ("b.py",)))
    assert asks_of("server_tool", {}, root) == (Asks("server_tool", ("*",)),)
    assert asks_of("question", {}, root) == ()
    assert asks_of("bash", {"command": 7}, root) == ()
