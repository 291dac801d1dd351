"""Callers of the API: with a token, a session, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.utils import translation

from api_common import tokens
from tests.crm import make_user

ROOT = "/api/v1/"


class Caller:
    """Django's test client as an integrator's program: JSON, and a bearer token."""

    def __init__(self, user: User | None, **headers: str) -> None:
        self.user = user
        self.headers = {"accept-language": "en", **headers}
        if user is not None:
            _token, text = tokens.create(user, "test")
            self.headers["authorization"] = f"Bearer {text}"
        self.client = Client()

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        content = {}
        if body is not None:
            data = body if isinstance(body, (bytes, str)) else json.dumps(body)
            content = {"data": data, "content_type": "application/json"}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        path = path if path.startswith("/") or "://" in path else ROOT + path
        return self.client.generic(
            method.upper(), path, headers={**self.headers, **given}, **content
        )

    def get(self, path: str, **headers: str) -> Any:
        return self("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self("PUT", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self("DELETE", path, **headers)


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """Each test with counts of its own, and the language it began in."""
    cache.clear()
    with translation.override("en"):
        yield


@pytest.fixture
def root(db: None) -> Caller:
    """May do everything."""
    return Caller(User.objects.create_superuser("root"))


@pytest.fixture
def caller(db: None) -> Callable[..., Caller]:
    """`caller("clientes.view_cliente")` may do just that."""

    def make(*permissions: str, **headers: str) -> Caller:
        user = make_user(f"user{User.objects.count()}", *permissions)
        return Caller(user, **headers)

    return make


@pytest.fixture
def anyone(db: None) -> Caller:
    return Caller(None)


def problem(response: Any, code: str) -> dict[str, Any]:
    """The problem that was answered: RFC 9457's members, and no others than ours."""
    data: dict[str, Any] = response.json()
    assert response["Content-Type"] == "application/problem+json", data
    assert data["code"] == code, data
    assert data["status"] == response.status_code
    assert data["type"].endswith(f"/api/v1/problems/{code}/")
    assert data["title"] and data["detail"]
    assert set(data) <= {"type", "title", "status", "code", "detail", "errors", "permission"}
    return data


def field_errors(response: Any) -> dict[str, str]:
    """What was said of each value."""
    return {error["field"]: error["detail"] for error in problem(response, "invalid")["errors"]}
