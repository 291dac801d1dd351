"""What a list of records can be asked for."""

from __future__ import annotations

from typing import Any

from django.db import models

from api_common import filters

from .. import public_ids


class RecordFilters(filters.FilterSet):
    """What every list of records can be asked for."""

    createdSince = filters.MomentFilter("created_at", lookup_expr="gte")  # noqa: N815
    createdUntil = filters.MomentFilter("created_at", lookup_expr="lt")  # noqa: N815
    updatedSince = filters.MomentFilter("updated_at", lookup_expr="gte")  # noqa: N815
    updatedUntil = filters.MomentFilter("updated_at", lookup_expr="lt")  # noqa: N815


class PublicIdFilter(filters.TextFilter):
    """`?clienteId=cliente_123`."""

    def __init__(self, field_name: str, *, prefix: str, **kwargs: Any) -> None:
        self.prefix = prefix
        super().__init__(field_name, **kwargs)

    def filter(self, qs: Any, value: str) -> Any:
        if not value:
            return qs
        pk = public_ids.pk_of(value, self.prefix)
        return qs.none() if pk is None else qs.filter(**{self.field_name: pk})


class SearchFilter(filters.TextFilter):
    """`?q=silva`: found in any of some columns, in any letter case."""

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
