"""``python -m kinfold`` is the ``kinfold`` command."""

from kinfold.cli import main

if __name__ == "__main__":
    main()
