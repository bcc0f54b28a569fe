"""Kinfold beside its peers, on the same endpoint and the same records."""
