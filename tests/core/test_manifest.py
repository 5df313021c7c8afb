"""The diffs of turns, put together, are the diff of the first and the last content; lines are counted as git does."""

from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fleet.core import manifest as changes
from fleet.core.manifest import ChangedFile, Manifest, composed, line_counts
from fleet.core.session.values import Totals
from fleet.limits import DIFF_COUNT_EDITS_MAX, DIFF_COUNT_LINES_MAX
from fleet.ports import ChangeStatus, FileChange

Content = tuple[str, str]
"""A content's digest, and the file's mode."""
Files = Mapping[str, Content]
"""A directory: what is at each path."""


def changed(
    name: str,
    before: str | None,
    after: str | None,
    *,
    old: str | None = None,
    modes: tuple[str, str] = ("100644", "100644"),
    counts: tuple[int, int] = (0, 0),
    is_truncated: bool = False,
) -> ChangedFile:
    status: ChangeStatus = "added" if before is None else "deleted" if after is None else "modified"
    mode_before = None if before is None else modes[0]
    mode_after = None if after is None else modes[1]
    return ChangedFile(name, status, *counts, False, is_truncated, before, after, mode_before, mode_after, old)


def manifest(*files: ChangedFile) -> Manifest:
    return Manifest(tuple(sorted(files, key=lambda file: file.file)))


# ----------------------------------------------------------------------------------------------------- what is kept


def test_manifest_names_contents_by_their_digests() -> None:
    added = FileChange("a", "added", 1, 0, False, False, None, b"A", None, "100755")
    moved = FileChange("c", "modified", 2, 3, True, True, b"B", b"C", "100644", "100644", "b")
    deleted = FileChange("d", "deleted", 0, 1, False, False, b"", None, "120000", None)
    assert changes.contents((added, moved, deleted)) == [b"A", b"B", b"C", b""]
    made = changes.manifest_of((added, moved, deleted), ["A", "B", "C", "empty"])
    assert made.files == (
        ChangedFile("a", "added", 1, 0, False, False, None, "A", None, "100755"),
        ChangedFile("c", "modified", 2, 3, True, True, "B", "C", "100644", "100644", "b"),
        ChangedFile("d", "deleted", 0, 1, False, False, "empty", None, "120000", None),
    )
    assert made.totals() == Totals(3, 3, 4)
    assert changes.decode_manifest(changes.encode_manifest(made)) == made


# -------------------------------------------------------------------------------------------------------- composition


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ((changed("a", "1", "2"),), (changed("a", "2", "3"),), (changed("a", "1", "3"),)),
        ((changed("a", "1", "2"),), (changed("a", "2", "1"),), ()),
        ((changed("a", None, "1"),), (changed("a", "1", None),), ()),
        ((changed("a", "1", None),), (changed("a", None, "2"),), (changed("a", "1", "2"),)),
        ((), (changed("b", "1", "1", old="a"),), (changed("b", "1", "1", old="a"),)),
        ((changed("b", "1", "1", old="a"),), (), (changed("b", "1", "1", old="a"),)),
        ((changed("a", "1", "2"),), (changed("b", "2", "2", old="a"),), (changed("b", "1", "2", old="a"),)),
        ((changed("b", "1", "1", old="a"),), (changed("b", "1", "2"),), (changed("b", "1", "2", old="a"),)),
        ((changed("b", "1", "2", old="a"),), (changed("c", "2", "3", old="b"),), (changed("c", "1", "3", old="a"),)),
        ((changed("b", "1", "1", old="a"),), (changed("a", "1", "1", old="b"),), ()),
        ((changed("b", "1", "2", old="a"),), (changed("a", "2", "2", old="b"),), (changed("a", "1", "2"),)),
        ((changed("b", "1", "1", old="a"),), (changed("b", "1", None),), (changed("a", "1", None),)),
        ((changed("a", None, "1"),), (changed("b", "1", "1", old="a"),), (changed("b", None, "1"),)),
        (
            (changed("b", "1", "1", old="a"),),
            (changed("a", None, "2"),),
            (changed("a", "1", "2"), changed("b", None, "1")),
        ),
        (
            (changed("b", "9", None),),
            (changed("b", "1", "1", old="a"),),
            (changed("a", "1", None), changed("b", "9", "1")),
        ),
        (
            (changed("a", "1", "2"), changed("b", "9", None)),
            (changed("b", "2", "2", old="a"),),
            (changed("a", "1", None), changed("b", "9", "2")),
        ),
    ],
    ids=(
        "changed twice",
        "changed back",
        "come and gone",
        "gone and come back",
        "renamed at last",
        "renamed at first",
        "changed, then renamed",
        "renamed, then changed",
        "renamed twice",
        "renamed back",
        "renamed back, but changed",
        "renamed, then gone",
        "come, then renamed",
        "renamed, and another in its old place",
        "renamed to where one had gone",
        "changed, then renamed to where one had gone",
    ),
)
def test_diffs_of_two_turns_combine_into_one(
    first: tuple[ChangedFile, ...], second: tuple[ChangedFile, ...], both: tuple[ChangedFile, ...]
) -> None:
    assert composed(Manifest(first), Manifest(second)) == Manifest(both)


def test_a_mode_counts_as_a_change() -> None:
    executable = manifest(changed("a", "1", "1", modes=("100644", "100755")))
    back = manifest(changed("a", "1", "1", modes=("100755", "100644")))
    assert composed(Manifest(), executable) == executable
    assert composed(executable, back) == Manifest()


def test_truncated_contents_count_as_changed_even_if_their_beginnings_are_equal() -> None:
    cut = manifest(changed("a", "1", "1", is_truncated=True))
    assert composed(cut, Manifest()) == composed(Manifest(), cut) == cut
    gone = manifest(replace(changed("b", "1", None), is_truncated=True))
    come = manifest(replace(changed("b", None, "1"), is_truncated=True))
    assert composed(come, gone) == Manifest()


def test_combined_diff_adds_line_counts_and_keeps_binary_files_binary() -> None:
    binary = replace(changed("a", "2", "3", counts=(1, 1)), is_binary=True)
    (file,) = composed(manifest(changed("a", "1", "2", counts=(4, 2))), manifest(binary)).files
    assert (file.additions, file.deletions, file.is_binary) == (5, 3, True)


paths = st.sampled_from("abcd")
contents = st.tuples(st.sampled_from("123"), st.sampled_from(("100644", "100755")))
directories: st.SearchStrategy[Files] = st.dictionaries(paths, contents)


@st.composite
def diffs(draw: st.DrawFn, before: Files, after: Files) -> Manifest:
    """Return the diff of two directories; which of the files that came are renames of those that went, is drawn."""
    came = [path for path in after if path not in before]
    went = [path for path in before if path not in after]
    renames = dict(zip(draw(st.permutations(came)), went, strict=False)) if draw(st.booleans()) else {}
    edits = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    return manifest(
        *(
            _diff(path, before.get(renames.get(path, path)), after.get(path), renames.get(path))
            for path in edits
            if path not in renames.values()
        )
    )


def _diff(path: str, before: Content | None, after: Content | None, old: str | None) -> ChangedFile:
    digest_before, mode_before = before or (None, "")
    digest_after, mode_after = after or (None, "")
    return changed(path, digest_before, digest_after, old=old, modes=(mode_before, mode_after))


def by_path(of: Manifest) -> dict[str, tuple[Content | None, Content | None]]:
    """Return what a manifest says of each path, first and last, also of renames."""
    found: dict[str, tuple[Content | None, Content | None]] = {}
    for file in of.files:
        before = None if file.before is None else (file.before, file.mode_before or "")
        after = None if file.after is None else (file.after, file.mode_after or "")
        if file.old_file is None:
            said = {file.file: (before, after)}
        else:
            said = {file.old_file: (before, None), file.file: (None, after)}
        assert not said.keys() & found.keys(), "two entries have the same path"
        found |= said
    return found


@settings(max_examples=300)
@given(st.data(), st.lists(directories, min_size=1, max_size=5))
def test_the_diffs_of_all_turns_are_the_diff_of_the_first_and_the_last_content(
    data: st.DataObject, history: list[Files]
) -> None:
    total = Manifest()
    for before, after in pairwise(history):
        total = composed(total, data.draw(diffs(before, after)))
    first, last = history[0], history[-1]
    differ = {path for path in {**first, **last} if first.get(path) != last.get(path)}
    assert by_path(total) == {path: (first.get(path), last.get(path)) for path in differ}
    assert [file.file for file in total.files] == sorted(file.file for file in total.files)
    for file in total.files:
        assert file.status == changed(file.file, file.before, file.after).status


@settings(max_examples=100)
@given(st.data(), st.lists(directories, min_size=4, max_size=4))
def test_order_of_combining_diffs_does_not_matter(data: st.DataObject, history: list[Files]) -> None:
    one, two, three = (data.draw(diffs(before, after)) for before, after in pairwise(history))
    assert by_path(composed(composed(one, two), three)) == by_path(composed(one, composed(two, three)))


@given(st.data(), directories, directories)
def test_turn_without_changes_leaves_the_combined_diff_as_it_is(
    data: st.DataObject, before: Files, after: Files
) -> None:
    diff = data.draw(diffs(before, after))
    assert composed(diff, Manifest()) == composed(Manifest(), diff) == diff


# --------------------------------------------------------------------------------------------------------- line counts


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        (b"", b"", (0, 0)),
        (b"", b"a\nb\n", (2, 0)),
        (b"a\nb", b"", (0, 2)),
        (b"a\nb\nc\n", b"a\nx\nc\n", (1, 1)),
        (b"a\nb\n", b"b\na\n", (1, 1)),
        (b"a\nb\n", b"a\r\nb\r\n", (2, 2)),
        (b"a\n", b"a", (1, 1)),
        (b"a\rb\n", b"a\rc\n", (1, 1)),
    ],
    ids=("empty", "come", "gone", "one line", "swapped", "CRLF", "no newline at the end", "a lone CR ends no line"),
)
def test_lines_are_counted_as_git_does(before: bytes, after: bytes, counts: tuple[int, int]) -> None:
    assert line_counts(before, after) == counts


def longest_common(old: list[bytes], new: list[bytes]) -> int:
    """Return the length of the longest common subsequence, by the book."""
    row = [0] * (len(new) + 1)
    for line in old:
        above = row[:]
        for n, other in enumerate(new, 1):
            row[n] = above[n - 1] + 1 if line == other else max(above[n], row[n - 1])
    return row[-1]


texts = st.lists(st.sampled_from((b"a\n", b"b\n", b"c\n", b"\n", b"a\r\n")), max_size=12)


@settings(max_examples=300)
@given(texts, texts)
def test_line_counts_are_the_smallest_possible(old: list[bytes], new: list[bytes]) -> None:
    common = longest_common(old, new)
    assert line_counts(b"".join(old), b"".join(new)) == (len(new) - common, len(old) - common)


def test_lines_of_texts_that_are_too_long_or_too_different_are_not_counted() -> None:
    half = DIFF_COUNT_LINES_MAX // 2
    rows = [b"%d\n" % n for n in range(half)]
    text = b"".join(rows)
    assert line_counts(text, text) == (0, 0)
    assert line_counts(text, text + b"\n") is None
    assert line_counts(text, b"\n" * half) == (half, half), "nothing in common"
    moved = DIFF_COUNT_EDITS_MAX // 2
    assert line_counts(text, b"".join(rows[moved:] + rows[:moved])) == (moved, moved)
    assert line_counts(text, b"".join(rows[moved + 1 :] + rows[: moved + 1])) is None


def test_many_equal_lines_are_counted_quickly() -> None:
    half = DIFF_COUNT_LINES_MAX // 2
    assert line_counts(b"\n" * half, b"\n" * (half - 3)) == (0, 3)
