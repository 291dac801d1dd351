"""Models of all shapes, for what the CRM's own do not have. Tests register them as they need."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from django.core.files.storage import InMemoryStorage
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Now, Upper
from django.db.models.query_utils import DeferredAttribute
from django.utils import timezone

from webhooks.events import TrackedModel


class SpelledField(models.CharField):  # type: ignore[type-arg]  # not at run time
    """Somebody's own field: the column never holds what was assigned."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else str(value).strip().lower()


class CountedField(models.IntegerField):  # type: ignore[type-arg]
    """Stores one more than was assigned, and leaves the instance as it is."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        return int(super().pre_save(model_instance, add) or 0) + 1


class StampField(models.DateTimeField):  # type: ignore[type-arg]
    """Stores the time of each save, whatever was assigned."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        return timezone.now()


class LongerField(models.CharField):  # type: ignore[type-arg]
    """Stores more each time it is saved, even what was read."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else f"{value}!"


class LoudField(models.CharField):  # type: ignore[type-arg]
    """Lets the database convert the value."""

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:
        return "UPPER(%s)"


class _Backwards(DeferredAttribute):
    def __get__(self, instance: Any, cls: Any = None) -> Any:
        found = super().__get__(instance, cls)
        return found[::-1] if isinstance(found, str) else found


class BackwardsField(models.CharField):  # type: ignore[type-arg]
    """Reads otherwise than it was assigned, and stores what it reads."""

    descriptor_class = _Backwards


class Halved(models.DecimalField):  # type: ignore[type-arg]
    """An amount of one's own: read as half of what is in the column."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return value / 2


class Coded(models.Model):
    """Its key is spelled in a way of its own, and so are the columns that refer to it."""

    code = SpelledField(max_length=20, primary_key=True)


class Plain(TrackedModel):
    """Fields of Django's own: what a save wrote to them is known without reading the row again."""

    count = models.IntegerField(default=0)
    text = models.CharField(max_length=50, default="", db_default="")
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    share = models.FloatField(null=True)
    raw = models.BinaryField(null=True)
    file = models.FileField(storage=InMemoryStorage(), upload_to="of-tests", null=True)
    address = models.GenericIPAddressField(null=True, unpack_ipv4=True)
    key = models.UUIDField(null=True)
    took = models.DurationField(null=True)
    on = models.DateField(null=True)
    at = models.DateTimeField(null=True)
    hour = models.TimeField(null=True)
    data = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    made = models.DateTimeField(auto_now_add=True)
    touched = models.DateTimeField(auto_now=True)
    by_default = models.IntegerField(db_default=7)
    now_by_default = models.DateTimeField(db_default=Now())


class Kinds(TrackedModel):
    """Fields of which only the database knows what was stored."""

    count = models.IntegerField(default=0)
    counted = CountedField(default=0)
    stamp = StampField(null=True)
    longer = LongerField(max_length=50, default="")
    loud = LoudField(max_length=50, default="")
    backwards = BackwardsField(max_length=50, default="")
    halved = Halved(max_digits=8, decimal_places=2, default=Decimal("1.00"))
    coded = models.ForeignKey(Coded, null=True, on_delete=models.CASCADE)
    doubled = models.GeneratedField(
        expression=models.F("count") * 2, output_field=models.IntegerField(), db_persist=True
    )


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
