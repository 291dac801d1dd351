"""The operator's side, in plain Django admin.

What is done goes through `webhooks.operations`; here is only who may do it and how it looks.
Events and deliveries are read-only. Whatever sends or changes is a POST with a permission of its
own; payloads are masked until somebody with `webhooks.view_payload` asks to see one.
"""

from .audit import AuditEntryAdmin
from .delivery import DeliveryAdmin
from .event import EventAdmin
from .replay import BulkJobAdmin
from .webhook import WebhookAdmin

__all__ = ["AuditEntryAdmin", "BulkJobAdmin", "DeliveryAdmin", "EventAdmin", "WebhookAdmin"]
