"""Adapters: the ports of `fleet/ports.py` carried out on the real world. Only `fleet/main.py` imports them."""
