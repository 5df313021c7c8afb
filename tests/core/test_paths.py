"""The laws of path rules."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.core.paths import are_nested, directory_name, is_inside, slug
from fleet.limits import DIRECTORY_NAME_CHARS_MAX, SLUG_CHARS_MAX

names = st.from_regex(r"[a-z .\-]{1,8}", fullmatch=True).filter(lambda name: name not in (".", ".."))


@pytest.mark.parametrize(
    ("path", "roots", "inside"),
    [
        ("/srv/code", ["/srv/code"], True),
        ("/srv/code/a", ["/srv/code"], True),
        ("/srv/code-secret", ["/srv/code"], False),
        ("/srv", ["/srv/code"], False),
        ("/srv/code/../etc", ["/srv/code"], False),
        ("srv/code", ["/srv/code"], False),
        ("/etc", ["/srv/code", "/"], True),
        ("/etc", [], False),
    ],
)
def test_is_inside_compares_whole_path_components(path: str, roots: list[str], inside: bool) -> None:
    assert is_inside(path, roots) is inside


@given(st.lists(names, max_size=4), st.lists(names, max_size=4))
def test_is_inside_means_a_prefix_of_path_components(root: list[str], path: list[str]) -> None:
    expected = path[: len(root)] == root
    assert is_inside("/" + "/".join(path), ["/" + "/".join(root)]) is expected


@given(st.lists(names, max_size=4), st.lists(names, max_size=4))
def test_paths_are_nested_if_one_is_inside_the_other(first: list[str], second: list[str]) -> None:
    one, other = "/" + "/".join(first), "/" + "/".join(second)
    assert are_nested(one, other) is (is_inside(one, [other]) or is_inside(other, [one]))


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Fix the login bug", "fix-the-login-bug"),
        ("  --upload-pack=/bin/sh ", "upload-pack-bin-sh"),
        ("Größe ändern: Café", "große-andern-cafe".replace("ß", "")),
        ("日本語", "session"),
        ("", "session"),
        ("a.lock", "a-lock"),
        ("../../etc/passwd\n", "etc-passwd"),
        ("x" * 300, "x" * SLUG_CHARS_MAX),
    ],
)
def test_slug_of_a_title(title: str, expected: str) -> None:
    assert slug(title) == expected


@given(st.text())
def test_slug_is_safe_in_branch_and_file_names(title: str) -> None:
    made = slug(title)
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", made)
    assert len(made) <= SLUG_CHARS_MAX
    assert slug(made) == made


@given(st.text())
def test_a_directory_name_is_harmless(name: str) -> None:
    made = directory_name(name)
    assert re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?", made)
    assert len(made) <= DIRECTORY_NAME_CHARS_MAX
    assert directory_name(made) == made


@pytest.mark.parametrize("name", ["my-project", "My.Project_2"])
def test_a_plain_directory_name_stays(name: str) -> None:
    assert directory_name(name) == name
