"""Runs that can be had again: trio's order of tasks and the jitter of restarts come from a seed."""

import gc
import random
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from trio import _core as trio_core


@contextmanager
def deterministic(seed: int) -> Generator[None]:
    """Draw trio's order of tasks, and the jitter of restarts, from the seed; let no collection run in between."""
    run: Any = trio_core._run
    before, state = run._ALLOW_DETERMINISTIC_SCHEDULING, random.getstate()
    run._ALLOW_DETERMINISTIC_SCHEDULING = True
    run._r.seed(seed)
    random.seed(seed)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        random.setstate(state)
        run._ALLOW_DETERMINISTIC_SCHEDULING = before
