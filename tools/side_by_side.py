"""Runs shell commands at the same time; what each of them writes appears as a whole. Fails if one of them fails."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed


def run(command):
    """Run the command and return its exit code with what it wrote."""
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)  # noqa: S602 - they are the makefile's
    return done.returncode, done.stdout


def main(commands):
    """Run all of them, and return the number of those that failed."""
    failed = 0
    with ThreadPoolExecutor(len(commands)) as threads:
        running = {threads.submit(run, command): command for command in commands}
        for each in as_completed(running):
            code, said = each.result()
            print(running[each], flush=True)
            sys.stdout.buffer.write(said)
            sys.stdout.flush()
            if code:
                failed += 1
                print(f"exit code {code}: {running[each]}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
