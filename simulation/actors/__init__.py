"""The actors: the product's real code, in simulated processes that die, stand still and start again."""
