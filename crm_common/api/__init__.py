"""The CRM's records in the API: read as their events tell them, written as their models allow.

A record has one representation: the `record` that its `ModelEvents` declares. What an event's
`data` says is what a GET answers, key by key.
"""

from .bodies import PublicId, RecordSerializer
from .lists import PublicIdFilter, RecordFilters, SearchFilter
from .views import RecordViewSet

__all__ = [
    "PublicId",
    "PublicIdFilter",
    "RecordFilters",
    "RecordSerializer",
    "RecordViewSet",
    "SearchFilter",
]
