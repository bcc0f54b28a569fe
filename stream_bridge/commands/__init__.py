"""The commands of ``kinfold bridge``, a file each."""
