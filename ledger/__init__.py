"""The shared language of Kinfold: domain events, the account, the event store, settings, AWS clients and errors.

Knows no service: the writer, the bridge and the projector build on it and never on each other.
"""
