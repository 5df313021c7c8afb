"""Set up what Fleet needs: `.venv` with the pinned packages, OpenCode where the machine has none, and the page's build.

Run by every `make` target that needs it. What is there already is left alone: without work to do it takes a moment and
no network. Runs on every `python3`, so that an old one gets a sentence and not a syntax error; hence nothing newer than
Python 3.6 and nothing beyond the standard library here.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

PYTHON_MIN = (3, 11)
OPENCODE_VERSION = "1.18.33"  # the version that Fleet is tested with; the one place where it is pinned

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
PINS = ROOT / "constraints.txt"
STAMP = VENV / "fleet-setup.sha256"
OPENCODE_PACKAGE = TOOLS / "node_modules" / "opencode-ai"
OPENCODE_BINARY = OPENCODE_PACKAGE / "bin" / "opencode.exe"  # so called on every platform
PLACEHOLDER_BYTES_MAX = 1000000  # what the package brings in the binary's place is a script of a few lines


WEB = ROOT / "web"
PAGE = ROOT / "fleet" / "gateway" / "dashboard"
PAGE_STAMP = PAGE / ".fleet-build.sha256"  # what the build was made of
WEB_STAMP = WEB / "node_modules" / ".fleet-setup"  # the lock file that was installed, and whether with the tools
NOT_SOURCES = ("node_modules", "tests")
NODE_MIN = 20
OUTPUT_CHARS_MAX = 20000  # of a command that fails: its end says why

BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


class SetupFailed(Exception):
    """Set-up cannot continue; the message says what to do."""


def main():
    """Set up; exit 1 with one message where that is not possible."""
    parser = argparse.ArgumentParser(description="Set up what Fleet and its tests need.")
    parser.add_argument("--opencode", help="use this OpenCode and install none (default: $FLEET_OPENCODE)")
    parser.add_argument("--browser", action="store_true", help="see that there is a Chromium, which tests need")
    parser.add_argument(
        "--page",
        choices=("try", "need", "tools"),
        help="do nothing but build the page: if that is possible, or fail; or install what its checks need",
    )
    arguments = parser.parse_args()
    try:
        if arguments.page:
            set_up_page(arguments.page)
            return
        set_up_python()
        set_up_opencode(arguments.opencode or os.environ.get("FLEET_OPENCODE"))
        if arguments.browser:
            set_up_browser()
    except SetupFailed as error:
        sys.exit("setup: {}".format(error))
    except KeyboardInterrupt:
        sys.exit("setup: interrupted; run it again to continue")


def set_up_python():
    """Make `.venv` and install the pinned packages and Fleet itself, editable, unless that has been done."""
    if sys.version_info < PYTHON_MIN:
        raise SetupFailed(
            "Fleet needs Python {}.{} or newer and this is {}. Name another one: make PYTHON=python3.12 {}".format(
                *PYTHON_MIN, sys.version.split()[0], os.environ.get("MAKECMDGOALS", "run")
            )
        )
    wanted = fingerprint()
    python = venv_python()
    if python.exists() and STAMP.exists() and STAMP.read_text() == wanted:
        return
    if not python.exists():
        say("Python environment in .venv")
        make_venv()
    say("pinned packages (constraints.txt)")
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    call([*pip, "--require-hashes", "--no-deps", "-r", PINS], "pip could not install the pinned packages")
    call(
        [*pip, "--quiet", "--no-deps", "--no-build-isolation", "--editable", ROOT], "pip could not install Fleet itself"
    )
    STAMP.write_text(wanted)


def make_venv():
    """Make `.venv`; an existing one, complete or not, is replaced."""
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupFailed(
            "Python's venv module does not work here (see above). On Debian and Ubuntu: apt install python3-venv"
        ) from error


def set_up_opencode(named):
    """See that there is an OpenCode: the one that is `named`, the one on the PATH, else install one from npm."""
    if named:
        if not os.access(named, os.X_OK) or Path(named).is_dir():
            raise SetupFailed("OpenCode is said to be {}, but that is no executable file.".format(named))
        return
    if shutil.which("opencode", path=path_without_tools()) or installed_opencode() == OPENCODE_VERSION:
        return
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise SetupFailed(
                "OpenCode is not installed, and there is no {} to install it with. Install Node.js 18 or newer "
                "with npm, or OpenCode itself, or name its executable in FLEET_OPENCODE.".format(program)
            )
    say("OpenCode {} from npm, about 200 MB, in .tools".format(OPENCODE_VERSION))
    TOOLS.mkdir(exist_ok=True)
    package = "opencode-ai@" + OPENCODE_VERSION
    # npm may hold install scripts back. OpenCode's own puts this platform's binary in its place: called by hand.
    # Each request in sight, and few retries: a network that refuses npm must not look like a long download.
    options = ["--no-audit", "--no-fund", "--no-save", "--loglevel=http", "--fetch-retries=1"]
    call(
        ["npm", "install", "--prefix", TOOLS, "--ignore-scripts", *options, package], "npm could not install " + package
    )
    call(
        ["node", OPENCODE_PACKAGE / "postinstall.mjs"], "OpenCode's binary for this platform could not be put in place"
    )
    call([OPENCODE_BINARY, "--version"], "OpenCode was installed but does not run on this machine")


def set_up_browser():
    """See that there is a Chromium: install Debian's where that is possible. Its tests fail and say so where not."""
    if any(shutil.which(name) for name in BROWSERS):
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        say("there is no Chromium, and only root can install it, on Debian: the browser tests will fail")
        return
    say("Chromium from Debian, about 100 MB: tests visit Fleet with it")
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-q", "-y"]
    call([*apt, "update"], "apt-get could not read what packages there are")
    call([*apt, "install", "--no-install-recommends", "chromium"], "apt-get could not install chromium")


def set_up_page(how):
    """Build the page where its sources have changed, or install what its checks need. `try` continues without it."""
    try:
        if how == "tools":
            install_page_packages(tools=True)
        else:
            build_page()
    except SetupFailed as error:
        if how != "try":
            raise
        state = "an older page is served" if (PAGE / "index.html").exists() else "Fleet runs without its page"
        say("{} Until then {}.".format(error, state))


def build_page():
    """Build the page, unless the build that is there was made of the very same sources."""
    wanted = page_fingerprint()
    if (PAGE / "index.html").exists() and read_stamp(PAGE_STAMP) == wanted:
        return
    install_page_packages(tools=False)
    say("the page, from web to fleet/gateway/dashboard")
    call_quietly(["npm", "run", "--silent", "build"], "the page could not be built")
    PAGE_STAMP.write_text(wanted)


def install_page_packages(tools):
    """Install the packages of web/package-lock.json, those of checks and tests too where `tools` are wanted."""
    require_node()
    lock = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    if read_stamp(WEB_STAMP) in ([lock + " tools"] if tools else [lock, lock + " tools"]):
        return
    say("the page's packages from npm, about {} MB, in web/node_modules".format(350 if tools else 180))
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1"]
    call_quietly(["npm", "ci", *options, *([] if tools else ["--omit=dev"])], "npm could not install its packages")
    WEB_STAMP.write_text(lock + (" tools" if tools else ""))


def require_node():
    """Raise `SetupFailed` where there is no Node.js that can build the page."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise SetupFailed("The page needs {} to be built: install Node.js {}.".format(program, NODE_MIN))
    said = subprocess.run(["node", "--version"], stdout=subprocess.PIPE, check=False).stdout.decode().strip()
    major = said[1:].split(".")[0]
    if not major.isdigit() or int(major) < NODE_MIN:
        raise SetupFailed("The page needs Node.js {} or newer, and this is {}.".format(NODE_MIN, said))


def page_fingerprint():
    """Return what the build depends on: every file below web, but for packages and tests."""
    digest = hashlib.sha256()
    for folder, folders, names in os.walk(str(WEB)):
        folders[:] = sorted(name for name in folders if name not in NOT_SOURCES)
        for name in sorted(names):
            path = Path(folder) / name
            digest.update("{}\0{}\0".format(path.relative_to(WEB), path.stat().st_size).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def read_stamp(path):
    """Return what the stamp says, None without one."""
    try:
        return path.read_text()
    except OSError:
        return None


def path_without_tools():
    """Return the PATH without our own .tools, which the Makefile appends."""
    entries = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if not entry.startswith(str(TOOLS)))


def installed_opencode():
    """Return the version of the OpenCode in .tools, None when there is none or its binary is not in place."""
    try:
        package = json.loads((OPENCODE_PACKAGE / "package.json").read_text())
        size_bytes = OPENCODE_BINARY.stat().st_size
    except (OSError, ValueError):
        return None
    return package["version"] if size_bytes > PLACEHOLDER_BYTES_MAX else None


def fingerprint():
    """Return what the installed environment depends on: the pins, the project file, and the place."""
    content = PINS.read_bytes() + (ROOT / "pyproject.toml").read_bytes() + str(ROOT).encode()
    return hashlib.sha256(content).hexdigest()


def venv_python():
    """Return the interpreter of `.venv`."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def call(command, failure):
    """Run `command` with its output in sight; raise `SetupFailed` with `failure` when it fails."""
    try:
        subprocess.run([str(part) for part in command], check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupFailed("{} ({}). Its output is above; run it again to continue.".format(failure, error)) from error


def call_quietly(command, failure):
    """Run `command` in web; show its output, and raise `SetupFailed` with `failure`, when it fails."""
    environment = dict(os.environ, NO_COLOR="1", CI="1")
    output = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command, cwd=str(WEB), env=environment, check=False, **output)
    if done.returncode != 0:
        sys.stdout.write(done.stdout.decode(errors="replace")[-OUTPUT_CHARS_MAX:])
        raise SetupFailed("{} (exit code {}); see above.".format(failure, done.returncode))


def say(what):
    """Tell what is being done."""
    print("setup: {}".format(what), flush=True)


if __name__ == "__main__":
    main()
