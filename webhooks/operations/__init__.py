"""What can be done with webhooks: the one service layer under the admin, the commands and the API.

Every rule is applied here, so that no door is laxer than another. Functions make their own
transactions; those that walk many rows do it in batches and can be stopped at any point and asked
again. Wrong values raise `django.core.exceptions.ValidationError` with a message per field.
"""

from ..heartbeat import alive as workers
from ..moving import AT_ONCE, MOST_COUNTED
from ._batches import STOP
from .choosing import DeliveryFilter, matching
from .counts import Span, sparklines
from .expiry import cancel_expired, expired
from .explain import NotSent, cancelled, not_sent, read_last_attempts, waiting
from .export import EXPORT_FORMATS, Export, export
from .forget import (
    Forgotten,
    Recipient,
    clean_subject,
    count_forgettable,
    erase_late,
    forget,
    recipients,
)
from .health import (
    COUNTED_AT_MOST,
    COUNTED_OF_EACH,
    Backlog,
    Health,
    LastFailure,
    backlog,
    health,
)
from .jobs import (
    jobs_waiting,
    newest_delivery,
    recover_rest,
    replay_rest,
    resume_replay,
    start_replay,
    stop_replay,
    work_on_jobs,
)
from .maintenance import maintain
from .misconfigured import misconfigured
from .panel import Alarm, Panel, alarm, panel
from .preview import Preview, preview, previewed_object
from .prune import KINDS, Limits, Pruned, count_prunable, prune, retention_limits
from .replay import (
    SETTLED,
    Recovery,
    ReplayCount,
    ReplayFilter,
    count_gone,
    count_replay,
    recover,
    replay,
    replayable,
)
from .roles import ROLES, ensure_roles
from .secrets import active_keys, expire_old_keys, public_key, public_keys, rotate_secret
from .sooner import MOST_AT_ONCE, hastenable, try_now
from .states import (
    cancel_owed,
    delete_webhook,
    disable,
    job_of,
    jobs_of,
    mark_deleted,
    pause,
    resume,
)
from .testing import send_test
from .validation import clean_secret, clean_url, clean_webhook
from .webhooks import (
    EDITABLE,
    add_webhook,
    assign,
    create_webhook,
    find_webhook,
    save_webhook,
    update_webhook,
)

__all__ = [
    "AT_ONCE",
    "COUNTED_AT_MOST",
    "COUNTED_OF_EACH",
    "EDITABLE",
    "EXPORT_FORMATS",
    "KINDS",
    "MOST_AT_ONCE",
    "MOST_COUNTED",
    "ROLES",
    "SETTLED",
    "STOP",
    "Alarm",
    "Backlog",
    "DeliveryFilter",
    "Export",
    "Forgotten",
    "Health",
    "LastFailure",
    "Limits",
    "NotSent",
    "Panel",
    "Preview",
    "Pruned",
    "Recipient",
    "Recovery",
    "ReplayCount",
    "ReplayFilter",
    "Span",
    "active_keys",
    "add_webhook",
    "alarm",
    "assign",
    "backlog",
    "cancel_expired",
    "cancel_owed",
    "cancelled",
    "clean_secret",
    "clean_subject",
    "clean_url",
    "clean_webhook",
    "count_forgettable",
    "count_gone",
    "count_prunable",
    "count_replay",
    "create_webhook",
    "delete_webhook",
    "disable",
    "ensure_roles",
    "erase_late",
    "expire_old_keys",
    "expired",
    "export",
    "find_webhook",
    "forget",
    "hastenable",
    "health",
    "job_of",
    "jobs_of",
    "jobs_waiting",
    "maintain",
    "mark_deleted",
    "matching",
    "misconfigured",
    "newest_delivery",
    "not_sent",
    "panel",
    "pause",
    "preview",
    "previewed_object",
    "prune",
    "public_key",
    "public_keys",
    "read_last_attempts",
    "recipients",
    "recover",
    "recover_rest",
    "replay",
    "replay_rest",
    "replayable",
    "resume",
    "resume_replay",
    "retention_limits",
    "rotate_secret",
    "save_webhook",
    "send_test",
    "sparklines",
    "start_replay",
    "stop_replay",
    "try_now",
    "update_webhook",
    "waiting",
    "work_on_jobs",
    "workers",
]
