"""What a benchmark returns, and how it is shown: one row a figure, the same columns for all.

Times differ from machine to machine; the ratio of Fleet to a baseline that ran in the same minute hardly does.
"""

import gc
from collections.abc import Callable, Iterable

import msgspec

from fleet.limits import GC_THRESHOLDS

ROUNDS = 3
"""The sides take turns and the best round of each counts: the machine is shared."""

HEADINGS = f"{'':<58}{'Fleet':>12}{'baseline':>12}{'ratio':>8}  target"


class Figure(msgspec.Struct, frozen=True):
    """One measurement in `unit`, with what the baseline reached. The bounds are for the value or for the ratio."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    ratio_at_least: float | None = None

    @property
    def ratio(self) -> float | None:
        """Fleet : baseline."""
        return self.value / self.baseline if self.baseline else None

    @property
    def met(self) -> bool:
        """Whether every bound is kept."""
        return (
            (self.at_least is None or self.value >= self.at_least)
            and (self.at_most is None or self.value <= self.at_most)
            and (self.ratio_at_least is None or self.ratio is None or self.ratio >= self.ratio_at_least)
        )

    def row(self) -> str:
        """Return the figure as a line of the table."""
        baseline = "" if self.baseline is None else amount(self.baseline, self.unit)
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        line = f"  {self.name:<56}{amount(self.value, self.unit):>12}{baseline:>12}{ratio:>8}  {self._target()}"
        return line.rstrip()

    def _target(self) -> str:
        bounds = [
            *([] if self.at_least is None else [f">= {amount(self.at_least, self.unit)}"]),
            *([] if self.at_most is None else [f"<= {amount(self.at_most, self.unit)}"]),
            *([] if self.ratio_at_least is None else [f"ratio >= {self.ratio_at_least}"]),
        ]
        return ", ".join(bounds) + ("" if self.met else "  MISSED")


def amount(value: float, unit: str) -> str:
    """Return a value with its unit, with as many digits as mean something."""
    if unit == "/s":
        return f"{value:,.0f}/s"
    return f"{value:.2f} {unit}" if value < 10 else f"{value:,.0f} {unit}"


def show(title: str, figures: Iterable[Figure]) -> list[Figure]:
    """Print a section of the table and return its figures."""
    rows = list(figures)
    print(title, *(figure.row() for figure in rows), sep="\n", flush=True)
    return rows


def best(better: Callable[[float, float], float], *sides: Callable[[], float], rounds: int = ROUNDS) -> list[float]:
    """Measure the sides in turn and return the best of each; `better` is `max` for rates, `min` for times.

    The garbage collector is set as in the server, for all sides.
    """
    gc.set_threshold(*GC_THRESHOLDS)
    gc.collect()
    gc.freeze()
    results = [side() for side in sides]
    for _ in range(rounds - 1):
        results = [better(result, side()) for result, side in zip(results, sides, strict=True)]
    return results
