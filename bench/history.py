"""How fast is the history? Searches over 100,000 sessions with 10 million words. Target: p99 under 50 ms.

The model is generated once, straight into its tables, and kept in bench/.cache (some 280 MB, a minute or two). Words
are drawn as in natural text (Zipf), so the searches mix words that are in nearly every session with rare ones, phrases,
beginnings and filters.

Run: python -m bench.history
"""

import random
import sqlite3
import sys
import time
from itertools import accumulate
from pathlib import Path
from typing import Final

from bench.figures import Figure, show
from fleet.limits import HISTORY_TEXTS_MAX
from fleet.projections import history_vocabulary as vocabulary
from fleet.projections.history_query import HistorySearch
from fleet.projections.history_store import VERSION, HistoryStore

SESSIONS: Final = 100_000
TEXTS: Final = 3  # of a session: a prompt, an answer, a tool's output; and the title
WORDS_PER_TEXT: Final = 33
VOCABULARY: Final = 50_000
SEARCHES: Final = 1_000
TARGET_MS: Final = 50.0
STATUSES: Final = ("idle", "completed", "completed", "completed", "stopped", "stopped", "disconnected", "error")
EPOCH_MS: Final = 1_767_225_600_000
CACHE: Final = Path(__file__).parent / ".cache"


def _vocabulary(chance: random.Random) -> list[str]:
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        words["".join(chance.choices(syllables, k=chance.choice((2, 3, 3, 4))))] = None
    return list(words)


def _generate(file: Path) -> None:
    chance = random.Random(1)
    words = _vocabulary(chance)
    weights = list(accumulate(1 / (rank + 3) for rank in range(len(words))))
    store = HistoryStore(file)
    store.open(0)
    store.close()
    sql = sqlite3.connect(file)
    for number in range(1, SESSIONS + 1):
        at_ms = EPOCH_MS + number * 60_000
        texts = [" ".join(chance.choices(words, cum_weights=weights, k=WORDS_PER_TEXT)) for _ in range(TEXTS)]
        title = " ".join(chance.choices(words, cum_weights=weights, k=4))
        row = (number, f"session {number}", title, chance.choice(STATUSES), at_ms, at_ms, 1 + len(texts))
        sql.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        for n, (kind, text) in enumerate(zip(("title", "prompt", "answer", "tool"), (title, *texts), strict=True)):
            at = number * HISTORY_TEXTS_MAX + n
            sql.execute("INSERT INTO texts VALUES (?, ?, ?, ?, NULL)", (number, f"{kind} {n}", at, kind))
            sql.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (at, text))
            vocabulary.learn(sql, text)
        if number % 10_000 == 0:
            sql.commit()
            print(f"\r  {number:,} sessions of {SESSIONS:,} generated", end="", file=sys.stderr, flush=True)
    sql.close()
    print(file=sys.stderr)


def _model() -> HistoryStore:
    file = CACHE / f"history-{VERSION}-{SESSIONS}.sqlite"
    if not file.exists():
        CACHE.mkdir(exist_ok=True)
        unfinished = file.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        _generate(unfinished)
        unfinished.rename(file)
    store = HistoryStore(file)
    store.open(0)
    return store


def _searches() -> dict[str, list[HistorySearch]]:
    chance = random.Random(1)
    words = _vocabulary(chance)
    chance = random.Random(2)
    month_ms = 30 * 24 * 3600 * 1000

    def word(rank_max: int) -> str:
        return words[chance.randrange(rank_max)]

    count = SEARCHES // 7
    return {
        "a common word": [HistorySearch(word(20) + " ") for _ in range(count)],
        "a rare word": [HistorySearch(words[-1 - chance.randrange(10_000)]) for _ in range(count)],
        "two words": [HistorySearch(f"{word(200)} {word(200)}") for _ in range(count)],
        "a phrase": [HistorySearch(f'"{word(20)} {word(20)}"') for _ in range(count)],
        "a beginning": [HistorySearch(word(1000)[: chance.choice((2, 3, 4))]) for _ in range(count)],
        "a word and a status": [HistorySearch(word(200), ("error",)) for _ in range(count)],
        "a word in a month": [
            HistorySearch(word(200), from_ms=(at := EPOCH_MS + chance.randrange(month_ms)), to_ms=at + month_ms // 30)
            for _ in range(count)
        ],
        "no word, page 50": [HistorySearch(statuses=("completed",), offset=1000) for _ in range(count)],
    }


def _percentile(times_ms: list[float], share: float) -> float:
    return sorted(times_ms)[min(len(times_ms) - 1, int(len(times_ms) * share))]


def _times_ms(store: HistoryStore, searches: list[HistorySearch]) -> list[float]:
    times_ms: list[float] = []
    for query in searches:
        started_s = time.perf_counter()
        store.search(query)
        times_ms.append((time.perf_counter() - started_s) * 1000)
    return times_ms


def main() -> list[Figure]:
    """Measure, print and return the times."""
    store = _model()
    times_ms = {name: _times_ms(store, searches) for name, searches in _searches().items()}
    store.close()
    every = [each for times in times_ms.values() for each in times]
    return show(
        f"history: searches over {SESSIONS:,} sessions with 10 million words, p99",
        [
            *(Figure(name, _percentile(times, 0.99), "ms") for name, times in times_ms.items()),
            Figure("all", _percentile(every, 0.99), "ms", at_most=TARGET_MS),
        ],
    )


if __name__ == "__main__":
    main()
