"""What a list of records can be asked for."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

from api_common import filters

from .. import public_ids


class RecordFilters(filters.FilterSet):
    """What every list of records can be asked for."""

    createdSince = filters.MomentFilter("created_at", lookup_expr="gte")  # noqa: N815
    createdUntil = filters.MomentFilter("created_at", lookup_expr="lt")  # noqa: N815
    updatedSince = filters.MomentFilter("updated_at", lookup_expr="gte")  # noqa: N815
    updatedUntil = filters.MomentFilter("updated_at", lookup_expr="lt")  # noqa: N815


class PublicIdFilter(filters.IdFilter):
    """`?clienteId=cliente_123`."""

    def __init__(self, field_name: str, *, prefix: str, **kwargs: Any) -> None:
        kwargs.setdefault(
            "help_text", format_lazy(gettext_lazy("An id like {prefix}_123."), prefix=prefix)
        )
        super().__init__(
            field_name,
            read=lambda text: public_ids.pk_of(text, prefix),
            schema=public_ids.schema(prefix),
            **kwargs,
        )


class SearchFilter(filters.TextFilter):
    """`?q=silva`: found in any of some columns, in any letter case."""

    help_text = gettext_lazy("Words, all of which are found in it, in any letter case.")

    def __init__(self, *columns: str, **kwargs: Any) -> None:
        self.columns = columns
        super().__init__(columns[0], **kwargs)

    def filter(self, qs: Any, value: str) -> Any:
        for word in value.split()[:10]:
            found = models.Q()
            for column in self.columns:
                found |= models.Q(**{f"{column}__icontains": word})
            qs = qs.filter(found)
        return qs
