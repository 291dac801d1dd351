import string

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from clientes import documents


@pytest.mark.parametrize(
    ("written", "kept", "shown"),
    [
        ("529.982.247-25", "52998224725", "529.982.247-25"),
        (" 52998224725 ", "52998224725", "529.982.247-25"),
        ("11.222.333/0001-81", "11222333000181", "11.222.333/0001-81"),
        # The example of the Receita Federal's own guide to the alphanumeric CNPJ.
        ("12.ABC.345/01DE-35", "12ABC34501DE35", "12.ABC.345/01DE-35"),
        ("12.abc.345/01de-35", "12ABC34501DE35", "12.ABC.345/01DE-35"),
        ("", "", ""),
        (" . ", "", ""),
    ],
)
def test_a_document_is_kept_without_punctuation_and_shown_with_it(written, kept, shown):
    assert documents.normalize(written) == kept
    assert documents.normalize(kept) == kept
    assert documents.formatted(kept) == shown


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("529.982.247-26", "“529.982.247-26” is not a valid CPF"),
        ("111.111.111-11", "“111.111.111-11” is not a valid CPF"),
        ("000.000.000-00", "is not a valid CPF"),
        ("11.222.333/0001-82", "is not a valid CNPJ"),
        ("00.000.000/0000-00", "is not a valid CNPJ"),
        ("12.ABC.345/01DE-36", "is not a valid CNPJ"),
        ("12.ABC.345/01DE-3A", "neither a CPF (11 digits) nor a CNPJ"),
        ("5299822472", "neither"),
        ("529982247255", "neither"),
        ("٥٢٩٩٨٢٢٤٧٢٥", "neither"),
        ("12.ÁBC.345/01DE-35", "neither"),
        ("x" * 5000, "neither"),
    ],
)
def test_what_is_no_document_is_refused_in_words(written, says):
    with pytest.raises(ValidationError) as refusal:
        documents.normalize(written)
    assert says in refusal.value.messages[0]
    assert len(refusal.value.messages[0]) < 200


def _check_digit(characters: str) -> str:
    """The rule as the Receita Federal writes it: ASCII less 48, weights 2 to 9 from the right."""
    total = sum(
        (ord(character) - 48) * (2 + place % 8)
        for place, character in enumerate(reversed(characters))
    )
    return str(0 if total % 11 < 2 else 11 - total % 11)


@given(st.text(string.ascii_uppercase + string.digits, min_size=12, max_size=12))
def test_every_cnpj_with_the_right_check_digits_is_accepted(base):
    number = base + _check_digit(base)
    number += _check_digit(number)
    if base == "0" * 12:
        return
    assert documents.normalize(number) == number
    assert documents.normalize(documents.formatted(number).lower()) == number
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    with pytest.raises(ValidationError):
        documents.normalize(wrong)


@given(st.text())
def test_any_text_is_a_document_or_refused(text):
    try:
        kept = documents.normalize(text)
    except ValidationError:
        return
    assert kept == "" or len(kept) in (11, 14)
