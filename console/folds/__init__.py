"""An aggregate's history folded event by event: what each read model makes of it, and its states over time."""
