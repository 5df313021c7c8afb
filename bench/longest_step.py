"""Measures the longest step of the event loop, in time of the processor: what else the machine does is not in it."""

import time

import trio


class LongestStep:
    """The longest time for which another task did not get its turn while `run` is running."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take a turn whenever there is one, until it is cancelled."""
        last_s = time.thread_time()
        task_status.started()
        while True:
            await trio.lowlevel.checkpoint()
            now_s = time.thread_time()
            self.longest_s, last_s = max(self.longest_s, now_s - last_s), now_s
