"""Seed 004, "Python/Flask". Its own are only: secret and port from outside, and the handler that
the seed calls and leaves out."""

import hashlib
import hmac
import os

from flask import Flask, jsonify, request

app = Flask(__name__)

WEBHOOK_SECRET = os.environ["WEBHOOK_SECRET"]


@app.route("/webhook", methods=["POST"])
def webhook():
    # Verificar assinatura
    signature = request.headers.get("X-Webhook-Signature", "")
    payload = request.get_data(as_text=True)

    if not verify_signature(payload, signature, WEBHOOK_SECRET):
        return jsonify({"error": "Assinatura inválida"}), 401

    # Processar evento
    event = request.get_json()

    if event["event"] == "cliente.criado":
        handle_cliente_criado(event["data"])
    elif event["event"] == "tarefa.criada":
        handle_tarefa_criada(event["data"])
    # ... outros eventos

    return jsonify({"success": True})


def verify_signature(payload, signature, secret):
    expected_signature = hmac.new(
        secret.encode("utf-8"), payload.encode("utf-8"), hashlib.sha256
    ).hexdigest()

    return hmac.compare_digest(signature.replace("sha256=", ""), expected_signature)


def handle_cliente_criado(data):
    # Processar criação de cliente
    print(f"Novo cliente criado: {data}")  # noqa: T201


def handle_tarefa_criada(data):
    print(f"Nova tarefa criada: {data}")  # noqa: T201


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "0")))
