"""``python -m simulation.mutants``."""

from simulation.mutants.command import app

app()
