"""The code on the secret's page does verify what this system sends, in every language."""

from __future__ import annotations

import base64
import datetime as dt
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.webhooks.makers import receiver
from webhooks import signing
from webhooks.admin.snippets import Snippet, public_snippets, snippets

BODY = '{"event":"cliente.criado","data":{"nome":"João"}}'.encode()
SECRETS = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a secret of one's own")
PRIVATE = signing.generate_secret("ed25519")
# Of a webhook that signs with two pairs, by algorithm.
PAIRS = {each: signing.generate_secret(each) for each in ("rsa-sha256", "ed25519")}
CASES = {
    # what is changed of a good request: whether it is still good
    "good": True,
    "rotated": True,
    "body": False,
    "signature": False,
    "old": False,
    "headers": False,
}


def request(secret: str, case: str) -> tuple[dict[str, str], bytes]:
    key = signing.Key.parse("ed25519" if secret.startswith("whsk_") else "hmac-sha256", secret)
    now = int(time.time()) - (301 if case == "old" else 0)
    signature = signing.standard_signature([key], "evt_1", now, BODY)
    if case == "rotated":
        signature = "v1,AAAA v1a,AAAA " + signature
    if case == "signature":
        version, _, text = signature.partition(",")
        forged = bytearray(base64.b64decode(text))
        forged[0] ^= 1
        signature = f"{version},{base64.b64encode(forged).decode()}"
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(now),
        "webhook-signature": signature,
    }
    return ({} if case == "headers" else headers), (b"{}" if case == "body" else BODY)


def request_of_pairs(case: str) -> tuple[dict[str, str], bytes]:
    """As LeadConnector signs: the body alone, which has the moment."""
    ago = dt.timedelta(seconds=301 if case == "old" else 0)
    moment = (dt.datetime.now(dt.UTC) - ago).isoformat(timespec="milliseconds")
    body = f'{{"type":"ContactCreate","timestamp":"{moment[:-6]}Z","name":"João"}}'.encode()
    headers = {
        signing.BODY_HEADERS[algorithm].lower(): signing.body_signature(
            signing.Key.parse(algorithm, secret), body
        )
        for algorithm, secret in PAIRS.items()
    }
    if case in headers:  # one of the two is forged
        forged = bytearray(base64.b64decode(headers[case]))
        forged[-1] ^= 1
        headers[case] = base64.b64encode(forged).decode()
    return ({} if case == "headers" else headers), (b"{}" if case == "body" else body)


CASES_OF_PAIRS = {
    "good": True,
    "body": False,
    "x-wh-signature": False,
    "x-ghl-signature": False,
    "old": False,
    "headers": False,
}


def request_of_twenty(secret: str, case: str) -> tuple[dict[str, str], bytes]:
    ago = 301 if case == "old" else 0
    key = signing.Key.parse("hmac-sha256", secret)
    sent = signing.twenty_headers(key, int((time.time() - ago) * 1000), "00" * 16, BODY)
    headers = {name.lower(): value for name, value in sent.items()}
    if case == "signature":
        digit = headers["x-twenty-webhook-signature"][0]
        forged = ("0" if digit != "0" else "1") + headers["x-twenty-webhook-signature"][1:]
        headers["x-twenty-webhook-signature"] = forged
    return ({} if case == "headers" else headers), (b"{}" if case == "body" else BODY)


CASES_OF_TWENTY = {"good": True, "body": False, "signature": False, "old": False, "headers": False}


def given_pairs() -> tuple[dict[str, str], list[Snippet]]:
    public = {
        algorithm: signing.Key.parse(algorithm, secret).public_pem() or ""
        for algorithm, secret in PAIRS.items()
    }
    environment = {
        "WEBHOOK_RSA_PUBLIC_KEY": public["rsa-sha256"],
        "WEBHOOK_ED25519_PUBLIC_KEY": public["ed25519"],
    }
    return environment, public_snippets(public)


def given(secret: str) -> tuple[dict[str, str], list[Snippet]]:
    """What the receiver has in its environment, and the code for it."""
    if not secret.startswith("whsk_"):
        return {"WEBHOOK_SECRET": secret}, snippets(secret)
    public = signing.Key.parse("ed25519", secret).public_text()
    assert public is not None
    return {"WEBHOOK_PUBLIC_KEY": public}, public_snippets({"ed25519": public})


def code(id: str, found: list[Snippet]) -> str:
    return next(snippet.code for snippet in found if snippet.id == id)


CALLS = {
    "python": (
        sys.executable,
        "py",
        "import json, sys\nfor h, b in json.load(sys.stdin): print(int(verify(h, b.encode())))",
    ),
    "node": (
        "node",
        "js",
        "for (const [h, b] of JSON.parse(require('fs').readFileSync(0))) "
        "console.log(Number(verify(h, Buffer.from(b))));",
    ),
    "php": (
        "php",
        "php",
        "foreach (json_decode(stream_get_contents(STDIN)) as [$h, $b]) "
        'echo (int) verify((array) $h, $b), "\\n";',
    ),
}


@pytest.mark.parametrize("secret", (*SECRETS, PRIVATE))
@pytest.mark.parametrize("language", CALLS)
def test_a_snippet_tells_good_requests_from_bad_ones(
    language: str, secret: str, tmp_path: Path
) -> None:
    environment, found = given(secret)
    asked = [request(secret, case) for case in CASES]
    told = judged(language, environment, found, asked, tmp_path)
    assert dict(zip(CASES, told, strict=True)) == CASES


@pytest.mark.parametrize("language", CALLS)
def test_a_snippet_verifies_both_signatures_of_a_body(language: str, tmp_path: Path) -> None:
    environment, found = given_pairs()
    asked = [request_of_pairs(case) for case in CASES_OF_PAIRS]
    told = judged(language, environment, found, asked, tmp_path)
    assert dict(zip(CASES_OF_PAIRS, told, strict=True)) == CASES_OF_PAIRS


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("language", CALLS)
def test_a_snippet_verifies_twentys_signature(language: str, secret: str, tmp_path: Path) -> None:
    found = snippets(secret, "twenty")
    asked = [request_of_twenty(secret, case) for case in CASES_OF_TWENTY]
    told = judged(language, {"WEBHOOK_SECRET": secret}, found, asked, tmp_path)
    assert dict(zip(CASES_OF_TWENTY, told, strict=True)) == CASES_OF_TWENTY


def judged(
    language: str,
    environment: dict[str, str],
    found: list[Snippet],
    asked: list[tuple[dict[str, str], bytes]],
    folder: Path,
) -> list[bool]:
    """What the language's snippet says of each request."""
    program, ending, call = CALLS[language]
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    file = folder / f"verify.{ending}"
    file.write_text(f"{code(language, found)}\n{call}\n")
    words = subprocess.run(
        [program, str(file)],
        input=json.dumps([(headers, body.decode()) for headers, body in asked]),
        env={**environment, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.split()
    return [bool(int(word)) for word in words]


VERIFY = {"sistema-crm": signing.verify_standard, "twenty": signing.verify_twenty}


@pytest.mark.parametrize("format", VERIFY)
@pytest.mark.parametrize("secret", SECRETS)
def test_the_shell_snippet_sends_what_verifies(secret: str, format: str, tmp_path: Path) -> None:
    for program in ("bash", "openssl", "curl"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    script = tmp_path / "send.sh"
    found = snippets(secret, format)
    script.write_text(code("environment", found) + code("curl", found))
    with receiver() as (url, got):
        subprocess.run(
            ["bash", "-eu", str(script)],
            env={"URL": url, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            timeout=60,
            check=True,
        )
    [(headers, body)] = got
    assert VERIFY[format](secret, headers, body, now=time.time())


@pytest.mark.parametrize("case", ["good", "body", "signature"])
def test_the_shell_snippet_verifies_what_was_kept(case: str, tmp_path: Path) -> None:
    headers, body = request(PRIVATE, case)
    _, found = given(PRIVATE)
    done = judged_by_openssl(
        found,
        body,
        tmp_path,
        ID=headers["webhook-id"],
        TIMESTAMP=headers["webhook-timestamp"],
        SIGNATURE=headers["webhook-signature"],
    )
    assert (done.returncode == 0) is CASES[case], done.stderr


@pytest.mark.parametrize("case", ["good", "body", "x-wh-signature", "x-ghl-signature"])
def test_the_shell_snippet_verifies_both_signatures_of_what_was_kept(
    case: str, tmp_path: Path
) -> None:
    headers, body = request_of_pairs(case)
    _, found = given_pairs()
    done = judged_by_openssl(
        found,
        body,
        tmp_path,
        X_WH_SIGNATURE=headers["x-wh-signature"],
        X_GHL_SIGNATURE=headers["x-ghl-signature"],
    )
    assert (done.returncode == 0) is CASES_OF_PAIRS[case], done.stderr


def judged_by_openssl(
    found: list[Snippet], body: bytes, folder: Path, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    for program in ("bash", "openssl"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    (folder / "body.json").write_bytes(body)
    return subprocess.run(
        ["bash", "-eu", "-c", code("environment", found) + code("openssl", found)],
        cwd=folder,
        env={**environment, "TMPDIR": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_the_snippets_hold_no_private_key() -> None:
    shown = "".join(snippet.code for snippet in given(PRIVATE)[1])
    assert PRIVATE not in shown
    shown += "".join(snippet.code for snippet in given_pairs()[1])
    assert "whsk_" not in shown
    assert "PRIVATE" not in shown
