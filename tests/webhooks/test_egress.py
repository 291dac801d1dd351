"""What the settings say of going out, and what the checks say of the settings."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from webhooks import checks, egress
from webhooks.operations.validation import clean_url


def configure(settings: Any, **values: Any) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, **values}


def test_the_policy_is_what_the_settings_say(settings: Any) -> None:
    configure(
        settings,
        ALLOWED_NETWORKS=["10.0.0.0/8"],
        REFUSED_NETWORKS=["93.184.0.0/16"],
        ALLOWED_PORTS=[443, 8443],
        REQUIRE_HTTPS=True,
    )
    policy = egress.policy()
    assert policy.allowed_networks == (ipaddress.ip_network("10.0.0.0/8"),)
    assert policy.refused_networks == (ipaddress.ip_network("93.184.0.0/16"),)
    assert policy.allowed_ports == {443, 8443}
    assert policy.require_https is True


def test_a_proxy_is_told_of_with_what_it_no_longer_guards(settings: Any) -> None:
    assert checks.check_egress_proxy() == []
    configure(settings, EGRESS_PROXY="http://user:hunter2@proxy.internal:3128")
    (found,) = checks.check_egress_proxy()
    assert found.id == "webhooks.W006"
    egress.transport().close()


@pytest.mark.parametrize("proxy", ["https://user:hunter2@proxy:1", "nonsense", 7])
def test_a_proxy_that_is_none_is_an_error_and_not_repeated(settings: Any, proxy: object) -> None:
    configure(settings, EGRESS_PROXY=proxy)
    (found,) = checks.check_egress_proxy()
    assert found.id == "webhooks.E002"
    assert "hunter2" not in str(found)


def test_names_are_not_looked_up_here_where_a_proxy_does_it(settings: Any) -> None:
    warnings: list[str] = []
    clean_url("https://nowhere.invalid/", warnings)
    assert warnings
    configure(settings, EGRESS_PROXY="http://127.0.0.1:9")
    warnings.clear()
    assert clean_url("https://nowhere.invalid/", warnings) == "https://nowhere.invalid/"
    assert warnings == []
    with pytest.raises(ValidationError):
        clean_url("https://10.0.0.1/", warnings)
