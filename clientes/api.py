"""Clients in the API."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from api_common import fields, filters
from api_common.describe import Named, Operation, object_of
from api_common.problems import FieldError, Problem, django_field_errors, drf_errors
from crm_common.api import RecordFilters, RecordSerializer, RecordViewSet, SearchFilter
from webhooks import events

from .eventos import ClienteEventos
from .models import Cliente
from .validators import MAX_CUSTOM_FIELDS_BYTES, MAX_TAG_LENGTH, MAX_TAGS

MAX_BATCH = 1_000
MIN_DIGITS = 4
# What the schema of the answers leaves open.
TAGS: dict[str, Any] = {
    "maxItems": MAX_TAGS,
    "uniqueItems": True,
    "items": {"type": "string", "minLength": 1, "maxLength": MAX_TAG_LENGTH},
}
CUSTOM_FIELDS: dict[str, Any] = {
    "description": format_lazy(
        gettext_lazy(
            "Any JSON object, of at most {most} bytes as JSON and {levels} levels of lists and "
            "objects."
        ),
        most=MAX_CUSTOM_FIELDS_BYTES,
        levels=events.MAX_INPUT_DEPTH,
    )
}


class ClienteSerializer(RecordSerializer):
    model = Cliente
    record = ClienteEventos.record

    nome = fields.Text()
    email = fields.Text(required=False, allow_null=True)
    telefone = fields.Text(required=False, allow_null=True)
    documento = fields.Text(required=False, allow_null=True)
    empresa = fields.Text(required=False, allow_null=True)
    origem = fields.Text(required=False, allow_null=True)
    etiquetas = fields.Json(required=False, schema=TAGS)
    naoPerturbe = fields.Boolean(required=False, source="nao_perturbe")  # noqa: N815
    camposPersonalizados = fields.Json(  # noqa: N815
        required=False, source="campos_personalizados", schema=CUSTOM_FIELDS
    )
    observacoes = fields.Text(required=False, allow_null=True)


class NormalizedFilter(filters.TextFilter):
    """A telephone or document, in any of the ways in which people write it."""

    help_text = gettext_lazy("In any of the ways in which people write it.")

    def filter(self, qs: Any, value: str) -> Any:
        if not value:
            return qs
        field: Any = Cliente._meta.get_field(self.field_name)
        try:
            return qs.filter(**{self.field_name: field.normalize_stored(value)})
        except ValidationError:
            return qs.none()


class ClienteSearch(SearchFilter):
    """Words, or a telephone or document as people write it."""

    help_text = gettext_lazy(
        "Words, all of which are found in its name, e-mail or company; or a telephone or document."
    )

    def filter(self, qs: QuerySet[Cliente], value: str) -> QuerySet[Cliente]:
        found = super().filter(qs, value)
        number = re.sub(r"[\s().+\-/]", "", value).upper()
        if sum(character.isdigit() for character in number) < MIN_DIGITS:
            return found
        # E.164 has no trunk prefix.
        like = Q(telefone__contains=number.lstrip("0")) | Q(documento__startswith=number)
        return found | qs.filter(like)


class ClienteFilters(RecordFilters):
    q = ClienteSearch("nome", "email", "empresa")
    email = filters.TextFilter(
        "email", lookup_expr="iexact", help_text=gettext_lazy("In any letter case.")
    )
    telefone = NormalizedFilter("telefone")
    documento = NormalizedFilter("documento")
    origem = filters.TextFilter(
        "origem", lookup_expr="iexact", help_text=gettext_lazy("In any letter case.")
    )
    naoPerturbe = filters.BooleanFilter(  # noqa: N815
        "nao_perturbe", help_text=gettext_lazy("Whether the client asked not to be contacted.")
    )


class Batch(fields.Body):
    """`{"clientes": [{…}, …]}`"""

    clientes = fields.Json()

    def validate_clientes(self, value: Any) -> list[Any]:
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_BATCH:
            raise serializers.ValidationError(
                _("Give a list of 1 to %(most)d clients.") % {"most": MAX_BATCH}
            )
        return value


def _list_of(schema: Named) -> dict[str, Any]:
    return {"type": "array", "items": schema, "minItems": 1, "maxItems": MAX_BATCH}


class ClienteViewSet(RecordViewSet):
    acting = events.acting
    refusals = events.REFUSALS
    serializer_class = ClienteSerializer
    filterset_class = ClienteFilters
    orderings = {**RecordViewSet.orderings, "nome": "nome"}
    action_permissions = {"lote": ["clientes.add_cliente"]}
    descriptions = {
        "lote": Operation(
            summary=gettext_lazy("Create up to 1,000 clients"),
            description=format_lazy(
                gettext_lazy(
                    "All or none, in one transaction, each with its event. As every request, "
                    "it has at most {most} bytes."
                ),
                most=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
            ),
            body=object_of({"clientes": _list_of(ClienteSerializer.body_schema())}),
            answer=object_of({"clientes": _list_of(ClienteSerializer.answer_schema())}),
            status=201,
        )
    }

    @action(detail=False, methods=["post"])
    def lote(self, request: Request) -> Response:
        """Create up to 1,000 clients, all or none, each with its event."""
        batch = Batch(data=request.data)
        if not batch.is_valid():
            raise Problem("invalid", errors=drf_errors(batch.errors))
        clients = _checked(batch.validated_data["clientes"])
        Cliente.objects.bulk_create(clients)
        events.emit("cliente.criado", clients)
        return Response(
            {"clientes": [ClienteSerializer.represent(client) for client in clients]}, status=201
        )


def _checked(bodies: list[Any]) -> list[Cliente]:
    """The clients of a batch. As many queries for 1,000 as for one.

    :raises Problem: 400, naming every client that is not valid.
    """
    clients = []
    errors: list[FieldError] = []
    for index, body in enumerate(bodies):
        path = f"clientes[{index}]"
        serializer = ClienteSerializer(data=body)
        if not serializer.is_valid():
            errors += drf_errors(serializer.errors, path)
            continue
        client = Cliente(**serializer.validated_data)
        try:
            client.clean_fields()
        except ValidationError as error:
            errors += django_field_errors(error, serializer.names, path)
        clients.append((path, client))
    errors += _taken(clients)
    if errors:
        raise Problem("invalid", errors=errors)
    return [client for _path, client in clients]


def _taken(clients: list[tuple[str, Cliente]]) -> list[FieldError]:
    """Documents that a client, stored or of this batch, has already."""
    seen = set(
        Cliente.objects.filter(
            documento__in=[client.documento for _path, client in clients if client.documento]
        ).values_list("documento", flat=True)
    )
    errors = []
    for path, client in clients:
        if client.documento and client.documento in seen:
            message = _("There is a client with this CPF or CNPJ already.")
            errors.append(FieldError(f"{path}.documento", message, "unique"))
        seen.add(client.documento)
    return errors
