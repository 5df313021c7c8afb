"""`fleet rehearsal` serves the rehearsal model alone, for people who build on OpenCode."""

import signal
from typing import Annotated

import typer

from fleet.errors import StartupError


def rehearsal(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 chooses a free one.")] = 0,
) -> None:
    """Serve the rehearsal model on 127.0.0.1 until Ctrl-C, and print the OpenCode configuration that uses it.

    It speaks the OpenAI chat protocol, needs no key, and follows a script in the prompt: see fleet/rehearsal/README.md.
    """
    import trio

    try:
        trio.run(_serve, port)
    except ExceptionGroup as group:
        taken, others = group.split(OSError)
        if taken is None or others is not None:
            raise
        raise StartupError(f"Port {port} cannot be listened on: {_first(taken)}. Choose another --port.") from group


def _first(group: ExceptionGroup[OSError]) -> OSError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


async def _serve(port: int) -> None:
    import msgspec
    import trio

    from fleet.rehearsal.app import serve_rehearsal
    from fleet.rehearsal.config import opencode_config

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            base_url: str = await nursery.start(serve_rehearsal, "127.0.0.1", port)
            config = msgspec.json.encode(opencode_config(base_url)).decode()
            print(
                f"The rehearsal model is at {base_url}. Try it:\n\n  OPENCODE_CONFIG_CONTENT='{config}' opencode\n",
                flush=True,
            )
            async for _ in signals:
                nursery.cancel_scope.cancel()
