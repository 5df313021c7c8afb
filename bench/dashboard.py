"""How fast is the dashboard, in Chromium?

Its first rows, the way from one session to another, its rest, and its main thread and memory while many sessions write.

The page and the browser are real, and so is the server; its sessions are made in its log (`dashboard_source.py`). The
baseline of the first rows is a page of the same server that needs no session: settings.

Run: python -m bench dashboard
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final, cast

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from bench.figures import Figure, show
from tests.browser.chromium import NAMES, OPTIONS

SESSIONS = 1_000
STREAMING = 200
WORDS_PER_S = 20
"""Of each session: about as fast as a model writes."""
OBSERVED_S = 10.0
ROUNDS = 5
SWITCHES = 20
GROWTH_S = 120.0
"""Between the two measurements of the heap, each after a collection; the growth is shown per hour."""
_FIRST: Final = """selector => new Promise(resolve => {
  const look = () => document.querySelector(selector) ? requestAnimationFrame(() => resolve(performance.now()))
                                                      : requestAnimationFrame(look);
  look();
})"""
_LONG_TASKS: Final = """
window.longTasks = [];
new PerformanceObserver(list => window.longTasks.push(...list.getEntries().map(entry => entry.duration)))
  .observe({type: 'longtask', buffered: true});
"""
_FRAMES: Final = """seconds => new Promise(resolve => {
  const times = [];
  const note = time => {
    times.push(time);
    if (time - times[0] < seconds * 1000) requestAnimationFrame(note);
    else resolve(times.slice(1).map((each, index) => each - times[index]));
  };
  requestAnimationFrame(note);
})"""
_SWITCH: Final = """async count => {
  const linked = () => [...document.querySelectorAll('nav[aria-label=Sessions] a[href^="/s/"]')];
  const shown = () => document.querySelector('[role=log] article');
  const paths = linked().map(link => link.pathname).filter(path => path !== location.pathname).slice(0, count);
  const times = [];
  for (const path of paths) {
    const before = shown();
    const begin = performance.now();
    linked().find(link => link.pathname === path).click();
    await new Promise((resolve, reject) => {
      const look = () => {
        if (shown() !== null && shown() !== before && location.pathname === path) resolve();
        else if (performance.now() - begin > 10_000) reject(new Error(`${path} was not shown within 10 s`));
        else requestAnimationFrame(look);
      };
      look();
    });
    times.push(performance.now() - begin);
    await new Promise(resolve => setTimeout(resolve, 200));
  }
  return times;
}"""


class Source:
    """The process of the server, which makes its sessions write when it gets an order."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.address = f"http://127.0.0.1:{self._line()}"

    def tell(self, order: str) -> None:
        """Send an order and wait until it is carried out."""
        if self._process.stdin is None:
            raise RuntimeError("the source takes no orders")
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        self._line()

    def _line(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended: run it by hand to see why")
        return line.strip()


@contextmanager
def _source() -> Generator[Source]:
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "bench.dashboard_source", str(Path(temporary) / "data"), str(SESSIONS)]
        piped = subprocess.PIPE
        process = subprocess.Popen(command, stdin=piped, stdout=piped, stderr=subprocess.DEVNULL, text=True)
        try:
            yield Source(process)
        finally:
            process.kill()
            process.communicate()


@contextmanager
def _chromium() -> Generator[Browser]:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise RuntimeError("this bench needs Chromium: run `make browser`")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=found, args=list(OPTIONS))


def _first_ms(browser: Browser, address: str, selector: str) -> float:
    """Return from the start of the navigation to the first frame after the selector is there, with an empty cache."""
    times: list[float] = []
    for _ in range(ROUNDS):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.goto(address, wait_until="commit")
        times.append(page.evaluate(_FIRST, selector))
        context.close()
    return median(times)


def _busy_share(session: CDPSession, page: Page) -> float:
    """Return the share of a core that the page's main thread takes, in percent."""
    before = _task_s(session)
    page.wait_for_timeout(OBSERVED_S * 1000)
    return 100 * (_task_s(session) - before) / OBSERVED_S


def _task_s(session: CDPSession) -> float:
    answer = cast("dict[str, Any]", session.send("Performance.getMetrics"))
    return next(float(each["value"]) for each in answer["metrics"] if each["name"] == "TaskDuration")


def _switch_ms(browser: Browser, source: Source) -> float:
    """Return the 95th percentile of the time from a click in the list to the transcript of that session."""
    page, _ = _opened(browser, source)
    page.locator("[role=row][aria-posinset] a[href^='/s/']").first.click()
    page.wait_for_selector("[role=log] article")
    page.wait_for_timeout(1_000)
    times: list[float] = page.evaluate(_SWITCH, SWITCHES)
    page.context.close()
    return quantiles(times, n=20)[-1]


def _heap_mb(session: CDPSession) -> float:
    session.send("HeapProfiler.collectGarbage")
    answer = cast("dict[str, Any]", session.send("Runtime.getHeapUsage"))
    return float(answer["usedSize"]) / 1_000_000


def _opened(browser: Browser, source: Source) -> tuple[Page, CDPSession]:
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.add_init_script(_LONG_TASKS)
    page.goto(source.address)
    page.wait_for_selector("[role=row][aria-posinset]")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    page.wait_for_timeout(1_000)
    return page, session


def _observe(browser: Browser, source: Source) -> list[Figure]:
    page, session = _opened(browser, source)
    idle = _busy_share(session, page)
    source.tell(f"stream {STREAMING} {WORDS_PER_S}")
    page.wait_for_timeout(1_000)
    page.evaluate("window.longTasks = []")
    busy = _busy_share(session, page)
    frames: list[float] = page.evaluate(_FRAMES, OBSERVED_S / 2)
    longest: float = page.evaluate("Math.max(0, ...window.longTasks)")
    nodes: int = page.evaluate("document.getElementsByTagName('*').length")
    heap = _heap_mb(session)
    page.wait_for_timeout(GROWTH_S * 1000)
    grown = _heap_mb(session) - heap
    source.tell("rest")
    late = 100 * sum(each > 1000 / 30 for each in frames) / len(frames)
    return [
        Figure("main thread at rest", idle, "%", at_most=1.0),
        Figure(f"main thread while {STREAMING} sessions write {WORDS_PER_S} words/s", busy, "%"),
        Figure("longest task meanwhile, 0 for none over 50 ms", longest, "ms", at_most=50.0),
        Figure("frames that come later than 33 ms meanwhile", late, "%", at_most=5.0),
        Figure("nodes on the page", nodes, "", at_most=3_000),
        Figure("heap of the page meanwhile", heap, "MB"),
        Figure("what the heap would grow by in an hour", grown * 3600 / GROWTH_S, "MB", at_most=20.0),
    ]


def main() -> list[Figure]:
    """Measure, print and return times and shares."""
    with _source() as source, _chromium() as browser:
        empty = _first_ms(browser, f"{source.address}/settings", "main h1")
        rows = _first_ms(browser, source.address, "[role=row][aria-posinset]")
        figures = [Figure(f"first rows of {SESSIONS:,} sessions", rows, "ms", empty, at_most=600.0)]
        switch = _switch_ms(browser, source)
        figures.append(Figure("from one session to another, p95", switch, "ms", at_most=100.0))
        figures += _observe(browser, source)
        browser.close()
    return show(f"dashboard: {SESSIONS:,} sessions in Chromium, against a page without sessions", figures)


if __name__ == "__main__":
    main()
