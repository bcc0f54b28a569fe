"""The event store and what every service shares: settings, access, AWS clients, errors.

Knows no service: the writer, the bridge and the projector build on it and never on each other. Public are
``ledger.aggregates``, of which domains are made, and the errors of ``ledger.errors``.
"""

#: The public modules.
__all__ = ["aggregates", "errors"]
