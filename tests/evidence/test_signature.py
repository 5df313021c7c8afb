"""The signature check of `verify.py`, which has no library to rely on, against one that has."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fleet.evidence.standalone.verify import ORDER, Wrong, is_signed


def test_only_what_the_key_signed_is_accepted() -> None:
    for seed in range(3):
        private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        key, text = private.public_key().public_bytes_raw(), b"fleet log head\n%d" % seed
        signature = private.sign(text)
        other = Ed25519PrivateKey.from_private_bytes(b"o" * 32).public_key().public_bytes_raw()
        assert is_signed(key, text, signature)
        assert not is_signed(key, text + b"\n", signature)
        assert not is_signed(other, text, signature)
        assert not is_signed(key, text, signature[:32] + bytes(32))
        # The same number plus the order of the group is another encoding of the same signature: RFC 8032 refuses it.
        number = int.from_bytes(signature[32:], "little") + ORDER
        assert not is_signed(key, text, signature[:32] + number.to_bytes(32, "little"))


def test_bytes_that_are_no_curve_point_are_refused() -> None:
    with pytest.raises(Wrong, match="no point"):
        is_signed(b"\x02" + bytes(31), b"", bytes(64))
    assert not is_signed(b"", b"", bytes(64))
    assert not is_signed(bytes(32), b"", b"")
