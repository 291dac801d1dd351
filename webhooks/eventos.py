"""The events that the webhooks app itself tells."""

from django.utils.translation import gettext_lazy as _

from . import catalog

TEST_EVENT = catalog.declare(
    catalog.EventType(
        name="webhook.teste",
        description=_("A test, sent to one webhook on purpose."),
        area=_("Webhooks"),
        data_schema={
            "type": "object",
            "properties": {
                "webhookId": {"type": "string"},
                "mensagem": {"type": "string"},
            },
            "required": ["webhookId", "mensagem"],
            "additionalProperties": False,
        },
        data_example={
            "webhookId": "018cc251-f400-7000-8000-000000000000",
            "mensagem": "Se você lê isto, o webhook funciona.",
        },
        subscribable=False,
    )
)

DISABLED_EVENT = catalog.declare(
    catalog.EventType(
        name="webhook.desativado",
        description=_("A webhook was disabled because it failed for too long, or is gone."),
        area=_("Webhooks"),
        data_schema={
            "type": "object",
            "properties": {
                "webhookId": {"type": "string"},
                "nome": {"type": "string"},
                "motivo": {"type": "string"},
                "desativadoEm": {"type": "string", "format": "date-time"},
            },
            "required": ["webhookId", "nome", "motivo", "desativadoEm"],
            "additionalProperties": False,
        },
        data_example={
            "webhookId": "018cc251-f400-7000-8000-000000000000",
            "nome": "ERP",
            "motivo": "120 das 120 tentativas dos últimos 5 dias falharam.",
            "desativadoEm": catalog.EXAMPLE_TIMESTAMP,
        },
    )
)
