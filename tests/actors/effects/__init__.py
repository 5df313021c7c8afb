"""Tests of effects, on a whole Fleet in memory."""
