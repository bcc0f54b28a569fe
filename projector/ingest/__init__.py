"""Records come in: batches are decoded, grouped by account and handed to the engine."""
