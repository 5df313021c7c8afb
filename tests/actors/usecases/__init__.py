"""Tests of use cases, on a whole Fleet in memory."""
