"""Write the map at the top of ARCHITECTURE.md from the first sentences of the modules' docstrings.

A package has a table with a row for each of its modules; the sentence of its `__init__.py` stands above it. With
`--check`, nothing is written: the exit code is 1 if the map is not current.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "ARCHITECTURE.md"
_BEGIN, _END = (
    "<!-- begin of the map: run `make map` after a change of a module's first sentence -->",
    "<!-- end of the map -->",
)
_SENTENCE = re.compile(r".+?[.?!](?=\s+[A-Z`]|$)")


def first_sentence(source: str) -> str:
    """Return the first sentence of a module's docstring, for a cell of a table."""
    docstring = ast.get_docstring(ast.parse(source)) or ""
    paragraph = " ".join(docstring.split("\n\n")[0].split())
    sentence = _SENTENCE.match(paragraph)
    return (sentence[0] if sentence else paragraph).replace("|", "\\|").replace("<", "&lt;")


def render() -> str:
    """Return the map: an overview of the packages, then a table for each of them."""
    listed = subprocess.run(["git", "ls-files", "fleet/**.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = sorted(name for name in set(listed.stdout.split()) if (ROOT / name).is_file())
    sentences = {name: first_sentence((ROOT / name).read_text("utf-8")) for name in files}
    packages = sorted(str(Path(name).parent) for name in files if name.endswith("/__init__.py"))
    lines = ["| package | what it is |", "|---|---|"]
    lines += [f"| `{package}` | {sentences[f'{package}/__init__.py']} |" for package in packages]
    for package in packages:
        modules = [name for name in files if str(Path(name).parent) == package and not name.endswith("__init__.py")]
        if modules:
            count = "1 module" if len(modules) == 1 else f"{len(modules)} modules"
            lines += ["", f"<details><summary><code>{package}</code>, {count}</summary>", ""]
            lines += ["| module | what it is |", "|---|---|"]
            lines += [f"| [{Path(name).name}]({name}) | {sentences[name]} |" for name in modules]
            lines += ["", "</details>"]
    return "\n".join(lines)


def main() -> int:
    """Write the map, or check it."""
    page = PAGE.read_text("utf-8")
    head, rest = page.split(_BEGIN, 1)
    current = f"{head}{_BEGIN}\n\n{render()}\n\n{_END}{rest.split(_END, 1)[1]}"
    if current == page:
        return 0
    if "--check" in sys.argv[1:]:
        print("ARCHITECTURE.md: the map is not current, run `make map`")
        return 1
    PAGE.write_text(current, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
