"""Keeps the pages true: decision records, links, and what ARCHITECTURE.md says of the code (words: test_house.py)."""

import re
import tomllib
from pathlib import Path

from tests.repository import ROOT, modules, text, tracked


def test_a_decision_record_has_context_decision_and_consequences() -> None:
    for name in tracked():
        if name.startswith("docs/adr/") and name.endswith(".md"):
            assert re.fullmatch(r"docs/adr/\d{4}-[a-z0-9-]+\.md", name)
            headings = re.findall(r"^## (\w+)", text(name), re.MULTILINE)
            assert [h for h in headings if h in ("Context", "Decision", "Consequences")] == [
                "Context",
                "Decision",
                "Consequences",
            ], name


def test_titles_of_decision_records_have_one_format() -> None:
    records = [name for name in tracked() if name.startswith("docs/adr/")]
    assert [name for name in records if not re.match(rf"# {Path(name).name[:4]}: \S", text(name))] == []


def test_index_of_decision_records_is_in_order() -> None:
    listed = re.findall(r"^\| \[(\d{4})\]\(adr/(\d{4})-", text("docs/decisions.md"), re.MULTILINE)
    assert listed == sorted(listed)
    assert all(shown == linked for shown, linked in listed)


def test_decision_records_have_numbers_of_their_own() -> None:
    numbers = [Path(name).name[:4] for name in tracked() if name.startswith("docs/adr/")]
    assert len(numbers) == len(set(numbers))


def test_every_decision_record_is_in_the_index() -> None:
    index = text("docs/decisions.md")
    assert [name for name in tracked() if name.startswith("docs/adr/") and f"({name[5:]})" not in index] == []


def test_readme_has_at_most_150_lines() -> None:
    assert len(text("README.md").splitlines()) <= 150


def test_links_between_pages_lead_to_files() -> None:
    broken = [
        f"{name}: {target}"
        for name in tracked()
        if name.endswith(".md")
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text(name))
        if not (ROOT / name).parent.joinpath(target).exists()
    ]
    assert broken == []


def test_order_of_imports_in_the_architecture_is_the_contract() -> None:
    contract = tomllib.loads(text("pyproject.toml"))["tool"]["importlinter"]["contracts"][0]
    layers = [layer.replace("fleet.", "").replace(" | ", ", ") for layer in contract["layers"]]
    drawn = text("ARCHITECTURE.md").split("refuses other imports:")[1].split("##")[0]
    assert " ".join(drawn.split()) == " > ".join(layers)


def test_walk_of_a_prompt_names_functions_that_exist() -> None:
    walk = text("ARCHITECTURE.md").split("## A prompt from HTTP to disk")[1].split("\n## ")[0]
    steps = re.findall(r"^\d\. `([\w/]+\.py)`, `(?:(\w+)\.)?(\w+)`:", walk, re.MULTILINE)
    assert len(steps) == 6
    for path, owner, function in steps:
        source = text(f"fleet/{path}")
        assert re.search(rf"def {function}\b", source), (path, function)
        assert not owner or re.search(rf"^class {owner}\b", source, re.MULTILINE), (path, owner)


def test_supervision_tree_names_all_children_in_order() -> None:
    tree = text("ARCHITECTURE.md").split("## The supervision tree")[1].split("\n## ")[0]
    started = text("fleet/actors/supervision.py")
    children = re.findall(r'ChildSpec\("([\w-]+)"', started.split("def _children")[1])
    assert re.findall(r"^    \|  [|`]- ([\w-]+)", tree, re.MULTILINE) == children
    assert re.split(r"\s+->\s+", started.split("\n\n")[1].strip()) == children


def test_record_about_hypercorn_names_all_that_is_replaced() -> None:
    replaced = {
        name
        for module in modules("fleet/gateway/hypercorn")
        for name in re.findall(r"^    [\w(), .\"]+\.(\w+) = _?\w+(?:  # .*)?$", install_of(module), re.MULTILINE)
    }
    record = text("docs/adr/0035-hypercorn-internals.md")
    assert {"_recycle", "protocol_send", "WSStream"} & replaced
    assert {name for name in replaced if name not in record} == set()


def install_of(module: str) -> str:
    """Return the source of a module's function `install`."""
    found = re.search(r"^def install\(.*?(?=^\S|\Z)", text(module), re.MULTILINE | re.DOTALL)
    return "" if found is None else found[0]
