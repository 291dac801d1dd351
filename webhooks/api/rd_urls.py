"""Where RD Station's clients look; include it at the root. Addresses without a final slash."""

from django.urls import path, re_path

from .rd_station import NothingHere, Subscription, Subscriptions

urlpatterns = [
    path("integrations/webhooks", Subscriptions.as_view(), name="rd-station-webhooks"),
    path("integrations/webhooks/<str:uuid>", Subscription.as_view(), name="rd-station-webhook"),
    re_path("^integrations/webhooks/", NothingHere.as_view()),
]
