from pathlib import Path

import polib
import pytest
from django.utils import translation

from crm_common.models import InvalidTransition
from tarefas.models import Tarefa

BASE = Path(__file__).parents[2]


def _texts(catalog):
    return {(entry.msgctxt, entry.msgid): (entry.msgstr, entry.msgstr_plural) for entry in catalog}


@pytest.mark.parametrize(
    "app", ["webhooks", "crm_project", "crm_common", "clientes", "tarefas", "chamados"]
)
def test_every_text_is_translated_and_compiled(app):
    path = BASE / app / "locale/pt_BR/LC_MESSAGES/django.po"
    source = polib.pofile(path)
    assert [entry.msgid for entry in source if not entry.translated() or entry.fuzzy] == []
    assert _texts(polib.mofile(path.with_suffix(".mo"))) == _texts(source)


def test_no_two_apps_translate_the_same_text_differently():
    """Where all are installed, the first of them would speak for the others."""
    said = {}
    for path in sorted(BASE.glob("*/locale/pt_BR/LC_MESSAGES/django.po")):
        for text, translated in _texts(polib.pofile(path)).items():
            said.setdefault(text, {})[translated[0] or str(translated[1])] = path.parts[-5]
    assert {text: each for text, each in said.items() if text[1] and len(each) > 1} == {}


def test_people_are_told_in_portuguese_and_integrators_find_the_values():
    with translation.override("pt-br"):
        refusal = InvalidTransition(Tarefa(), "CONCLUIDA", "PENDENTE")
        assert refusal.messages == [
            "De Concluída (CONCLUIDA) não se passa a Pendente (PENDENTE). "
            "Pode passar a: Em andamento (EM_ANDAMENTO)."
        ]
