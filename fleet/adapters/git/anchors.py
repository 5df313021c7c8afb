"""Commits anchors of the log (fleet/events/anchors.py) to a ref of a git repository."""

from typing import Final

from fleet.adapters.git.command import attempt, run

REF: Final = "refs/fleet/anchors"
_FILE: Final = "anchors.jsonl"
_IDENTITY: Final = {
    "GIT_AUTHOR_NAME": "Fleet",
    "GIT_AUTHOR_EMAIL": "fleet@localhost",
    "GIT_COMMITTER_NAME": "Fleet",
    "GIT_COMMITTER_EMAIL": "fleet@localhost",
}


async def commit_anchor(directory: str, position: int, line: bytes) -> None:
    """Append the line to the file in the ref, as a new commit. Neither branches nor the work tree change.

    Raises `Problem` git_failed, also if another process moves the ref at the same time.
    """
    before = (await attempt("rev-parse", "--verify", "--quiet", f"{REF}^{{commit}}", directory=directory)).line
    content = b""
    if before:
        content = (await run("cat-file", "blob", f"{before}:{_FILE}", directory=directory)).encode() + b"\n"
    blob = await run("hash-object", "-w", "--stdin", directory=directory, stdin=content + line)
    tree = await run("mktree", directory=directory, stdin=f"100644 blob {blob}\t{_FILE}\n".encode())
    parents = ("-p", before) if before else ()
    commit = await run(
        "commit-tree", tree, *parents, "-m", f"Event {position}", directory=directory, environment=_IDENTITY
    )
    await run("update-ref", REF, commit, before or "0" * len(commit), directory=directory)
