"""What the pages share: read-only, bounded in their queries, and buttons that are POSTs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import QuerySet
from django.forms.widgets import Script
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from ..databases import writing

MOST_COUNTED = 10_000
# Each word of a search is a condition more, and databases take only so many.
MOST_SEARCHED = 200  # characters
STYLES = {"all": ("webhooks/admin.css", "webhooks/lists.css")}
# They make pages nicer; none is needed.
SCRIPTS = tuple(Script(f"webhooks/{name}.js", defer=True) for name in ("copy", "live", "lists"))


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts up to 10,000 rows and no further: a count of millions is slow and tells nobody more.

    What lies beyond is reached with filters.
    """

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_COUNTED].count())


class NoGuessing(admin.ModelAdmin):  # type: ignore[type-arg]
    """Lists are not narrowed by what they do not show.

    Django lets a list's address ask for any column, such as `?body__startswith=…`: whoever may
    see the list could find out, letter by letter, what they may not see.
    """

    not_asked_for: tuple[str, ...] = ()
    empty_value_display = "—"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Who changes something acts upon what is so, not upon what a replica has heard of."""
        rows: QuerySet[Any] = super().get_queryset(request)
        if request.method not in ("GET", "HEAD"):
            rows = writing(rows)
        return rows

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        return lookup.partition("__")[0] not in self.not_asked_for and super().lookup_allowed(
            lookup, value, request
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return super().get_search_results(request, queryset, search_term[:MOST_SEARCHED])


class StoryAdmin(NoGuessing):
    """The page of one object tells more than its fields."""

    def story(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """What the page's template needs; asked for only where the user may see the object."""
        return {}

    # What was typed is in the request already when `story` fails.
    @method_decorator(sensitive_post_parameters())
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = dict(extra_context or {})
        found = self.get_object(request, object_id)
        if found is not None and self.has_view_permission(request, found):
            context |= self.story(request, found)
        return super().change_view(request, object_id, form_url, context)


class ReadOnlyAdmin(StoryAdmin):
    """A big table that is looked at: newest first, ordered by nothing else, never counted whole."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count the table once more
    ordering = ("-id",)
    sortable_by = ()
    list_per_page = 50
    # `get_search_results` is each page's own; this shows the box.
    search_fields = ("id",)
    change_list_template = "admin/webhooks/bounded_change_list.html"

    class Media:
        css = STYLES
        js = SCRIPTS

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        if has_nul(value for _, values in request.GET.lists() for value in values):
            return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")
        if ERROR_FLAG in request.GET:  # where Django sends who asks for what cannot be read
            text = gettext("The filter cannot be read, so all is shown.")
            self.message_user(request, text, messages.ERROR)
        return super().changelist_view(
            request, {"most_counted": MOST_COUNTED, **(extra_context or {})}
        )


def button(
    model_admin: admin.ModelAdmin,  # type: ignore[type-arg]
    name: str,
    view: Callable[..., HttpResponseBase],
    methods: tuple[str, ...] = ("POST",),
    *,
    of_one: bool = True,
) -> URLPattern:
    """The address `<id>/<name>/` of a page, named `admin:webhooks_<model>_<name>`; where it is not
    of one object, `<name>/`.

    Never inside a transaction, whatever the project's ATOMIC_REQUESTS: some views send requests.
    """
    wrapped = model_admin.admin_site.admin_view(require_http_methods(methods)(view))
    return path(
        f"<path:object_id>/{name}/" if of_one else f"{name}/",
        transaction.non_atomic_requests(wrapped),
        name=f"{model_admin.opts.app_label}_{model_admin.opts.model_name}_{name}",
    )


def has_nul(values: Iterable[str]) -> bool:
    """Whether one of them holds the character that PostgreSQL cannot be asked for."""
    return any("\0" in value for value in values)


def page_of(obj: Any) -> str:
    """The address of an object's page in the admin."""
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[obj.pk])
