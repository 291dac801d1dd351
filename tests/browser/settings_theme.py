"""The project under an admin theme that is neither made for it nor known to it.

Jazzmin has scripts and styles within its pages; who chooses it lets it have them.
"""

from crm_project.settings import *  # noqa: F403
from crm_project.settings import CONTENT_SECURITY_POLICY, INSTALLED_APPS

INSTALLED_APPS = [INSTALLED_APPS[0], "jazzmin", *INSTALLED_APPS[1:]]
JAZZMIN_SETTINGS = {"use_google_fonts_cdn": False}
for kind in ("script", "style"):
    CONTENT_SECURITY_POLICY = CONTENT_SECURITY_POLICY.replace(
        f"{kind}-src 'self'", f"{kind}-src 'self' 'unsafe-inline'"
    )
CONTENT_SECURITY_POLICY = CONTENT_SECURITY_POLICY.replace(
    "img-src 'self'", "img-src 'self' data:; font-src 'self'"
)
