"""Models of all shapes, for what the CRM's own do not have. Tests register them as they need."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Upper

from webhooks.events import TrackedModel


class SpelledField(models.CharField):  # type: ignore[type-arg]  # not at run time
    """Somebody's own field: the column never holds what was assigned."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else str(value).strip().lower()


class Thing(TrackedModel):
    name = models.CharField(max_length=50)
    spelled = SpelledField(max_length=50, default="", blank=True)
    count = models.IntegerField(default=0)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    on = models.DateField(null=True)
    at = models.DateTimeField(null=True)
    data = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    active = models.BooleanField(default=True)
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")


class ThingProxy(Thing):
    class Meta:
        proxy = True


class SpecialThing(Thing):
    """Multi-table inheritance: its rows are rows of Thing too."""

    special = models.CharField(max_length=50, default="")


class Computed(TrackedModel):
    """A column that only the database writes."""

    name = models.CharField(max_length=50)
    shout = models.GeneratedField(
        expression=Upper("name"), output_field=models.CharField(max_length=50), db_persist=True
    )


class Keyed(TrackedModel):
    """Its key is made before it is saved."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=50)


class Guarded(TrackedModel):
    name = models.CharField(max_length=50, unique=True)
    thing = models.ForeignKey(Thing, null=True, on_delete=models.PROTECT, related_name="guards")


class Foreign(models.Model):
    """A third party's model: it cannot inherit from ours."""

    name = models.CharField(max_length=50, unique=True)


class Loose(models.Model):
    """The same, registered without `wrap_save`."""

    name = models.CharField(max_length=50)
