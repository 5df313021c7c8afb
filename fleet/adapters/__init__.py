"""Adapters: the ports of `fleet/ports` carried out on the real world. Only `fleet/main.py` imports them."""
