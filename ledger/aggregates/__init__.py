"""What a domain declares of its aggregates: ids, events, state, fold. Knows no table and no network.

What is named here is public, and keeps its meaning within a major version.
"""

from ledger.aggregates.aggregate_type import AggregateType, Archive, JsonSnapshots, SnapshotCodec
from ledger.aggregates.errors import RefusedError
from ledger.aggregates.events import Event, EventTypes, Fields, Upcaster
from ledger.aggregates.identifiers import Explained, Identifier
from ledger.aggregates.used_ids import UsedIds

__all__ = [
    "AggregateType",
    "Archive",
    "Event",
    "EventTypes",
    "Explained",
    "Fields",
    "Identifier",
    "JsonSnapshots",
    "RefusedError",
    "SnapshotCodec",
    "Upcaster",
    "UsedIds",
]
