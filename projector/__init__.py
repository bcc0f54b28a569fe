"""The projector: a long-running Faust daemon that folds the stream of events into read models.

What is named here is public, for domains: what their read models are made of. The rest is the service's own.
"""

from ledger.store.stored_event import StoredEvent
from projector.columns import Columns, Places
from projector.projection import HEAD, Projection, UnprojectableEventError, Witness

__all__ = ["HEAD", "Columns", "Places", "Projection", "StoredEvent", "UnprojectableEventError", "Witness"]
