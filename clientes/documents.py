"""CPF and CNPJ, the alphanumeric CNPJ of July 2026 included (pure).

Kept normalized (`52998224725`, `12ABC34501DE35`), shown as people write them.
"""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from stdnum.br import cnpj, cpf
from stdnum.exceptions import ValidationError as NotADocument

_SEPARATORS = re.compile(r"[\s.\-/]")
_CPF = re.compile(r"[0-9]{11}")
# Only the two check digits are sure to be digits (RFB, Instrução Normativa 2.229/2024).
_CNPJ = re.compile(r"[0-9A-Z]{12}[0-9]{2}")


def normalize(text: str) -> str:
    """The document without punctuation, in capitals; "" for an empty one.

    Raises ValidationError saying what is wrong with it.
    """
    document = _SEPARATORS.sub("", text).upper()
    if not document:
        return ""
    if _CPF.fullmatch(document):
        # The check digits of 111.111.111-11 are right, and it is nobody's.
        valid = len(set(document)) > 1 and _passes(cpf.validate, document)
        kind = "CPF"
    elif _CNPJ.fullmatch(document):
        valid = _passes(cnpj.validate, document)
        kind = "CNPJ"
    else:
        raise ValidationError(
            _(
                "“%(value)s” is neither a CPF (11 digits) nor a CNPJ "
                "(14 characters, the last two of them digits)."
            ),
            code="invalid_document",
            params={"value": text[:40]},
        )
    if not valid:
        raise ValidationError(
            _("“%(value)s” is not a valid %(kind)s: its check digits do not match."),
            code="invalid_check_digits",
            params={"value": text[:40], "kind": kind},
        )
    return document


def formatted(document: str) -> str:
    """`529.982.247-25`, `12.ABC.345/01DE-35`; anything that is not normalized, as it is."""
    if _CPF.fullmatch(document):
        return str(cpf.format(document))
    if _CNPJ.fullmatch(document):
        return str(cnpj.format(document))
    return document


def _passes(validate: object, document: str) -> bool:
    try:
        validate(document)  # type: ignore[operator]
    except NotADocument:
        return False
    return True
