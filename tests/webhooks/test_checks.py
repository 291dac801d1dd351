"""Settings that cannot work, or that open what should be closed, are told before they do harm."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import registry
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections
from django.test import override_settings

from tests.environment import FERNET_KEY
from tests.things.models import Loose, Thing
from webhooks import checks
from webhooks.conf import DEFAULTS
from webhooks.rules import RULES

SOUND = {"ENCRYPTION_KEYS": [FERNET_KEY]}


def found(*, debug: bool = False, **values: Any) -> dict[str, list[Any]]:
    """What the app's checks tell of these settings, by id."""
    with override_settings(WEBHOOKS={**SOUND, **values}, DEBUG=debug):
        return run_checks()


def run_checks() -> dict[str, list[Any]]:
    by_id: dict[str, list[Any]] = {}
    for check in registry.registry.get_checks(include_deployment_checks=True):
        if check.__module__.startswith("webhooks"):
            for message in check(app_configs=None, databases=["default"]):
                by_id.setdefault(message.id, []).append(message)
    return by_id


def test_sound_settings_are_silent():
    assert found() == {}
    assert found(debug=True) == {}


def test_every_default_is_a_value_that_the_checks_accept():
    assert found(**{name: value for name, value in DEFAULTS.items() if name not in SOUND}) == {}


def test_every_id_is_listed_with_its_meaning_and_tested_here():
    listed = set(re.findall(r"webhooks\.[EW]\d{3}(?=  )", checks.__doc__ or ""))
    used = set(re.findall(r'id="(webhooks\.[EW]\d{3})"', Path(checks.__file__).read_text()))
    tested = set(re.findall(r'"(webhooks\.[EW]\d{3})"', Path(__file__).read_text()))
    assert listed == used
    assert used <= tested


@pytest.mark.parametrize("wrong", [None, [], "TIMEOUT_SECONDS=5", 7])
def test_webhooks_must_be_a_dictionary(wrong):
    with override_settings(WEBHOOKS=wrong):
        [message] = run_checks().pop("webhooks.E001")
    assert "dictionary" in message.msg


def test_an_unknown_setting_is_told_with_the_one_that_was_meant():
    [message] = found(TIMEOUT_SECOND=5)["webhooks.E001"]
    assert "TIMEOUT_SECOND'" in message.msg
    assert message.hint == "Did you mean TIMEOUT_SECONDS?"
    [message] = found(XYZZY=5)["webhooks.E001"]
    assert "LEASE_SECONDS" in message.hint
    assert len(found(TIMEOUT_SECOND=5, XYZZY=5)["webhooks.E001"]) == 2


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ALLOWED_NETWORKS", ["10.0.0.0/8", ["10.0.0.0/33"], ["10.0.0.1/8"], [None], 5, None]),
        ("REFUSED_NETWORKS", ["10.0.0.0/8", ["nowhere"]]),
        ("ALLOWED_PORTS", ["80", 80, [0], [65_536], ["80"], None]),
        ("REQUIRE_HTTPS", ["false", 0, None]),
        ("TIMEOUT_SECONDS", [0, -1, 61, "5", None, float("nan"), True]),
        ("RESPONSE_MAX_BYTES", [-1, 1.5, None]),
        ("BODY_MAX_BYTES", [10, "100"]),
        ("SNAPSHOT_MAX_BYTES", [10, "100"]),
        ("USER_AGENT", [5]),
        ("RETRY_SCHEDULE_SECONDS", [[], None, "0,60", [-1], ["60"], [float("nan")], 60]),
        ("RETRY_JITTER", [-0.1, 1.1, None]),
        ("RETRY_AFTER_MAX_SECONDS", [-1]),
        ("SENDER_THREADS", [0, 1.5, 10_000]),
        ("RECEIVER_CONCURRENCY", [0, "4"]),
        ("SUSPECT_AFTER_SECONDS", [0]),
        ("SUSPECT_SHARE", [0, 1.5]),
        ("LEASE_SECONDS", [0, 1e9, None]),
        ("POLL_SECONDS", [0, -1, 3_600]),
        ("WAKEUP_INTERVAL_SECONDS", [-1, None]),
        ("WAKEUP_TIMEOUT_SECONDS", [60]),
        ("WAKEUP_PAUSE_SECONDS", ["5"]),
        ("QUEUE", [5]),
        ("SECRET_OVERLAP_SECONDS", [-1]),
        ("DISABLE_AFTER_DAYS", [-1]),
        ("DISABLE_FAILURE_SHARE", [0, 2]),
        ("DISABLE_MIN_ATTEMPTS", [0]),
        ("RETENTION_DAYS", [90, {"everything": 1}, {next(iter(DEFAULTS["RETENTION_DAYS"])): 0}]),
        ("EGRESS_PROXY", ["not a proxy", 5, "socks5://127.0.0.1:1"]),
    ],
)
def test_a_value_that_cannot_be_is_told_with_what_it_must_be(name, values):
    for value in values:
        messages = found(**{name: value})["webhooks.E002"]
        assert [name in message.msg for message in messages] == [True], value
        assert messages[0].hint or name == "EGRESS_PROXY"


def test_every_setting_has_a_rule():
    elsewhere = {"ENCRYPTION_KEYS", "EGRESS_PROXY", "METRICS_TOKEN"}
    assert set(RULES) == set(DEFAULTS) - elsewhere


@pytest.mark.parametrize(
    "keys",
    [
        [],
        ["no key"],
        [FERNET_KEY, "no key"],
        [f"{FERNET_KEY},{FERNET_KEY}"],  # which Fernet reads as the first of them
        [f"{FERNET_KEY};{FERNET_KEY}"],
        [f" {FERNET_KEY}"],
        FERNET_KEY,
        None,
        5,
        [5],
    ],
)
def test_without_a_usable_key_no_secret_can_be_kept(keys):
    [message] = found(ENCRYPTION_KEYS=keys)["webhooks.E003"]
    assert message.hint or "no Fernet key" in message.msg
    assert FERNET_KEY not in str(message)


@pytest.mark.parametrize(("timeout", "lease"), [(5.0, 9.9), (60, 60)])
def test_a_lease_must_outlast_an_attempt(timeout, lease):
    [message] = found(TIMEOUT_SECONDS=timeout, LEASE_SECONDS=lease)["webhooks.E004"]
    assert "sent twice" in message.msg
    assert "webhooks.E004" not in found(TIMEOUT_SECONDS=timeout, LEASE_SECONDS=timeout + 5)
    # another mistake does not hide this one
    assert "webhooks.E004" in found(TIMEOUT_SECONDS=timeout, LEASE_SECONDS=lease, XYZZY=1)


def test_plain_http_is_for_development():
    [message] = found(REQUIRE_HTTPS=False)["webhooks.W001"]
    assert "WEBHOOKS_REQUIRE_HTTPS" in message.hint
    assert found(REQUIRE_HTTPS=False, debug=True) == {}


def test_an_opened_network_is_told_by_name():
    [message] = found(ALLOWED_NETWORKS=["10.20.0.0/16"])["webhooks.W002"]
    assert "10.20.0.0/16" in message.msg
    assert found(ALLOWED_NETWORKS=["10.20.0.0/16"], debug=True) == {}


def test_a_model_that_tells_without_a_transaction_is_told_by_name(tell):
    tell(Thing, name=checks_text())
    assert found() == {}
    tell(Loose, name=checks_text())
    [message] = found()["webhooks.W003"]
    assert "things.Loose" in message.msg
    assert "wrap_save=True" in message.hint


def checks_text() -> Any:
    from webhooks import events

    return events.text("name")


def test_a_database_that_cannot_queue_is_refused(monkeypatch):
    connection = connections["default"]
    monkeypatch.setattr(connection, "vendor", "mysql")
    monkeypatch.setattr(connection, "display_name", "MySQL", raising=False)
    [message] = found()["webhooks.E005"]
    assert "MySQL" in message.msg


@pytest.mark.sqlite_only
def test_sqlite_must_begin_its_transactions_immediate(monkeypatch):
    connection = connections["default"]
    options = {**connection.settings_dict["OPTIONS"], "transaction_mode": "DEFERRED"}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    [message] = found()["webhooks.W004"]
    assert '"transaction_mode": "IMMEDIATE"' in message.hint


def test_ports_beyond_the_webs_are_told():
    [message] = found(ALLOWED_PORTS=[80, 443, 6379])["webhooks.W005"]
    assert "6379" in message.msg
    assert found(ALLOWED_PORTS=[80, 443, 6379], debug=True) == {}


def test_a_proxy_is_said_to_take_the_guards_place_without_showing_its_password():
    [message] = found(EGRESS_PROXY="http://user:s3cret@127.0.0.1:4750")["webhooks.W006"]
    assert "s3cret" not in str(message)
    [message] = found(EGRESS_PROXY="ftp://user:s3cret@127.0.0.1")["webhooks.E002"]
    assert "s3cret" not in str(message)


def test_the_database_is_looked_at_only_when_asked_to():
    assert checks.check_database(databases=None) == []
    assert checks.check_database(databases=["another"]) == []


def test_manage_py_check_refuses_and_says_why():
    with (
        override_settings(WEBHOOKS={**SOUND, "TIMEOUT_SECONDS": "5"}),
        pytest.raises(SystemCheckError, match=r"webhooks\.E002.*TIMEOUT_SECONDS"),
    ):
        call_command("check")


def test_the_project_as_it_is_deployed_has_nothing_to_tell(start):
    process = start(
        "manage.py",
        "check",
        "--database=default",
        "--fail-level=WARNING",
        "--tag=security",
        "--tag=models",
        "--tag=database",
        WEBHOOKS_REQUIRE_HTTPS="true",
        WEBHOOKS_ALLOWED_NETWORKS="",
        DEBUG="false",
    )
    assert process.wait() == 0, process.output


@pytest.mark.parametrize(
    "token", ["", "short", "with spaces in between", 12345678901234567, "ç" * 20]
)
def test_a_token_of_the_metrics_is_hard_to_guess_and_is_not_shown(token):
    [message] = found(METRICS_TOKEN=token).pop("webhooks.E006")
    assert str(token) not in message.msg or token == ""


def test_metrics_need_their_library(monkeypatch):
    assert found(METRICS_TOKEN="a-token-of-the-metrics") == {}
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    [message] = found(METRICS_TOKEN="a-token-of-the-metrics").pop("webhooks.E006")
    assert "[metrics]" in message.hint
