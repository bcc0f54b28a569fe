"""Processes, threads, event loops and clocks that one OS thread runs in an order drawn from a seed."""
