"""Benchmarks: one file per question, each beside its baseline. See README.md; run with `make bench`."""
