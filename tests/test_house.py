"""Keeps the house tidy: rules about the repository that no linter knows."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from pathlib import Path

import pytest

from tests.repository import ROOT, modules, text, tracked

LINES_MAX = 400
LONG = {
    "fleet/limits.py",  # one table
    "tests/core/test_session_laws.py",  # half of it imports what the laws are about
}
"""Files that are one concept and longer: a concept is not cut in two to stay under the limit."""
FUNCTION_LINES_MAX = 50
LONG_FUNCTIONS = {
    "tests/cli/test_session_commands.py:test_session_is_created_followed_listed_and_ended",  # a story
    "tests/e2e/test_sessions.py:test_every_curl_line_of_the_product_page",  # a story
}
AVOIDED = frozenset(re.findall(r"\w+", "manager service helper util processor monitor watcher base common info data"))
"""Words that say nothing in the name of a file or a class."""
ALLOWED = {
    "data lock": "the lock of the data directory",
    "base url": "what OpenAI's clients call it",
    "message info": "OpenCode calls it `info`",
    "info properties": "OpenCode calls it `info`",
}
"""Standard words, which would be harder to read under a name of our own. They may stand beside others in a name."""
GRANTED = frozenset(
    {
        "fleet/adapters/opencode/wire.py:_Info",  # OpenCode calls it `info`
        "fleet/ports/hosts.py:HostInfo",  # what a host says of itself, as `Info` is what a server says
        "fleet/wire/server.py:Info",  # what many programs call the address that says what a server is
    }
)
SAME_NAMES = {
    "commands decide effects events evolve state": "the same six modules for every aggregate",
    "files": "files of a workspace, of git's checkouts, of an instance",
    "hosts inbox instances log metrics tokens webhooks workspaces": "of a resource: its routes, its items, its store",
    "websocket": "the route, and its frames on the connection",
}
"""Modules that share a name within a layer, and why."""
SAME_CLASSES = {
    "Command Event": "the base of the core, and a frame of a WebSocket or of a stream",
    "State": "the state of each aggregate, imported under the name of the aggregate",
    "Message": "of a mailbox, and of OpenCode's transcript",
    "PartChanged RequestClosed RequestOpened StatusChanged": "what OpenCode says, and what Fleet makes of it",
    "Turn": "the running turn of a session's state, and a turn in the list of turns",
    "HostLost HostSilent": "what the port of hosts reports, and what the log records of it",
    "Unavailable": "the server's error, and the client's for the same problem",
}
"""Public classes that share a name, and why."""
PHRASES = {
    "anew": "again",
    "anybody": "a person, a client",
    "are told": "get, are notified",
    "at hand": "available",
    "beforehand": "before",
    "everybody": "everyone, all readers",
    "for ever": "without a limit",
    "go on": "continue",
    "goes on": "continues",
    "is told": "gets, is notified",
    "knock": "send requests",
    "let go": "end, release",
    "makes no sense": "is wrong",
    "mend": "repair",
    "nobody": "no client, no process",
    "once more": "again",
    "somebody": "a person, a client",
    "tells of": "reports",
    "the door": "the gateway, the server",
    "unborn": "absent",
    "whatever": "everything that",
    "whoever": "the client that, the reader that",
}
"""Phrases that are not used in pages, docstrings and comments, and plain ones for them."""
# A registry writes its address, and a machine its paths, into files that tools generate.
ADDRESSES = re.compile(
    r"registry\.npmjs|npmmirror|pypi\.org|pythonhosted|--(?:extra-)?index-url|--find-links"
    r"|file:///|/root/|/opt/|/Users/[a-z]|/home/(?!dev/my-project|dev\b|me\b|user\b)[a-z]"
)
# Where such an address is the subject itself.
ADDRESSES_GRANTED = frozenset({"tests/test_house.py"})


def test_tracked_files_are_found() -> None:
    assert "fleet/config.py" in tracked()


@pytest.mark.parametrize("name", modules("fleet", "tools", "bench"))
def test_a_module_says_what_it_holds(name: str) -> None:
    docstring = ast.get_docstring(ast.parse(text(name)))
    assert docstring, f"{name} has no docstring"
    assert docstring.splitlines()[0].rstrip().endswith((".", ":", "?")) or len(docstring.splitlines()) > 1


def test_no_file_is_too_long() -> None:
    lengths = {name: len(text(name).splitlines()) for name in modules("fleet", "tools", "bench", "tests")}
    assert {name for name, length in lengths.items() if length > LINES_MAX} == LONG


def test_no_function_is_too_long() -> None:
    """Counts the body, without the signature, which lists a command's options, and without the docstring."""
    found: set[str] = set()
    for name in modules("fleet", "tools", "bench", "tests"):
        for node in ast.walk(ast.parse(text(name))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[min(ast.get_docstring(node) is not None, len(node.body) - 1)]
                if (node.end_lineno or 0) - first.lineno >= FUNCTION_LINES_MAX:
                    found.add(f"{name}:{node.name}")
    assert found == LONG_FUNCTIONS


def test_nothing_is_left_to_do() -> None:
    marks = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    texts = [
        name
        for name in tracked()
        if name.endswith((".py", ".md", ".toml", ".ts", ".tsx", ".css")) or name == "Makefile"
    ]
    assert [name for name in texts if marks.search(text(name))] == []


def test_a_module_at_the_top_is_used_by_several_packages() -> None:
    users: dict[str, set[str]] = {
        Path(name).stem: set() for name in modules("fleet") if name.count("/") == 1 and "__init__" not in name
    }
    for name in modules("fleet"):
        for imported in re.findall(r"^\s*(?:from fleet\.|import fleet\.|from fleet import )(\w+)", text(name), re.M):
            if imported in users:
                users[imported].add(Path(name).parts[1])
    lonely = {name for name, packages in users.items() if len(packages) < 2}
    assert lonely == {"config_values"}  # the half of config.py that parses
    assert len(users) <= 20


def says_nothing(name: str) -> bool:
    """Whether a name holds a word of the ban that no allowed phrase covers."""
    left = f" {' '.join(word.lower() for word in re.findall(r'[A-Z]+(?![a-z])|[A-Z]?[a-z]+', name))} "
    for phrase in ALLOWED:
        left = left.replace(f" {phrase} ", " ")
    return bool(set(left.split()) & AVOIDED)


@pytest.mark.parametrize(
    ("name", "banned"),
    [("SessionManager", True), ("data_lock", False), ("ErrorHandler", False), ("BaseUrl", False), ("base", True)],
)
def test_standard_words_are_allowed_beside_the_ban(name: str, banned: bool) -> None:
    assert says_nothing(name) is banned


def test_names_come_from_the_vocabulary() -> None:
    found: set[str] = set()
    for name in modules("fleet"):
        if says_nothing(Path(name).stem):
            found.add(name)
        found |= {f"{name}:{class_name}" for class_name in class_names(name) if says_nothing(class_name)}
    assert found == GRANTED


def class_names(name: str) -> list[str]:
    return [node.name for node in ast.walk(ast.parse(text(name))) if isinstance(node, ast.ClassDef)]


def repeated(names: list[str]) -> set[str]:
    return {name for name, times in Counter(names).items() if times > 1}


def test_module_names_are_unique_in_a_layer() -> None:
    layers: dict[str, list[str]] = {}
    for path in (Path(name) for name in modules("fleet")):
        if path.stem != "__init__" and len(path.parts) > 2:
            layers.setdefault(path.parts[1], []).append(path.stem)
    assert set[str]().union(*map(repeated, layers.values())) == set(" ".join(SAME_NAMES).split())


def test_public_class_names_are_unique() -> None:
    names = [each for name in modules("fleet") for each in class_names(name) if not each.startswith("_")]
    assert repeated(names) == set(" ".join(SAME_CLASSES).split())


def test_terms_of_the_glossary_are_unique_and_in_order() -> None:
    """Their paths are held by the test of the page's paths."""
    glossary = text("CONTRIBUTING.md").split("## Glossary")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| (.+) \|$", glossary, re.MULTILINE)[1:]
    terms = [term for term, _, _ in rows]
    assert len(terms) > 50
    assert terms == sorted(set(terms), key=lambda term: term.lower().replace("-", " "))
    assert [term for term, meaning, where in rows if not meaning.strip() or "`" not in where] == []


def test_no_file_names_a_registry_or_a_machine() -> None:
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name in tracked()
        if name not in ADDRESSES_GRANTED and Path(name).suffix not in (".png", ".ico", ".woff2", ".mdb", ".gz")
        for number, line in enumerate(text(name).splitlines(), 1)
        if ADDRESSES.search(line)
    ]
    assert found == []


def test_no_lock_file_that_records_registry_addresses() -> None:
    assert "uv.lock" not in tracked()


def test_an_ignored_rule_has_its_code_and_its_reason() -> None:
    """The reason stands on the line, or on another line of the file that ignores the same rule."""
    ignored = re.compile(
        r"#\s*(type:\s*ignore|noqa|pyright:\s*ignore)(?::?\s*\[?([A-Za-z][\w, -]*?)\]?)?(?:\s+(?:-|#)\s+(.*))?$"
    )
    found: list[str] = []
    for name in modules("fleet", "tests", "bench", "tools"):
        hits = [
            (number, *hit.groups())
            for number, line in enumerate(text(name).splitlines(), 1)
            if (hit := ignored.search(line))
        ]
        explained = {(kind, code) for _, kind, code, reason in hits if reason}
        found += [f"{name}:{number}" for number, kind, code, _ in hits if not code or (kind, code) not in explained]
    assert found == []


def test_map_of_the_architecture_is_current() -> None:
    command = [sys.executable, "tools/architecture_map.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def prose(name: str) -> str:
    """Return the text of a page, or the docstrings and comments of a module."""
    source = text(name)
    if name.startswith("web/"):
        return " ".join(re.findall(r"/\*.*?\*/|(?<!:)//[^\n]*", source, re.DOTALL))
    if not name.endswith(".py"):
        return source
    values = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr))
    said = [str(value.value) for value in values if isinstance(value, ast.Constant)]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return " ".join([*said, *(token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT)])


def without_code(source: str) -> str:
    return " ".join(re.sub(r"```.*?```|`[^`]*`", " ", source, flags=re.DOTALL).split())


def test_phrases_that_are_not_used() -> None:
    ours = [name for name in tracked() if not name.startswith(("web/src/wire/api.ts", "web/src/wire/events.ts"))]
    pages = [name for name in ours if name.endswith(".md") or re.match(r"web/src/.*\.(tsx?|css)", name)]
    banned = re.compile(rf"\b(?:{'|'.join(PHRASES)})\b", re.IGNORECASE)
    sources = modules("fleet", "tools", "bench", "tests")
    found = {name: banned.findall(without_code(prose(name))) for name in (*pages, *sources)}
    assert {name: [f"{hit}: {PHRASES[hit.lower()]}" for hit in hits] for name, hits in found.items() if hits} == {}


def test_modules_named_in_docstrings_and_comments_exist() -> None:
    there = {Path(name).name for name in tracked()}
    found = {name: re.findall(r"[\w/]+\.py\b", prose(name)) for name in modules("fleet", "tools", "bench")}
    assert sum(map(len, found.values())) > 100
    assert {name: lost for name, named in found.items() if (lost := {Path(n).name for n in named} - there)} == {}


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs"])
def test_paths_in_pages_exist(page: str) -> None:
    """They begin at the root, at fleet/ or at web/src/; a file name alone is that of any file."""
    there = {str(path) for name in tracked() for path in (Path(name), *Path(name).parents)}
    there |= {Path(name).name for name in tracked()} | {"fleet/gateway/dashboard"}  # the build of the page
    pages = [text(name) for name in tracked() if name == page or (name.startswith(f"{page}/") and name.endswith(".md"))]
    own_words = re.sub(r"<!-- begin of the map.*<!-- end of the map -->", "", "".join(pages), flags=re.DOTALL)
    folder = r"|(?:[\w-]+/)+[\w-]*" if page.endswith(".md") else ""
    named = re.findall(rf"`((?:[\w-]+/)*[\w-]+\.(?:py|ts|tsx|css|md){folder})`", own_words)
    paths = [path.rstrip("/") for path in named if "NNNN" not in path and not path.startswith("refs/")]
    missing = [path for path in paths if not {path, f"fleet/{path}", f"web/src/{path}"} & there]
    assert len(named) > 10
    assert missing == []


def test_one_package_knows_the_internals_of_hypercorn() -> None:
    """ADR 0035 lists what it replaces."""
    public = ("hypercorn.config", "hypercorn.trio", "hypercorn.typing")
    found = [
        f"{name}: {module}"
        for name in modules("fleet")
        if not name.startswith("fleet/gateway/hypercorn/")
        for module in re.findall(r"^\s*(?:from|import) (hypercorn[\w.]*)", text(name), re.MULTILINE)
        if module not in public
    ]
    assert found == []


def test_routes_read_of_a_request_what_they_declare() -> None:
    """The page has no endpoints: it is the only one that the framework gives the request of the task."""
    found = [
        name
        for name in modules("fleet/gateway/routes", "fleet/gateway/live")
        if re.search(r"^from quart import .*\brequest\b", text(name), re.MULTILINE)
    ]
    assert found == ["fleet/gateway/routes/page.py"]


def test_set_up_can_be_read_by_a_python_that_is_too_old() -> None:
    ast.parse(text("tools/setup.py"), feature_version=(3, 6))


def test_every_pin_has_a_hash() -> None:
    pins = re.findall(r"^(\S+==\S+).*?(?=^\S|\Z)", text("constraints.txt"), re.MULTILINE | re.DOTALL)
    hashed = re.findall(r"^(\S+==\S+)[^\n]*\\\n\s+--hash=sha256:", text("constraints.txt"), re.MULTILINE)
    assert pins
    assert pins == hashed


def test_every_dependency_is_pinned() -> None:
    wanted = re.findall(r'^    "([A-Za-z][\w-]*)[><=\[]', text("pyproject.toml"), re.MULTILINE)
    pinned = {
        re.sub(r"[-_.]+", "-", name).lower() for name in re.findall(r"^([\w.-]+)==", text("constraints.txt"), re.M)
    }
    assert "trio" in wanted
    assert [name for name in wanted if re.sub(r"[-_.]+", "-", name).lower() not in pinned] == []
