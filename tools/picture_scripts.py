"""What the model of the pictures says and does: scripts of the rehearsal model."""

from typing import Final

from picture_files import MIGRATION, PAYMENTS_AFTER, PRICING_PAGE, TEST_BROKEN, TEST_PAYMENTS

CHARGE_ONCE: Final = f"""\
usage input 18400 output 900 cached 12000
think "Two clicks send two requests, and each of them charges. The cart has an id, so a key made of cart and amount names the charge."
todo doing "Find where a cart is charged", "One key for each charge", "A table that remembers keys", "Tests for the second click"
read shop/checkout.py
read shop/payments.py
---
usage input 21100 output 1700 cached 18400
say "`pay()` calls the provider on every request. I will give each charge a key, made of the cart and its amount, and remember the charge under it."
edit shop/payments.py: <<OLD -> <<NEW
        self._provider = provider

    def charge(self, cart_id: str, amount: Decimal) -> Charge:
        reference = self._provider.charge(amount)
        return Charge(cart_id, amount, reference)
OLD
{PAYMENTS_AFTER}NEW
write migrations/0007_charges.sql: <<END
{MIGRATION}END
write tests/test_payments.py: <<END
{TEST_BROKEN}END
---
usage input 24600 output 400 cached 21100
bash "python3 -m unittest -q tests.test_payments"
todo done "Find where a cart is charged", done "One key for each charge", done "A table that remembers keys", doing "Tests for the second click"
---
usage input 25900 output 700 cached 24600
say "The test expected a new charge after the amount had changed, and built its cart with the old amount. That is a mistake of the test."
write tests/test_payments.py: <<END
{TEST_PAYMENTS}END
---
usage input 27300 output 300 cached 25900
bash "python3 -m unittest -v tests.test_payments"
todo done "Find where a cart is charged", done "One key for each charge", done "A table that remembers keys", done "Tests for the second click"
---
usage input 28500 output 600 cached 27300
say <<END
A cart is now charged once for each amount, however often the request arrives.

- **`shop/payments.py`**: `charge()` looks the key up first and gives the recorded charge back.
- **`migrations/0007_charges.sql`**: the table `charges` with a unique key.
- **`tests/test_payments.py`**: a second click, another cart, and a cart whose amount has changed.
END
"""

KEEP_A_DAY: Final = """\
usage input 30200 output 1100 cached 28500
think "A day is longer than any browser retries, and short enough that the table stays small."
todo doing "Drop keys after a day", "Test the race of two requests", "Word for the changelog"
edit shop/checkout.py: <<OLD -> <<NEW
    cart = request.cart
OLD
    cart = request.cart
    if cart.is_empty:
        return {"status": 422, "error": "the cart is empty"}
NEW
write shop/sweep.py: <<END
\"\"\"Drops keys of charges that no browser will send again.\"\"\"

from datetime import timedelta

KEPT: timedelta = timedelta(days=1)


def sweep(database, now) -> int:
    \"\"\"Remove keys older than a day; return how many there were.\"\"\"
    return database.execute("DELETE FROM charges WHERE at < ?", (now - KEPT,)).rowcount
END
---
usage input 32800 output 300 cached 30200
bash "python3 -m unittest -q && git diff --stat"
todo done "Drop keys after a day", doing "Test the race of two requests", "Word for the changelog"
---
usage input 34100 output 2400 cached 32800
say <<END at 6/s
Keys are dropped after a day now, and `sweep()` runs with the other nightly jobs.

For the race, two requests have to arrive before either of them has an answer:

1. Both look the key up, and neither finds it.
2. Both insert it. The unique index lets one of them through.
3. The other one gets the conflict, waits for the row, and answers with the charge that it finds there.

```python
def test_two_requests_at_once_make_one_charge(self) -> None:
    with ThreadPoolExecutor(2) as pool:
        charges = list(pool.map(lambda _: self.payments.charge("cart-1", TOTAL), range(2)))
    self.assertEqual(charges[0].reference, charges[1].reference)
```

The provider in the test counts its calls and answers slowly, so the second request always comes while the first one is on its way. I will run it five hundred times before I trust it, because a race that is lost once in a hundred runs is the ticket that we have here. After that comes the line for the changelog, and a word for support: customers who were charged twice since Monday can be found by two charges with the same cart and the same amount within a minute, and the provider's report has both references, so that nobody has to search by hand. I have not touched the refunds; they are a decision for you, and the query for them is in the ticket.
END
"""

RACE: Final = """\
usage input 9200 output 600 cached 4000
think "The test needs a provider that is slow, and counts."
read tests/test_payments.py
---
usage input 11800 output 900 cached 9200
write tests/slow_provider.py: <<END
\"\"\"A provider that answers slowly and counts what it was asked.\"\"\"

import time


class SlowProvider:
    def __init__(self, seconds: float = 0.05) -> None:
        self.calls = 0
        self._seconds = seconds

    def charge(self, amount):
        self.calls += 1
        time.sleep(self._seconds)
        return f"charge-{self.calls}"
END
---
usage input 12900 output 200 cached 11800
bash "for run in $(seq 1 500); do python3 -m unittest -q tests.test_payments 2>&1 | tail -1; sleep 2; done"
"""

ROUND: Final = """\
usage input 12100 output 700 cached 6000
read billing/invoice.py
---
usage input 13900 output 800 cached 12100
say "Each line is rounded by itself, and the invoice adds the rounded lines: with three lines of 0.333 the total is a cent short. I can round once, at the total. Which rule does accounting use?"
question "Which rule rounds the total?": "Half up, as on the paper invoices", "Half to even, as the bank does"
---
say "Understood."
"""

VALKEY: Final = """\
usage input 15200 output 800 cached 9000
read shop/sessions.py
edit shop/sessions.py: "redis" -> "valkey"
---
usage input 17700 output 500 cached 15200
say "The client is compatible. The old keys can go once every server runs the new version."
bash "rm -rf var/sessions && ls"
---
say "Done."
"""

FLAKY: Final = """\
usage input 22400 output 900 cached 11000
say "I run the export's tests until one of them fails."
bash "python3 -m unittest -q tests.test_export"
---
error 402 "You have no credit left for this month: add some, or choose another model."
"""

PRICING: Final = f"""\
usage input 11900 output 2200 cached 3000
read pages/pricing.md
---
usage input 13600 output 1800 cached 11900
write pages/pricing.md: <<END
{PRICING_PAGE}END
---
usage input 14900 output 300 cached 13600
say "The page has three plans in place of five, each with one sentence, and the questions below answer what support is asked most."
"""

DARK: Final = """\
usage input 8700 output 1500 cached 2000
read styles/site.css
---
usage input 9900 output 1100 cached 8700
edit styles/site.css: "  --page: #fff;" -> "  --page: light-dark(#fff, #111);"
edit styles/site.css: "  --ink: #111;" -> "  --ink: light-dark(#111, #eee);"
---
usage input 10800 output 200 cached 9900
say "The docs follow the system's theme. Contrast is 15:1 in both."
"""

SEARCH: Final = """\
usage input 16800 output 1300 cached 9000
read shop/search.py
---
usage input 19400 output 1600 cached 16800
write shop/trigrams.py: <<END
\"\"\"Words as sets of three letters: what is typed wrong still shares most of them.\"\"\"


def trigrams(word: str) -> set[str]:
    padded = f"  {word.lower()} "
    return {padded[at : at + 3] for at in range(len(padded) - 2)}


def likeness(one: str, other: str) -> float:
    \"\"\"Return the share of trigrams that two words have in common, from 0 to 1.\"\"\"
    first, second = trigrams(one), trigrams(other)
    return len(first & second) / len(first | second)
END
---
usage input 20900 output 200 cached 19400
bash "python3 -m unittest -q tests.test_search; sleep 600"
"""

FONTS: Final = """\
usage input 13000 output 600 cached 7000
edit billing/pdf.py: "DejaVu Sans" -> "Noto Sans Arabic"
---
usage input 13900 output 200 cached 13000
say "Arabic names print with joined letters and from right to left."
"""

TRANSLATE: Final = """\
usage input 9100 output 5200 cached 1000
write pages/help.de.md: <<END
# Hilfe

## Bestellen

Legen Sie Artikel in den Warenkorb und bezahlen Sie an der Kasse.
END
write pages/help.fr.md: <<END
# Aide

## Commander

Mettez les articles dans le panier et payez à la caisse.
END
---
usage input 14800 output 300 cached 9100
say "German and French are there. Dutch is next."
"""

EXPIRES: Final = """\
usage input 12400 output 900 cached 8000
edit shop/checkout.py: "    cart = request.cart" -> "    cart = request.cart.kept_for(minutes=30)"
write shop/expiry.py: <<END
MINUTES = 30


def words(minutes: int) -> str:
    return f"We keep your cart for {minutes} more minutes."
END
---
usage input 13800 output 200 cached 12400
say "The cart page says how long the cart is kept, from ten minutes before its end."
"""

LINKS: Final = '''\
usage input 7200 output 400 cached 2000
write check_links.py: <<END
"""Says which links of the pages lead nowhere."""
import pathlib
import re

LINK = re.compile(r"\\]\\((/[^)]+)\\)")
for page in pathlib.Path("pages").glob("*.md"):
    for link in LINK.findall(page.read_text()):
        if not pathlib.Path("pages" + link + ".md").exists():
            print(f"{page}: {link} leads nowhere")
END
bash "python3 check_links.py"
---
usage input 8100 output 200 cached 7200
say "CI fails on links that lead nowhere. There are none today."
'''
