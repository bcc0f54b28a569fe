"""The main job as `kinfold demo` runs it."""
