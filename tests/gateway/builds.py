"""A small build of the page, as Vite leaves one, for tests of how it gets to the browser."""

import gzip
import zlib
from pathlib import Path

SHELL = b'<!doctype html>\n<title>Fleet</title><script type="module" src="/assets/app-1a2b.js"></script>\n'
APP = b"console.log('fleet')\n" * 1000
BROTLI = b"what brotli made of it"
WORKER = b"self.onmessage = () => {}\n"
FILES = {
    "index.html": SHELL,
    "theme.js": b"document.documentElement.dataset.theme = 'dark'\n",
    "manifest.webmanifest": b'{"name":"Fleet"}',
    "icons/icon.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "icons/icon-192.png": b"\x89PNG",
    "assets/app-1a2b.js": APP,
    "assets/app-1a2b.js.br": BROTLI,
    "assets/app-1a2b.js.gz": gzip.compress(APP, mtime=0),
    "assets/app-3c4d.css": b":root{}\n",
    "assets/worker-5e6f.js": WORKER,
    "assets/worker-5e6f.js.gz": gzip.compress(WORKER, mtime=0),
    "assets/mono-7a8b.woff2": b"wOF2",
    ".vite/manifest.json": b"{}",
    "notes.txt": b"not for browsers",
}
MEMBERS = {"index.html", "theme.js", "manifest.webmanifest", "icons/icon.svg", "icons/icon-192.png"} | {
    f"assets/{name}" for name in ("app-1a2b.js", "app-3c4d.css", "worker-5e6f.js", "mono-7a8b.woff2")
}
"""What browsers may ask for."""


def write_build(folder: Path) -> Path:
    """Write the build into `folder` and return it."""
    for name, body in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return folder


def unzipped(body: bytes) -> bytes:
    """Return what gzip has packed."""
    return zlib.decompress(body, 16 + zlib.MAX_WBITS)
