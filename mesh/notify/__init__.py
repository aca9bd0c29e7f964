"""Notifications: owners and registered consumers are told of releases, failed audits, late or unavailable
products and deprecations.

    facts (releases, audits, contracts, the clock) -> events -> outbox (event x address) -> webhook or email

Every step may be repeated: an event has the same id whenever it is derived, and an address is told of it once.
"""

from mesh.notify.dispatch import Dispatch, dispatch
from mesh.notify.events import Event, news
from mesh.notify.recipients import Recipient, masked

__all__ = ["Dispatch", "Event", "Recipient", "dispatch", "masked", "news"]
