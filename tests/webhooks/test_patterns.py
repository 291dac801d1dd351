"""Which types of event a subscription covers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks import patterns
from webhooks.patterns import PatternRefused, Subscription, wants

segments = st.from_regex(r"[a-z0-9_]{1,8}", fullmatch=True)
types = st.lists(segments, min_size=1, max_size=5).map(".".join)


@pytest.mark.parametrize(
    ("pattern", "covered", "others"),
    [
        ("cliente.criado", ["cliente.criado"], ["cliente.criados", "xcliente.criado", "cliente"]),
        (
            "cliente.*",
            ["cliente.criado", "cliente.telefone.mudou"],
            ["cliente", "clientes.criado", "meu.cliente.criado"],
        ),
        (
            "*.criado",
            ["cliente.criado", "whatsapp.mensagem.criado"],
            ["criado", "cliente.criados", "cliente.recriado"],
        ),
        ("*", ["cliente.criado", "a", "a.b.c"], []),
        ("a.*.c", ["a.b.c", "a.b.b.c"], ["a.c", "a.b.d", "b.b.c"]),
        ("conta_nova.*", ["conta_nova.aberta"], ["contaXnova.aberta"]),
    ],
)
def test_a_pattern_covers_whole_segments(pattern, covered, others):
    assert patterns.check(pattern) == pattern
    subscription = Subscription([pattern])
    assert [each for each in covered if subscription.wants(each)] == covered
    assert [each for each in others if subscription.wants(each)] == []


def test_any_of_several_patterns_is_enough_and_none_covers_nothing():
    assert wants(["tarefa.*", "*.criado"], "cliente.criado")
    assert wants(["tarefa.*", "*.criado"], "tarefa.concluida")
    assert not wants(["tarefa.*", "*.criado"], "cliente.excluido")
    assert not wants([], "cliente.criado")


@given(types)
def test_every_type_is_covered_by_itself_by_its_first_by_its_last_and_by_all(name):
    first, last = name.split(".")[0], name.split(".")[-1]
    assert wants([name], name)
    assert wants(["*"], name)
    assert wants([f"{first}.*"], name) == ("." in name)
    assert wants([f"*.{last}"], name) == ("." in name)


@given(types, types)
def test_an_exact_pattern_covers_one_type_only(pattern, name):
    assert wants([pattern], name) == (pattern == name)


few = st.sampled_from(["a", "b"])


@given(
    st.lists(st.one_of(few, st.just("*")), min_size=1, max_size=5),
    st.lists(few, min_size=1, max_size=6),
)
def test_stars_stand_for_one_or_more_segments_wherever_they_are(pattern, segments):
    as_regex = r"\.".join("[ab](?:\\.[ab])*" if each == "*" else each for each in pattern)
    expected = re.fullmatch(as_regex, ".".join(segments)) is not None
    assert wants([".".join(pattern)], ".".join(segments)) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        ".",
        "cliente.",
        ".criado",
        "cliente..criado",
        "cliente.cri*",
        "**",
        "Cliente.criado",
        "cliente criado",
        "cliente.criado\n",
        "ação.criada",
        "cliente.(a|b)",
        "a" * 101,
        None,
        7,
        ["cliente.*"],
    ],
)
def test_what_is_no_pattern_is_refused_in_words_that_name_it(wrong):
    with pytest.raises(PatternRefused) as refused:
        patterns.check(wrong)
    assert repr(wrong) in str(refused.value)


@given(st.text(max_size=30))
def test_whatever_is_accepted_can_be_used(text):
    try:
        pattern = patterns.check(text)
    except PatternRefused:
        return
    Subscription([pattern]).wants("cliente.criado")


def test_a_pattern_of_many_stars_is_decided_at_once():
    pattern = patterns.check(".".join(["*"] * 40 + ["fim"]))
    assert not wants([pattern], ".".join(["a"] * 45))
