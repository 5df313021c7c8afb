"""The files of the repositories in the pictures of the dashboard, before and after the sessions have worked on them."""

from typing import Final

_PAYMENTS: Final = '''\
"""Charges a cart through the payment provider."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Charge:
    cart_id: str
    amount: Decimal
    reference: str


class Payments:
    def __init__(self, provider) -> None:
        self._provider = provider

    def charge(self, cart_id: str, amount: Decimal) -> Charge:
        reference = self._provider.charge(amount)
        return Charge(cart_id, amount, reference)

    def refund(self, charge: Charge) -> None:
        self._provider.refund(charge.reference)
'''

PAYMENTS_AFTER: Final = '''\
        self._provider = provider
        self._charges: dict[str, Charge] = {}

    def charge(self, cart_id: str, amount: Decimal) -> Charge:
        """Charge a cart once for each amount; a repeated request gets the first charge."""
        key = f"{cart_id}:{amount}"
        if key not in self._charges:
            reference = self._provider.charge(amount)
            self._charges[key] = Charge(cart_id, amount, reference)
        return self._charges[key]
'''

_CHECKOUT_BEFORE: Final = """\
def pay(request):
    cart = request.cart
    charge = request.payments.charge(cart.id, cart.total)
    return {"status": 200, "reference": charge.reference}
"""

MIGRATION: Final = """\
CREATE TABLE charges (
    key        TEXT PRIMARY KEY,
    cart_id    TEXT NOT NULL,
    amount     NUMERIC(12, 2) NOT NULL,
    reference  TEXT NOT NULL,
    at         TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX charges_at ON charges (at);
"""

_TESTS_HEAD: Final = """\
import unittest
from decimal import Decimal

from shop.payments import Payments


class Provider:
    def __init__(self) -> None:
        self.calls = 0

    def charge(self, amount: Decimal) -> str:
        self.calls += 1
        return f"charge-{self.calls}"


class ChargeOnce(unittest.TestCase):
    def setUp(self) -> None:
        self.provider = Provider()
        self.payments = Payments(self.provider)

    def test_a_second_click_charges_nothing(self) -> None:
        first = self.payments.charge("cart-1", Decimal("19.90"))
        self.assertEqual(self.payments.charge("cart-1", Decimal("19.90")), first)
        self.assertEqual(self.provider.calls, 1)

    def test_another_cart_is_charged(self) -> None:
        self.payments.charge("cart-1", Decimal("19.90"))
        self.payments.charge("cart-2", Decimal("19.90"))
        self.assertEqual(self.provider.calls, 2)

    def test_a_changed_amount_is_charged(self) -> None:
        self.payments.charge("cart-1", Decimal("19.90"))
"""
_TESTS_TAIL: Final = "        self.assertEqual(self.provider.calls, 2)\n"

TEST_BROKEN: Final = f'{_TESTS_HEAD}        self.payments.charge("cart-1", Decimal("19.90"))\n{_TESTS_TAIL}'
TEST_PAYMENTS: Final = f'{_TESTS_HEAD}        self.payments.charge("cart-1", Decimal("24.90"))\n{_TESTS_TAIL}'

PRICING_PAGE: Final = """\
# Pricing

| plan | for | a month |
|---|---|---|
| Start | one shop, 100 orders | free |
| Grow | every shop, 5,000 orders | 29 |
| Scale | no limit, single sign-on | 190 |

## Questions

**Can I change the plan?** At any time; the rest of the month is paid back.

**What is an order?** A cart that was paid. Refunds do not count.
"""

_EMPTY_TEST: Final = """\
import unittest


class Works(unittest.TestCase):
    def test_it_works(self) -> None:
        self.assertTrue(True)
"""

_ASKS_BEFORE_REMOVAL: Final = """\
{
  "$schema": "https://opencode.ai/config.json",
  "permission": {"bash": {"*": "allow", "rm *": "ask"}}
}
"""

SHOP: Final = {
    "README.md": "# shop\n\nThe web shop: catalogue, cart, checkout.\n",
    ".gitignore": "__pycache__/\n",
    "opencode.json": _ASKS_BEFORE_REMOVAL,
    "shop/__init__.py": "",
    "shop/payments.py": _PAYMENTS,
    "shop/checkout.py": _CHECKOUT_BEFORE,
    "shop/search.py": "def search(words, products):\n    return [each for each in products if words in each.name]\n",
    "shop/sessions.py": 'import redis\n\nstore = redis.Redis("sessions")\n',
    "tests/__init__.py": "",
    "tests/test_search.py": _EMPTY_TEST,
    "var/sessions/.keep": "",
}
BILLING: Final = {
    ".gitignore": "__pycache__/\n",
    "README.md": "# billing\n\nInvoices, exports, accounting.\n",
    "billing/__init__.py": "",
    "billing/invoice.py": "def total(lines):\n    return sum(round(line.amount, 2) for line in lines)\n",
    "billing/pdf.py": 'FONT = "DejaVu Sans"\n',
    "tests/__init__.py": "",
    "tests/test_export.py": _EMPTY_TEST,
}
WEBSITE: Final = {
    "README.md": "# website\n\nWhat visitors see first.\n",
    "pages/help.md": "# Help\n\n## Ordering\n\nPut things into the cart and pay at the checkout.\n",
    "pages/pricing.md": "# Pricing\n\nWe have five plans: Mini, Small, Medium, Large, Huge.\n",
    "styles/site.css": ":root {\n  --page: #fff;\n  --ink: #111;\n}\n",
}
