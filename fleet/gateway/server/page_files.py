"""The files of the built page, read once at start into an index by the name that a browser asks for.

A request names a key of this index and never a path of the disk, so that no name leads anywhere else. A build that is
made while the server runs is served from the next start on, as a whole.
"""

import hashlib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from fleet.errors import StartupError
from fleet.gateway.server.encoding import IDENTITY
from fleet.limits import MIB, PAGE_BYTES_MAX

SHELL: Final = "index.html"
_SERVED_FILES: Final = (SHELL, "theme.js", "manifest.webmanifest")
_SERVED_FOLDERS: Final = ("assets", "icons")
"""The rest of a build, Vite's own manifest for example, is for tools."""
_ENCODINGS: Final = {"br": ".br", "gzip": ".gz"}
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""Not the platform's table: it differs from machine to machine, and browsers may not guess (`nosniff`)."""
_NO_FILES: Final[Mapping[str, "PageFile"]] = MappingProxyType({})


class PageFile(msgspec.Struct, frozen=True):
    """A file: its type, its bytes by encoding (`identity` is always there), and the digest of what it says."""

    content_type: str
    bodies: Mapping[str, bytes]
    digest: str

    def tag(self, encoding: str) -> str:
        """Return the entity tag of this encoding, without quotes: each has one of its own (RFC 9110, 8.8.3.3)."""
        return self.digest if encoding == IDENTITY else f"{self.digest}-{encoding}"


class Build(msgspec.Struct, frozen=True):
    """A build of the page, by name (`assets/app-3f2a.js`). One without files: the page has not been built."""

    files: Mapping[str, PageFile] = _NO_FILES

    @property
    def shell(self) -> PageFile | None:
        """The document that every address of the page gets, None without a build."""
        return self.files.get(SHELL)


def installed_build() -> Path:
    """Return where the page's build lies in this installation of Fleet, whether it is there or not."""
    return Path(str(files("fleet.gateway"))) / "dashboard"


def read_build(folder: Path) -> Build:
    """Return the build in `folder`, one without files where none is there. Raises `StartupError`."""
    try:
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in _bounded(folder)}
    except OSError as error:
        raise StartupError(
            f"The page in {folder} cannot be read: {error.strerror}. Build it again with `make web`."
        ) from error
    if SHELL not in found:
        return Build()
    return Build({name: _file(name, found) for name in found if not _is_variant(name, found)})


def _bounded(folder: Path) -> list[Path]:
    paths = list(_served(folder))
    size = sum(path.stat().st_size for path in paths)
    if size > PAGE_BYTES_MAX:
        raise StartupError(
            f"The page in {folder} is {size / MIB:.0f} MiB; the limit is {PAGE_BYTES_MAX // MIB} MiB. "
            "Build it again with `make clean web`."
        )
    return paths


def _served(folder: Path) -> Iterator[Path]:
    """Yield the regular files that browsers may ask for. Links are left out: they could lead anywhere."""
    named = [folder / f"{name}{suffix}" for name in _SERVED_FILES for suffix in ("", *_ENCODINGS.values())]
    below = [path for name in _SERVED_FOLDERS for path in sorted((folder / name).rglob("*"))]
    return (path for path in (*named, *below) if path.is_file() and not path.is_symlink())


def _is_variant(name: str, found: Mapping[str, bytes]) -> bool:
    return any(name.endswith(suffix) and name.removesuffix(suffix) in found for suffix in _ENCODINGS.values())


def _file(name: str, found: Mapping[str, bytes]) -> PageFile:
    body = found[name]
    encoded = {encoding: found[name + suffix] for encoding, suffix in _ENCODINGS.items() if name + suffix in found}
    content_type = _TYPES.get(Path(name).suffix, "application/octet-stream")
    return PageFile(content_type, {IDENTITY: body, **encoded}, hashlib.sha256(body).hexdigest()[:32])
