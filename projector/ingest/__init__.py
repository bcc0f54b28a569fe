"""Records come in: batches are decoded, grouped by aggregate and handed to the engine."""
