"""`kinfold demo`: the main job once, with its proof."""
