import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from clientes import phones


@pytest.mark.parametrize(
    ("written", "kept", "shown"),
    [
        ("(11) 99999-9999", "+5511999999999", "(11) 99999-9999"),
        ("11999999999", "+5511999999999", "(11) 99999-9999"),
        ("011 99999.9999", "+5511999999999", "(11) 99999-9999"),
        ("+55 11 99999-9999", "+5511999999999", "(11) 99999-9999"),
        ("5511999999999", "+5511999999999", "(11) 99999-9999"),
        ("  (11) 3333-4444 ", "+551133334444", "(11) 3333-4444"),
        ("0800 777 1234", "+558007771234", "0800 777 1234"),
        ("+1 (415) 555-2671", "+14155552671", "+1 415-555-2671"),
        ("+351 912 345 678", "+351912345678", "+351 912 345 678"),
        ("", "", ""),
        ("   ", "", ""),
    ],
)
def test_a_number_is_kept_as_e164_and_shown_as_people_write_it(written, kept, shown):
    assert phones.normalize(written) == kept
    assert phones.normalize(kept) == kept
    assert phones.formatted(kept) == shown


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("99999-9999", "area code"),
        ("123", "area code"),
        ("(11) 88888-8888", "the 9 that mobile numbers begin with"),
        ("(00) 99999-9999", "area code"),
        ("(11) 99999-9999 ramal 12", "extension belongs in the notes"),
        ("0800-FLORES", "digits, spaces"),
        ("joao@example.com", "digits, spaces"),
        ("+", "digits, spaces"),
        ("+999 123 456 789", "+999 123 456 789"),
        ("1" * 300, "too long"),
        ("١١٩٩٩٩٩٩٩٩٩", "digits, spaces"),
    ],
)
def test_what_is_no_number_is_refused_in_words(written, says):
    with pytest.raises(ValidationError) as refusal:
        phones.normalize(written)
    assert says in refusal.value.messages[0]
    assert len(refusal.value.messages[0]) < 300


def test_old_numbers_of_a_possible_length_can_be_kept():
    assert phones.normalize("(11) 88888-8888", strict=False) == "+5511888888888"
    assert phones.formatted("+5511888888888") == "(11) 88888-8888"
    with pytest.raises(ValidationError):
        phones.normalize("não tem", strict=False)


@given(st.sampled_from([11, 21, 31, 48, 61, 71, 92]), st.integers(0, 99_999_999), st.data())
def test_punctuation_makes_no_difference(area, subscriber, data):
    national = f"{area}9{subscriber:08d}"
    kept = f"+55{national}"
    marks = data.draw(st.lists(st.sampled_from(["", " ", "-", "."]), min_size=11, max_size=11))
    assert phones.normalize("".join(map("".join, zip(national, marks, strict=True)))) == kept
    assert phones.normalize(phones.formatted(kept)) == kept


@given(st.one_of(st.text(), st.text("0123456789+()-. ")))
def test_any_text_is_a_number_or_refused(text):
    for strict in (True, False):
        try:
            kept = phones.normalize(text, strict=strict)
        except ValidationError:
            continue
        assert kept == "" or (kept[0] == "+" and kept[1:].isdigit() and len(kept) <= 16)
    assert isinstance(phones.formatted(text), str)
