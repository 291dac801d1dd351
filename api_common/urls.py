"""Include it last under the API's prefix: what nothing else took is answered here."""

from django.urls import path, re_path

from .docs import Redoc, SchemaView, Swagger
from .pages import NothingHere, ProblemKind, ProblemKinds

urlpatterns = [
    path("schema/", SchemaView.as_view(), name="api-schema"),
    path("docs/", Swagger.as_view(), name="api-docs"),
    path("docs/redoc/", Redoc.as_view(), name="api-redoc"),
    path("problems/", ProblemKinds.as_view(), name="api-problems"),
    path("problems/<slug:code>/", ProblemKind.as_view(), name="api-problem"),
    re_path(r"^.*$", NothingHere.as_view()),
]
