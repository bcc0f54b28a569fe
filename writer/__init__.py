"""The writer: commands come in over HTTP, events go into the event store.

What is named here is public, for domains: what their commands are made of. The rest is the service's own.
"""

from writer.resource import Command, Resource, View
from writer.traffic import MadeUpCommand, Traffic, TrafficPlan

__all__ = ["Command", "MadeUpCommand", "Resource", "Traffic", "TrafficPlan", "View"]
