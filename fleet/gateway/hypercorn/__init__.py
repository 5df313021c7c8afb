"""The code that depends on Hypercorn's internals. ADR 0035 lists it, and says why the version is pinned."""
