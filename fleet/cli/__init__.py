"""The `fleet` command: options, help and terminal output.

Exit codes: 0 it worked, 1 it did not (the reason is on stderr), 2 the command line is wrong; those of sessions have
more (connect.py). Each command is a module here, or a few that belong together; what it does lives below: the server
in fleet/composition/server.py, the checks in fleet/diagnosis/doctor.py, sessions in fleet/client. Commands import
late, so that `fleet --help` and a wrong option answer at once. `failures.py` reports errors around a command.
"""

import gc
import io
import sys

from fleet.escape import plain as shown  # not `plain`: importing the submodule of that name would replace it here


def main() -> None:
    """Run the command line: the entry point of the `fleet` script."""
    try:
        _run()
    except KeyboardInterrupt:  # before a command had begun
        sys.exit(130)


def _run() -> None:
    from fleet.limits import GC_THRESHOLDS_AT_START

    gc.set_threshold(*GC_THRESHOLDS_AT_START)  # before all other imports: what they make stays
    from fleet.cli.app import command_line
    from fleet.cli.failures import flush_output, sentence_and_code

    for out in (sys.stdout, sys.stderr):
        if isinstance(out, io.TextIOWrapper):  # it is none where it was closed
            out.reconfigure(errors="backslashreplace")  # what its encoding lacks, as titles in an ASCII locale do
    try:
        try:
            command_line(sys.argv[1:])(prog_name="fleet")
        finally:
            flush_output()
            gc.freeze()  # else the interpreter visits every object before it ends
    except (Exception, BaseExceptionGroup) as error:
        told = sentence_and_code(error)
        if told is None:
            raise
        sentence, code = told
        print(shown(f"fleet: {sentence}"), file=sys.stderr)
        sys.exit(code)
