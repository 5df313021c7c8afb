"""The rehearsal model as a program of its own: `python -m tests.e2e.cluster_drill.model PORT`.

Each machine of the drill has one, as real machines reach their model without Fleet and without Ray.
"""

import sys

import trio

from fleet.rehearsal.app import serve_rehearsal

if __name__ == "__main__":
    trio.run(serve_rehearsal, "127.0.0.1", int(sys.argv[1]))
