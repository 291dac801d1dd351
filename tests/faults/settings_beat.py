"""The project's settings for a beat that sends what it sends, only much more often."""

from crm_project.settings import *  # noqa: F403
from crm_project.settings import CELERY_BEAT_SCHEDULE

for _entry in CELERY_BEAT_SCHEDULE.values():
    _entry["schedule"] = 0.2
