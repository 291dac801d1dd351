from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from api_common.pages import NothingHere
from webhooks import metrics

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("crm_project.api")),
    path("", include("webhooks.api.rd_urls")),
    path("metrics", metrics.view),
    re_path("^(api|integrations)/", NothingHere.as_view()),
]
handler400 = "api_common.pages.bad_request"
