"""The endpoints of one kind of record."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import connections, router
from django.db.models.deletion import Collector
from django.http import Http404
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy
from rest_framework.request import Request
from rest_framework.response import Response

from api_common import describe, etags, filters
from api_common.describe import Json, Operation
from api_common.permissions import require
from api_common.problems import django_problem
from api_common.views import ApiViewSet

from .. import public_ids
from .bodies import RecordSerializer, permission
from .rules import clean

SUMMARIES = {
    "list": gettext_lazy("List: %(many)s"),
    "retrieve": gettext_lazy("Read: %(one)s"),
    "create": gettext_lazy("Create: %(one)s"),
    "update": gettext_lazy("Replace: %(one)s"),
    "partial_update": gettext_lazy("Change: %(one)s"),
    "destroy": gettext_lazy("Delete: %(one)s"),
}


class RecordViewSet(ApiViewSet):
    """Lists, reads, creates, changes and deletes the records of one model."""

    serializer_class: ClassVar[type[RecordSerializer]]
    filterset_class: ClassVar[type[filters.FilterSet]]
    orderings = {"createdAt": "created_at", "updatedAt": "updated_at"}
    lookup_field = "public_id"
    lookup_value_regex = "[^/]+"

    @property
    def model(self) -> type[Any]:
        return self.serializer_class.model

    def required_permissions(self) -> Any:
        verbs = {
            "list": ("view",),
            "retrieve": ("view",),
            "create": ("add",),
            # What is changed is answered whole.
            "update": ("view", "change"),
            "partial_update": ("view", "change"),
            "destroy": ("delete",),
        }
        if (needed := verbs.get(self.action or "")) is not None:
            return tuple(permission(verb, self.model) for verb in needed)
        return super().required_permissions()

    # --- what it says of itself -------------------------------------------------------------
    @property
    def tag(self) -> str:
        return capfirst(self.model._meta.verbose_name_plural)

    def path_parameters(self) -> Mapping[str, Json]:
        prefix = self.model.PUBLIC_PREFIX
        return {"public_id": {**public_ids.schema(prefix), "examples": [f"{prefix}_123"]}}

    def described(self, action: str) -> Operation | None:
        if action in self.descriptions:
            return self.descriptions[action]
        serializer = self.serializer_class
        words = {
            "one": self.model._meta.verbose_name,
            "many": self.model._meta.verbose_name_plural,
        }
        return describe.records(
            serializer.answer_schema(),
            serializer.body_schema(),
            serializer.body_schema(partial=True),
            summaries={name: text % words for name, text in SUMMARIES.items()},
            filterset=self.filterset_class,
            orderings=list(self.orderings),
        ).get(action)

    # --- the actions ------------------------------------------------------------------------
    def list(self, request: Request) -> Response:
        return self.page(
            self.model._default_manager.all(),
            self.serializer_class.represent,
            filterset=self.filterset_class,
        )

    def retrieve(self, request: Request, public_id: str) -> Response:
        filters.refuse_unknown(request, ())
        return self.answer(self.serializer_class.represent(self.record(public_id)))

    def create(self, request: Request) -> Response:
        serializer = self.serializer_class(data=request.data, context={"request": request})
        instance = self.model(**serializer.checked())
        self.before_save(instance)
        self._save(instance, serializer)
        return self.created(instance)

    def update(self, request: Request, public_id: str) -> Response:
        return self._change(public_id, partial=False)

    def partial_update(self, request: Request, public_id: str) -> Response:
        return self._change(public_id, partial=True)

    def destroy(self, request: Request, public_id: str) -> Response:
        instance = self.record(public_id, to_change=True)
        collector = Collector(using=router.db_for_write(self.model), origin=instance)
        collector.collect([instance])
        # What goes with it needs the permission too, as in the admin.
        gone = {*collector.data, *(rows.model for rows in collector.fast_deletes if rows.exists())}
        models_gone = [model for model in gone if not model._meta.auto_created]
        require(request, sorted(permission("delete", model) for model in models_gone))
        collector.delete()
        return Response(status=204)

    # --- what they share --------------------------------------------------------------------
    def before_save(self, instance: Any) -> None:
        """What follows from who asks, and is not in the body."""

    def record(self, public_id: str, *, to_change: bool = False) -> Any:
        """The record of that id.

        :param to_change: lock it until the end of the transaction, and hold it against `If-Match`.
        :raises Http404: there is none.
        """
        pk = public_ids.pk_of(public_id, self.model.PUBLIC_PREFIX)
        if pk is None:
            raise Http404
        rows = self.model._default_manager.filter(pk=pk)
        if to_change:  # from where it is written, not from a replica of it
            rows = rows.using(router.db_for_write(self.model))
        if to_change and connections[rows.db].features.has_select_for_update:
            rows = rows.select_for_update(no_key=True, of=("self",))
        instance = rows.first()
        if instance is None:
            raise Http404
        if to_change:
            etags.check_if_match(self.request, self.serializer_class.represent(instance))
        return instance

    def created(self, instance: Any) -> Response:
        data = self.serializer_class.represent(instance)
        location = f"{self.request.path}{instance.public_id}/"
        return self.answer(data, status=201, Location=location)

    def changed(self, instance: Any) -> Response:
        return self.answer(self.serializer_class.represent(instance))

    def _change(self, public_id: str, *, partial: bool) -> Response:
        instance = self.record(public_id, to_change=True)
        serializer = self.serializer_class(
            instance, data=self.request.data, partial=partial, context={"request": self.request}
        )
        values = serializer.checked()
        for name, value in values.items():
            setattr(instance, name, value)
        if values:
            self.before_save(instance)
            self._save(instance, serializer, values)
        return self.changed(instance)

    def _save(
        self,
        instance: Any,
        serializer: RecordSerializer,
        changed: Collection[str] | None = None,
    ) -> None:
        try:
            clean(instance, changed)
            # Only what the request named: another's change of another column stays.
            instance.save(**({} if changed is None else {"update_fields": list(changed)}))
        except ValidationError as error:
            raise django_problem(error, serializer.names) from error
