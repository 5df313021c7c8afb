"""Adapters: the ports of `fleet/ports` carried out on the real world.

Only `main.py`, `doctor.py` and `census.py` import them.
"""
