"""Swagger UI and Redoc: what their pages may load. (A browser reads them in `tests/browser`.)"""

from __future__ import annotations

from django.test import Client


def test_pages_allow_no_script_but_the_servers_own(client: Client) -> None:
    for path in ("/api/v1/docs/", "/api/v1/docs/redoc/"):
        answer = client.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "script-src 'self';" in policy and "http" not in policy
        assert b"<script>" not in answer.content
