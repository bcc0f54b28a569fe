"""Calls, units, CPU and time, counted alike for every contender."""
