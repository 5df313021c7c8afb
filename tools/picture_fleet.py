"""What the pictures of the dashboard show: three repositories, and the sessions that work in them.

A `Job` is one session. The script of the rehearsal model goes along as an attached text file, so that the transcript
shows the prompt alone, as a person would write it. `HERO` is the session that is opened.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from picture_files import BILLING, SHOP, WEBSITE
from picture_scripts import (
    CHARGE_ONCE,
    DARK,
    EXPIRES,
    FLAKY,
    FONTS,
    KEEP_A_DAY,
    LINKS,
    PRICING,
    RACE,
    ROUND,
    SEARCH,
    TRANSLATE,
    VALKEY,
)

REPOSITORIES: Final = {"shop": SHOP, "billing": BILLING, "website": WEBSITE}
HERO: Final = "Charge a cart only once"


class Prompt(NamedTuple):
    """What a person writes, the file that goes along, and the script in it."""

    text: str
    file: str
    script: str


class Job(NamedTuple):
    """One session: where it works, its prompts in order, and what else it is created with."""

    repository: str
    title: str
    prompts: tuple[Prompt, ...]
    status: str
    """Where it comes to, and stays while the pictures are taken."""
    later: Prompt | None = None
    """Its answer streams while the pictures are taken."""
    fields: Mapping[str, Any] = MappingProxyType({})
    parent: str | None = None


JOBS: Final = (
    Job(
        "website",
        "Check links in CI",
        (Prompt("Let CI fail when a page links to a page that is not there.", "pages.txt", LINKS),),
        "idle",
        fields={"tags": ["ci"]},
    ),
    Job(
        "website",
        "Translate the help pages",
        (
            Prompt("Translate the help pages into German, French and Dutch.", "help.txt", TRANSLATE),
            Prompt("Then Polish and Czech.", "help.txt", TRANSLATE),
        ),
        "idle",
        fields={"budget": {"usd": 0.05}},
    ),
    Job(
        "shop",
        "Say when a cart expires",
        (Prompt("Tell customers how long we keep their cart before it expires.", "cart.txt", EXPIRES),),
        "idle",
    ),
    Job(
        "billing",
        "Arabic names on invoices",
        (
            Prompt(
                "Arabic names print as boxes on PDF invoices. Use a font that has the letters.", "invoice.txt", FONTS
            ),
        ),
        "stopped",
        fields={"tags": ["bug"]},
    ),
    Job(
        "website",
        "Dark mode for the docs",
        (Prompt("Let the docs follow the system's dark mode. Mind the contrast.", "styles.txt", DARK),),
        "idle",
    ),
    Job(
        "website",
        "Rewrite the pricing page",
        (Prompt("Five plans are too many. Make it three and answer the common questions.", "plans.txt", PRICING),),
        "idle",
        fields={"tags": ["launch"]},
    ),
    Job(
        "billing",
        "Find the flaky export test",
        (Prompt("test_export fails about once a day in CI. Find out why.", "ci-log.txt", FLAKY),),
        "error",
        fields={"tags": ["ci"]},
    ),
    Job(
        "shop",
        HERO,
        (
            Prompt(
                "Customers who click Pay twice are charged twice. Make a charge idempotent: one for each cart and "
                "amount, whatever the browser sends. Add tests.",
                "ticket-1420.txt",
                CHARGE_ONCE,
            ),
        ),
        "idle",
        Prompt(
            "Good. Keep the keys for a day and drop older ones. How would you test two requests at once?",
            "notes.txt",
            KEEP_A_DAY,
        ),
        {"tags": ["payments"], "budget": {"usd": 2}},
    ),
    Job(
        "shop",
        "Test two payments at once",
        (Prompt("Write the test for two payments at once and run it 500 times.", "race.txt", RACE),),
        "active",
        fields={"tags": ["payments"]},
        parent=HERO,
    ),
    Job(
        "shop",
        "Search forgives typos",
        (Prompt("A search for 'sneekers' finds nothing. Compare by trigrams.", "searches.txt", SEARCH),),
        "active",
    ),
    Job(
        "billing",
        "Round invoices at the total",
        (Prompt("Invoices are a cent off when lines are rounded. Round once, at the total.", "invoice-88.txt", ROUND),),
        "waiting_input",
        fields={"tags": ["accounting"]},
    ),
    Job(
        "shop",
        "Move sessions to Valkey",
        (Prompt("Replace Redis by Valkey for the sessions and remove what is no longer needed.", "plan.txt", VALKEY),),
        "waiting_input",
    ),
)
