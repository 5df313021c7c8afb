"""How `tools/setup.py` builds the page: when its sources have changed, and where Node.js is missing or fails."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NPM = """#!/bin/sh
echo "npm $*" >> "$CALLS"
case "$*" in
*ci*) [ -z "$CI_FAILS" ] || { echo "no such package"; exit 1; }; mkdir -p node_modules;;
*build*) [ -z "$BUILD_FAILS" ] || { echo "src/app.ts:1: wrong"; exit 2; }
    mkdir -p ../fleet/gateway/dashboard; echo shell > ../fleet/gateway/dashboard/index.html;;
esac
"""


class Checkout:
    """A copy of what building the page needs, with a node and an npm that only take note of what they are asked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls = root / "calls"
        self.page = root / "fleet" / "gateway" / "dashboard"
        self.programs = root / "programs"
        for name in ("tools", "web/src", "web/tests", "fleet/gateway", "programs"):
            (root / name).mkdir(parents=True)
        shutil.copy(ROOT / "tools" / "setup.py", root / "tools")
        self.write("web/package-lock.json", "{}")
        self.write("web/src/app.ts", "1")
        self.program("npm", NPM)
        self.program("node", "#!/bin/sh\necho v20.1.0\n")

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(stat.S_IRWXU)

    def run(self, how: str, **variables: str) -> tuple[int, list[str], str]:
        """Run it; return the exit code, what npm was asked for, and all that was said."""
        self.calls.write_text("")
        environment = {"PATH": f"{self.programs}:/bin:/usr/bin", "CALLS": str(self.calls), **variables}
        if not (self.programs / "node").exists():
            environment["PATH"] = str(self.programs)
        command = [sys.executable, str(self.root / "tools" / "setup.py"), "--page", how]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        asked = [line.split()[-1] if "build" in line else line for line in self.calls.read_text().splitlines()]
        return done.returncode, asked, done.stdout + done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def kinds(asked: list[str]) -> list[str]:
    return [("ci dev" if "--omit=dev" in each else "ci all") if " ci " in each else each for each in asked]


@pytest.mark.parametrize("how", ["try", "need"])
def test_the_page_is_built_once(checkout: Checkout, how: str) -> None:
    code, asked, said = checkout.run(how)
    assert (code, kinds(asked)) == (0, ["ci dev", "build"])
    assert "npm, about" in said
    assert "the page, from web" in said
    assert checkout.run(how) == (0, [], "")


@pytest.mark.parametrize("name", ["src/app.ts", "src/new.ts", "index.html"])
def test_it_is_built_again_when_a_source_has_changed(checkout: Checkout, name: str) -> None:
    checkout.run("need")
    checkout.write(f"web/{name}", "2")
    assert kinds(checkout.run("need")[1]) == ["build"]
    (checkout.root / "web" / name).unlink()
    assert kinds(checkout.run("need")[1]) == ["build"]


def test_it_is_not_built_again_for_a_test(checkout: Checkout) -> None:
    checkout.run("need")
    checkout.write("web/tests/app.test.ts", "1")
    assert checkout.run("need")[1] == []


def test_it_is_built_again_when_it_is_gone(checkout: Checkout) -> None:
    checkout.run("need")
    shutil.rmtree(checkout.page)
    assert kinds(checkout.run("need")[1]) == ["build"]


def test_packages_are_installed_again_when_the_lock_file_has_changed(checkout: Checkout) -> None:
    checkout.run("need")
    checkout.write("web/package-lock.json", '{"a": 1}')
    assert kinds(checkout.run("need")[1]) == ["ci dev", "build"]


def test_checks_need_more_packages_and_the_build_is_content_with_those(checkout: Checkout) -> None:
    checkout.run("need")
    assert kinds(checkout.run("tools")[1]) == ["ci all"]
    assert checkout.run("tools")[1] == []
    checkout.write("web/src/app.ts", "2")
    assert kinds(checkout.run("need")[1]) == ["build"]


@pytest.mark.parametrize("missing", ["node", "npm"])
def test_without_node_a_start_continues_and_says_so_in_one_line(checkout: Checkout, missing: str) -> None:
    """`make run` starts the server then: its interface works."""
    for name in {missing, "node"}:
        (checkout.programs / name).unlink()
    code, asked, said = checkout.run("try")
    assert (code, asked, said.count("\n")) == (0, [], 1)
    assert "Node.js 20" in said
    assert "Fleet runs without its page" in said
    for how in ("need", "tools"):
        code, _, said = checkout.run(how)
        assert (code, "Node.js 20" in said) == (1, True)


def test_a_page_that_was_built_before_stays(checkout: Checkout) -> None:
    checkout.run("need")
    checkout.write("web/src/app.ts", "2")
    (checkout.programs / "node").unlink()
    assert "an older page is served" in checkout.run("try")[2]
    assert (checkout.page / "index.html").exists()


@pytest.mark.parametrize("version", ["v18.19.0", "v9.0.0", "nonsense", ""])
def test_an_old_node_is_named(checkout: Checkout, version: str) -> None:
    checkout.program("node", f"#!/bin/sh\necho {version}\n")
    code, asked, said = checkout.run("need")
    assert (code, asked) == (1, [])
    assert "Node.js 20 or newer" in said
    assert checkout.run("try")[0] == 0


@pytest.mark.parametrize(("failing", "shown"), [("CI_FAILS", "no such package"), ("BUILD_FAILS", "app.ts:1: wrong")])
def test_what_fails_shows_its_output_and_is_tried_again(checkout: Checkout, failing: str, shown: str) -> None:
    code, _, said = checkout.run("need", **{failing: "1"})
    assert (code, shown in said) == (1, True)
    assert checkout.run("try", **{failing: "1"})[0] == 0
    assert kinds(checkout.run("need")[1])[-1] == "build"


def test_make_builds_the_page_before_it_starts_and_tests() -> None:
    """The targets, as make would carry them out."""
    for target, wanted in (("run", "--page try"), ("web", "--page need"), ("test", "--page need"), ("check", "tools")):
        planned = subprocess.run(
            ["make", "--dry-run", target], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True
        ).stdout
        assert wanted in planned, target
    assert planned.index("npm run --silent check") > planned.index("--page tools")
