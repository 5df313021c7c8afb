"""A real disk with real repositories, made quickly: each is a copy of one template."""

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from fleet.adapters.git import GitWorkspaces
from fleet.ports import WorkspaceSpec

IDENTITY = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}


def git(directory: str | Path, *arguments: str) -> str:
    environment = os.environ | IDENTITY
    argv = ["git", "-C", str(directory), *arguments]
    done = subprocess.run(argv, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.removesuffix("\n")


def make_template(directory: Path) -> Path:
    (directory / "src").mkdir(parents=True)
    (directory / "README.md").write_text("# Shop\n" * 20)
    (directory / "src" / "shop.py").write_text("price = 1\n")
    (directory / ".gitignore").write_text("*.log\n")
    git(directory, "init", "-q", "-b", "main")
    git(directory, "add", ".")
    git(directory, "commit", "-q", "-m", "Begin")
    return directory


class GitWorld:
    def __init__(self, base: Path, template: Path) -> None:
        self.base = base.resolve()
        self.template = template
        self.allowed = self.base / "allowed"
        self.root = self.base / "fleet" / "workspaces"
        self.allowed.mkdir()
        (self.base / "elsewhere").mkdir()
        self.restart()

    def restart(self) -> None:
        self.workspaces = GitWorkspaces(self.root, [self.allowed])

    def path(self, name: str) -> str:
        return str(self.allowed / name)

    def directory(self, name: str) -> str:
        (self.allowed / name).mkdir()
        return self.path(name)

    def file(self, name: str) -> str:
        (self.allowed / name).write_text("x")
        return self.path(name)

    def unreadable(self, name: str) -> str:
        path = self.directory(name)
        Path(path).chmod(0)
        return path

    @contextmanager
    def as_stranger(self) -> Generator[None, None, None]:
        user = os.geteuid()
        if user == 0:  # root may read everything: the user `nobody` may not
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(user)

    def link(self, name: str, target: str) -> str:
        (self.allowed / name).symlink_to(target)
        return self.path(name)

    def outside(self) -> str:
        return str(self.base / "elsewhere")

    def repository(self, name: str) -> str:
        shutil.copytree(self.template, self.allowed / name)
        return self.path(name)

    def empty_repository(self, name: str) -> str:
        git(self.directory(name), "init", "-q", "-b", "main")
        return self.path(name)

    def detach(self, repository: str) -> None:
        git(repository, "checkout", "-q", "--detach")

    def add_branch(self, repository: str, branch: str) -> None:
        git(repository, "branch", branch)

    def add_remote_branch(self, repository: str, name: str) -> None:
        git(repository, "update-ref", f"refs/remotes/{name}", "HEAD")

    def branches(self, repository: str) -> set[str]:
        return set(git(repository, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").splitlines())

    def head(self, repository: str) -> str:
        return git(repository, "rev-parse", "HEAD")

    def write(self, directory: str, name: str) -> None:
        Path(directory, name).write_text("work\n")

    def commit(self, directory: str) -> str:
        git(directory, "commit", "-q", "--allow-empty", "-m", "More")
        return self.head(directory)

    def tear(self, spec: WorkspaceSpec) -> None:
        checkout = Path(spec.directory)
        if spec.strategy == "clone":
            # A clone that is not complete does not have its name yet.
            checkout.rename(checkout.parent / ".making")
            return
        own = Path(git(checkout, "rev-parse", "--absolute-git-dir"))
        (own / "locked").write_text("initializing")
        (own / "index").rename(own / "index.lock")
        (checkout / "src" / "shop.py").unlink()
        (checkout / "README.md").write_text("# Sh")

    def is_there(self, directory: str) -> bool:
        return Path(directory).is_dir()
