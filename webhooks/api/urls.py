from django.urls import path
from rest_framework.routers import SimpleRouter

from .asyncapi import AsyncApiView
from .deliveries import DeliveryViewSet
from .event_types import EventTypeViewSet
from .events import EventViewSet
from .webhooks import WebhookViewSet

router = SimpleRouter()
router.register("webhooks", WebhookViewSet, basename="webhook")
router.register("event-types", EventTypeViewSet, basename="event-type")
router.register("events", EventViewSet, basename="event")
router.register("deliveries", DeliveryViewSet, basename="delivery")

urlpatterns = [*router.urls, path("asyncapi.json", AsyncApiView.as_view(), name="asyncapi")]
