"""The wheel: it brings the page, though git leaves the build out."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from fleet.gateway.server.page_files import read_build
from tests.gateway.builds import MEMBERS, write_build

ROOT = Path(__file__).parent.parent


def test_it_brings_the_page(tmp_path: Path) -> None:
    """Of a copy, in which a small page stands for the built one."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    source = tmp_path / "source"
    for name in listed.split("\0"):
        if name.startswith(("fleet/", "pyproject", "README", "LICENSE", ".gitignore")) and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    write_build(source / "fleet" / "gateway" / "dashboard")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "installed")
        names = packed.namelist()
    assert "fleet/gateway/unbuilt.html" in names
    installed = read_build(tmp_path / "installed" / "fleet" / "gateway" / "dashboard")
    assert installed.files.keys() == MEMBERS
    assert installed.files["assets/app-1a2b.js"].bodies.keys() == {"identity", "br", "gzip"}
