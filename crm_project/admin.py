"""The site's name; what it shows is each app's own admin."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

admin.site.site_header = _("CRM System")
admin.site.site_title = _("CRM")
admin.site.index_title = _("Start")
