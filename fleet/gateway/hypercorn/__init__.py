"""The code that depends on Hypercorn's internals."""
