"""Benchmarks: `python -m bench --help`. docs/benchmarks.md says what is measured, how, and what came out."""
