"""The project's settings for a worker that waits 0.5 s for SQLite's lock in place of 20."""

from crm_project.settings import *  # noqa: F403
from crm_project.settings import DATABASES

DATABASES["default"]["OPTIONS"]["timeout"] = 0.5
