"""Tests of upkeep, on a whole Fleet in memory."""
