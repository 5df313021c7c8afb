"""Tests of the actor runtime, on actors of their own."""
