"""What an operator looks at in a terminal: ``kinfold top``, ``kinfold account`` and ``kinfold events``."""
