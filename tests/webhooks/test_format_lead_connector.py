"""LeadConnector's bodies and signatures, from what this CRM's events tell (seed 000)."""

from __future__ import annotations

import base64
import datetime as dt
import json
import time
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.core.exceptions import ValidationError
from django.core.management import call_command

from chamados.models import Resposta
from tests.crm import make_chamado, make_cliente, make_tarefa, make_user
from tests.webhooks import makers
from webhooks import catalog, events, operations, signing
from webhooks.directory import Directory
from webhooks.formats.base import Message
from webhooks.formats.lead_connector import LeadConnector
from webhooks.models import Webhook
from webhooks.signing import Key
from webhooks.testing import Answer, Receiver, deliver_all

pytestmark = pytest.mark.both_databases

CLIENT = {
    "id": "cliente_123",
    "nome": "João da Silva",
    "email": "joao@example.com",
    "telefone": "(11) 99999-9999",
    "empresa": "Silva & Filhos",
    "origem": "site",
    "etiquetas": ["vip"],
    "naoPerturbe": False,
    "camposPersonalizados": {"plano": "ouro"},
    "createdAt": "2024-01-01T10:00:00Z",
}
SENT = dt.datetime(2024, 1, 1, 10, 5, 0, 600_000, tzinfo=dt.timezone(dt.timedelta(hours=-3)))
ENVELOPE = {
    "timestamp": "2024-01-01T13:05:00.600Z",
    "webhookId": "018cc251-f400-7000-8000-00000000abcd",
    "locationId": "ve9EPM428h8vShlRW1KT",
}


def a_message(*args: Any, data_subject: str = "", **options: Any) -> Message:
    options = {"locationId": ENVELOPE["locationId"], **options}
    return makers.a_message(*args, data_subject=data_subject, sent_at=SENT, options=options)


def body(*args: Any, **more: Any) -> dict[str, Any]:
    """Without the envelope, but for the type."""
    told: dict[str, Any] = json.loads(LeadConnector().body(a_message(*args, **more)))
    assert {name: told.pop(name) for name in ENVELOPE} == ENVELOPE
    return told


# --- shapes: wire-formats, "LeadConnector / Marketek" -------------------------------------------


def test_a_contact_is_told_flat_with_all_that_leadconnector_knows() -> None:
    contact = {
        "id": "cliente_123",
        "name": "João da Silva",
        "firstName": "João",
        "lastName": "da Silva",
        "email": "joao@example.com",
        "phone": "+5511999999999",
        "companyName": "Silva & Filhos",
        "address1": None,
        "city": None,
        "state": None,
        "country": None,
        "postalCode": None,
        "source": "site",
        "dateAdded": "2024-01-01T10:00:00Z",
        "dateOfBirth": None,
        "dnd": False,
        "tags": ["vip"],
        "website": None,
        "attachments": [],
        "assignedTo": None,
        "customFields": [{"id": "plano", "value": "ouro"}],
    }
    changed = {"nome": {"anterior": "João", "novo": "João da Silva"}}
    for type, name in (
        ("cliente.criado", "ContactCreate"),
        ("cliente.atualizado", "ContactUpdate"),
        ("cliente.excluido", "ContactDelete"),
    ):
        assert body(type, CLIENT, changed) == {"type": name, **contact}


@pytest.mark.parametrize(("asked", "status"), [(True, "active"), (False, "inactive")])
def test_a_change_of_do_not_disturb_is_told_as_one_for_every_channel(
    asked: bool, status: str
) -> None:
    changes = {"naoPerturbe": {"anterior": not asked, "novo": asked}}
    told = body("cliente.atualizado", {**CLIENT, "naoPerturbe": asked}, changes)
    assert (told["type"], told["dnd"]) == ("ContactDndUpdate", asked)
    channels = ("SMS", "Call", "Email", "GMB", "FB", "WhatsApp")
    assert told["dndSettings"] == {
        channel: {"status": status, "message": "", "code": ""} for channel in channels
    }
    assert "dndSettings" not in body("cliente.criado", CLIENT)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("(11) 3333-4444", "+551133334444"),
        ("0800 123 4567", "+558001234567"),
        ("+1 415-555-2671", "+14155552671"),
        ("190", "190"),
        ("ramal 12", "ramal 12"),
        (None, None),
    ],
)
def test_telephone_numbers_are_told_as_e164(written: str | None, told: str | None) -> None:
    assert body("cliente.criado", {**CLIENT, "telefone": written})["phone"] == told


def test_of_little_little_is_told() -> None:
    told = body("cliente.criado", {"id": "cliente_1", "nome": "Ana", "camposPersonalizados": None})
    assert (told["firstName"], told["lastName"], told["phone"]) == ("Ana", None, None)
    spaced = body("cliente.criado", {"nome": "Ana  Maria Souza"})
    assert (spaced["firstName"], spaced["lastName"]) == ("Ana", "Maria Souza")
    assert (told["tags"], told["customFields"], told["dnd"]) == ([], [], False)


def test_tasks_and_notes() -> None:
    record = {
        "id": "tarefa_1",
        "titulo": "Ligar",
        "descricao": "Hoje",
        "clienteId": "cliente_123",
        "responsavelId": "usuario_7",
        "dataVencimento": "2024-01-05T10:00:00Z",
        "createdAt": "2024-01-01T10:00:00Z",
    }
    task = {
        "id": "tarefa_1",
        "assignedTo": "usuario_7",
        "body": "Hoje",
        "contactId": "cliente_123",
        "title": "Ligar",
        "dateAdded": "2024-01-01T10:00:00Z",
        "dueDate": "2024-01-05T10:00:00Z",
    }
    assert body("tarefa.criada", record) == {"type": "TaskCreate", **task}
    assert body("tarefa.concluida", record) == {"type": "TaskComplete", **task}
    assert body("tarefa.excluida", record) == {"type": "TaskDelete", **task}
    reply = {"respostaId": "resposta_1", "mensagem": "Oi", "respondidoEm": "2024-01-01T10:00:00Z"}
    assert body("chamado.respondido", reply, data_subject="cliente_123") == {
        "type": "NoteCreate",
        "id": "resposta_1",
        "body": "Oi",
        "contactId": "cliente_123",
        "dateAdded": "2024-01-01T10:00:00Z",
    }


def test_messages_are_told_from_what_seed_004_says_of_them() -> None:
    received = {
        "conversaId": "conversa_123",
        "mensagemId": "msg_123",
        "remetente": "5511999999999",
        "conteudo": "Olá",
        "tipo": "TEXT",
        "recebidoEm": "2024-01-01T10:00:00Z",
    }
    told = body("whatsapp.mensagem.recebida", received, data_subject="cliente_9")
    assert told == {
        "type": "InboundMessage",
        "attachments": [],
        "body": "Olá",
        "contactId": "cliente_9",
        "contentType": "text/plain",
        "conversationId": "conversa_123",
        "dateAdded": "2024-01-01T10:00:00Z",
        "direction": "inbound",
        "messageType": "WhatsApp",
        "status": "delivered",
        "messageId": "msg_123",
        "userId": None,
    }
    sent = {
        "mensagemId": "email_123",
        "assunto": "Resposta",
        "destinatario": "joao@example.com",
        "enviadoEm": "2024-01-01T10:00:00Z",
    }
    told = body("email.enviado", sent)
    assert (told["type"], told["messageType"], told["direction"]) == (
        "OutboundMessage",
        "Email",
        "outbound",
    )
    assert (told["subject"], told["from"], told["to"]) == ("Resposta", None, ["joao@example.com"])
    assert told["emailMessageId"] == "email_123" and told["threadId"] is None


def test_what_no_app_tells_yet_is_told_by_leadconnectors_own_names() -> None:
    deal = {"id": "n1", "name": "Venda", "monetaryValue": "1234.50", "segredo": "x"}
    told = body("negociacao.criada", deal)
    assert told["type"] == "OpportunityCreate" and told["monetaryValue"] == 1234.5
    assert "segredo" not in told and told["pipelineStageId"] is None
    odd = body("negociacao.criada", {**deal, "monetaryValue": "a combinar"})
    assert odd["monetaryValue"] == "a combinar"
    moved = {"pipelineStageId": {"anterior": "a", "novo": "b"}}
    assert body("negociacao.atualizada", deal, moved)["type"] == "OpportunityStageUpdate"
    assert body("negociacao.atualizada", deal)["type"] == "OpportunityUpdate"
    assert body("negociacao.excluida", deal)["type"] == "OpportunityDelete"
    told = body("compromisso.criado", {"id": "c1", "title": "Visita"})
    assert told["type"] == "AppointmentCreate" and told["appointment"]["title"] == "Visita"
    told = body("fatura.paga", {"_id": "f1", "amountPaid": "10.00", "status": "paid"})
    assert (told["type"], told["_id"], told["amountPaid"]) == ("InvoicePaid", "f1", 10)
    assert told["altType"] == "location"


def test_what_has_no_equivalent_is_not_told() -> None:
    for type in ("chamado.aberto", "tarefa.atualizada", "whatsapp.conversa.criada"):
        assert not LeadConnector().tells(type)
    assert all(map(LeadConnector().tells, LeadConnector.event_types))


# --- signatures ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pairs() -> dict[str, tuple[Key, Key]]:
    """Of each algorithm, a newer and an older key."""
    return {
        algorithm: (
            Key.parse(algorithm, signing.generate_secret(algorithm)),
            Key.parse(algorithm, signing.generate_secret(algorithm)),
        )
        for algorithm in LeadConnector.algorithms
    }


def verified(pem: str | None, signature: str, content: bytes) -> bool:
    """By `cryptography` alone."""
    public = load_pem_public_key((pem or "").encode())
    raw = base64.b64decode(signature, validate=True)
    try:
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(raw, content, padding.PKCS1v15(), SHA256())
        else:
            assert isinstance(public, ed25519.Ed25519PublicKey)
            public.verify(raw, content)
    except InvalidSignature:
        return False
    return True


def test_both_signatures_are_of_the_exact_body(pairs: dict[str, tuple[Key, Key]]) -> None:
    format, message = LeadConnector(), a_message("cliente.criado", CLIENT)
    content = format.body(message).encode()
    keys = [new for new, _old in pairs.values()]
    headers = format.headers(message, content, keys)
    assert list(headers) == ["webhook-id", "x-wh-signature", "X-GHL-Signature"]
    for key, name in zip(keys, ("x-wh-signature", "X-GHL-Signature"), strict=True):
        assert verified(format.public_key(key), headers[name], content)
        assert not verified(format.public_key(key), headers[name], content + b" ")


def test_during_a_rotation_the_old_keys_sign(pairs: dict[str, tuple[Key, Key]]) -> None:
    """A receiver has one public key, and that is the old one until it is given the new one."""
    format, message = LeadConnector(), a_message("cliente.criado", CLIENT)
    newest_first = [new for new, _old in pairs.values()] + [old for _new, old in pairs.values()]
    headers = format.headers(message, b"{}", newest_first)
    for (new, old), name in zip(pairs.values(), ("x-wh-signature", "X-GHL-Signature"), strict=True):
        assert verified(format.public_key(old), headers[name], b"{}")
        assert not verified(format.public_key(new), headers[name], b"{}")


# --- through the worker -------------------------------------------------------------------------


def subscribe(url: str, *types: str, **more: Any) -> Webhook:
    webhook, secret = operations.create_webhook(
        name="Marketek",
        url=url,
        events=types,
        format="lead-connector",
        **{"format_options": {"locationId": "loc_1"}, **more},
    )
    assert secret == ""
    return webhook


@pytest.mark.django_db(transaction=True)
def test_every_event_of_this_crm_arrives_signed() -> None:
    with Receiver() as receiver:
        webhook = subscribe(receiver.url, "*")
        client = make_cliente(telefone="+5511999999999")
        client.nao_perturbe = True
        client.save()
        make_tarefa(cliente=client).concluir()
        ticket = make_chamado(cliente=client)
        Resposta.objects.create(chamado=ticket, mensagem="Oi", usuario=make_user())
        deliver_all()
        requests = receiver.requests
    told = {each.json()["type"]: each.json() for each in requests}
    assert sorted(told) == [
        *("ContactCreate", "ContactDndUpdate", "NoteCreate", "TaskComplete", "TaskCreate")
    ]
    assert told["ContactCreate"]["phone"] == "+5511999999999"
    assert (
        told["TaskCreate"]["contactId"] == told["NoteCreate"]["contactId"] == f"cliente_{client.pk}"
    )
    assert {each["locationId"] for each in told.values()} == {"loc_1"}
    public = operations.public_keys(webhook)
    for each in requests:
        assert verified(public["rsa-sha256"], each.headers["x-wh-signature"], each.body)
        assert verified(public["ed25519"], each.headers["X-GHL-Signature"], each.body)
        assert each.json()["webhookId"].replace("-", "") == each.id.removeprefix("evt_")


@pytest.mark.django_db(transaction=True)
def test_a_retry_has_a_moment_and_signatures_of_its_own_and_the_same_id() -> None:
    with Receiver() as receiver:
        webhook = subscribe(receiver.url, "cliente.criado", retry_schedule=[0, 0])
        receiver.script(Answer(status=500))
        make_cliente()
        deliver_all()
        first, second = receiver.requests
    assert first.json()["timestamp"] < second.json()["timestamp"]
    assert first.json()["webhookId"] == second.json()["webhookId"]
    public = list(operations.public_keys(webhook).values())
    for request in (first, second):
        assert all(each.valid for each in signing_verdicts(public, request))
    assert first.headers["x-wh-signature"] != second.headers["x-wh-signature"]


def signing_verdicts(public: list[str], request: Any) -> Any:
    from webhooks.received import verify

    verdicts = verify(public, request.headers, request.body, now=time.time())
    assert sorted(each.header for each in verdicts) == ["X-GHL-Signature", "x-wh-signature"]
    return verdicts


@pytest.mark.django_db(transaction=True)
def test_a_rotation_renews_both_keys_and_the_old_ones_sign_until_it_is_over() -> None:
    with Receiver() as receiver:
        webhook = subscribe(receiver.url, "cliente.criado")
        before = operations.public_keys(webhook)
        assert operations.rotate_secret(webhook, overlap_seconds=3600) == ""
        after = operations.public_keys(webhook)
        assert not set(before.values()) & set(after.values())
        assert webhook.signing_keys.count() == 4
        for public in (before, after):
            receiver.clear()
            make_cliente()
            deliver_all()
            [request] = receiver.requests
            assert all(each.valid for each in signing_verdicts(list(public.values()), request))
            operations.expire_old_keys(webhook)  # the receiver has the new ones


@pytest.mark.django_db(transaction=True)
def test_a_test_event_arrives_too() -> None:
    with Receiver() as receiver:
        webhook = subscribe(receiver.url, "fatura.paga")
        receiver.secrets = tuple(operations.public_keys(webhook).values())
        assert operations.send_test(webhook).succeeded
        [request] = receiver.requests
    assert request.verified
    assert request.json()["type"] == "webhook.teste"
    assert request.json()["webhookId"].replace("-", "") == request.id.removeprefix("evt_")


@pytest.mark.django_db(transaction=True)
def test_what_an_app_declares_later_is_told_then(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as receiver:
        subscribe(receiver.url, "fatura.paga")
        monkeypatch.setattr(catalog, "_types", dict(catalog._types))
        events.declare(
            "fatura.paga", description="", area="", data_schema={"type": "object"}, example={}
        )
        events.emit("fatura.paga", data={"_id": "f1", "amountPaid": "10.50"})
        deliver_all()
        [request] = receiver.requests
    assert request.json()["amountPaid"] == 10.5


# --- keys ---------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_keys_are_parsed_once_per_process(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    real = Key.parse.__func__  # type: ignore[attr-defined]

    def parse(cls: type[Key], algorithm: str, *args: Any, **more: Any) -> Key:
        parsed.append(algorithm)
        found: Key = real(cls, algorithm, *args, **more)
        return found

    webhook = subscribe("http://127.0.0.1:9/", "*")
    monkeypatch.setattr(Key, "parse", classmethod(parse))
    directory, now = Directory("default"), dt.datetime.now(dt.UTC)
    first = None
    for name in ("a", "b", "c"):  # each time the webhook is read anew
        webhook.name = name
        webhook.save()
        directory.refresh()
        receiver = directory.get(webhook.pk)
        assert receiver is not None and receiver is not first
        first = receiver
        for _ in range(3):
            assert len(receiver.keys(now)) == 2
    assert sorted(parsed) == ["ed25519", "rsa-sha256"]
    operations.rotate_secret(webhook, algorithm="ed25519", overlap_seconds=60)
    parsed.clear()
    directory.refresh()
    receiver = directory.get(webhook.pk)
    assert receiver is not None and len(receiver.keys(now)) == 3
    assert parsed == ["ed25519"]  # the new one


@pytest.mark.django_db(transaction=True)
def test_private_keys_move_to_another_encryption_key_and_sign_as_before(settings: Any) -> None:
    with Receiver() as receiver:
        webhook = subscribe(receiver.url, "cliente.criado")
        public = list(operations.public_keys(webhook).values())
        new, old = Fernet.generate_key().decode(), settings.WEBHOOKS["ENCRYPTION_KEYS"]
        settings.WEBHOOKS = {**settings.WEBHOOKS, "ENCRYPTION_KEYS": [new, *old]}
        call_command("webhooks_rotate_keys", verbosity=0)
        settings.WEBHOOKS = {**settings.WEBHOOKS, "ENCRYPTION_KEYS": [new]}
        make_cliente()
        deliver_all()
        [request] = receiver.requests
    assert all(each.valid for each in signing_verdicts(public, request))


@pytest.mark.django_db
def test_one_kind_of_key_may_be_rotated_alone() -> None:
    webhook = subscribe("http://127.0.0.1:9/", "*")
    before = operations.public_keys(webhook)
    operations.rotate_secret(webhook, algorithm="rsa-sha256", overlap_seconds=0)
    after = operations.public_keys(webhook)
    assert after["ed25519"] == before["ed25519"]
    assert after["rsa-sha256"] != before["rsa-sha256"]
    assert webhook.signing_keys.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"secret": "um segredo só meu"}, "secret"),
        ({"algorithm": "ed25519"}, "algorithm"),
        ({"algorithm": "hmac-sha256"}, "algorithm"),
    ],
)
def test_no_key_of_ones_own_and_no_half_of_them(given: dict[str, str], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        subscribe("http://127.0.0.1:9/", "*", **given)
    assert list(caught.value.message_dict) == [field]
    assert not Webhook.objects.exists()


@pytest.mark.django_db
def test_a_webhook_that_changes_to_the_format_is_given_its_keys() -> None:
    webhook, _secret = operations.create_webhook(
        name="ERP", url="http://127.0.0.1:9/", events=["*"]
    )
    operations.update_webhook(webhook, format="lead-connector")
    webhook.refresh_from_db()
    assert list(operations.public_keys(webhook)) == ["rsa-sha256", "ed25519"]
    directory = Directory("default")
    directory.refresh()
    receiver = directory.get(webhook.pk)
    assert receiver is not None
    # The old format's secret stays for the way back, and signs nothing meanwhile.
    kinds = {key.algorithm for key in receiver.keys(dt.datetime.now(dt.UTC))}
    assert kinds == {"ed25519", "rsa-sha256"}
    assert webhook.signing_keys.count() == 3
