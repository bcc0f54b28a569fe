"""``python -m simulation``."""

from simulation.command import app

app()
