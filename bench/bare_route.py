"""The baseline of a REST read: Quart-Trio routes that answer with given bytes, on the Hypercorn that Fleet uses.

Run by rest.py as a process of its own: python -m bench.bare_route PORT DIRECTORY. Each file there is a route.
"""

import gc
import sys
from pathlib import Path
from typing import cast

import trio
from hypercorn.config import Config
from hypercorn.trio import serve  # pyright: ignore[reportUnknownVariableType] - its WSGI half has bare types
from hypercorn.typing import Framework  # pyright: ignore[reportUnknownVariableType] - the same
from quart import Response
from quart_trio import QuartTrio

from fleet.limits import GC_THRESHOLDS


def make_app(directory: Path) -> QuartTrio:
    """Return the application."""
    app = QuartTrio("bare")
    bodies = {file.name: file.read_bytes() for file in directory.iterdir()}

    @app.get("/<name>")
    async def read(name: str) -> Response:
        return Response(bodies[name], content_type="application/json")

    return app


def main() -> None:
    """Serve until terminated."""
    config = Config()
    config.bind = [f"127.0.0.1:{int(sys.argv[1])}"]
    config.accesslog = config.errorlog = None
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)  # as Fleet has it
    app = make_app(Path(sys.argv[2]))

    async def run() -> None:
        await serve(cast("Framework", app), config)

    trio.run(run)


if __name__ == "__main__":
    main()
