import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_common import public_ids


@given(st.integers(min_value=1, max_value=2**63 - 1), st.sampled_from(["cliente", "dept"]))
def test_a_public_id_leads_back_to_its_record(pk, prefix):
    assert public_ids.parse(public_ids.public_id(prefix, pk)) == (prefix, pk)
    assert public_ids.pk_of(public_ids.public_id(prefix, pk), prefix) == pk


@pytest.mark.parametrize(
    "text",
    [
        "", "cliente", "cliente_", "cliente_0", "cliente_01", "cliente_-1", "cliente_1.0",
        "Cliente_1", "cliente_1 ", "cliente_1\n", "cliente_\u0661", "_1", "1", "cliente_1_2",
        f"cliente_{2**63}", "cliente_" + "9" * 5000,
    ],
)  # fmt: skip
def test_nothing_else_is_a_public_id(text):
    assert public_ids.parse(text) is None
    assert public_ids.pk_of(text, "cliente") is None


def test_another_prefix_is_another_kind_of_record():
    assert public_ids.pk_of("tarefa_1", "cliente") is None


def test_an_unsaved_record_has_no_public_id():
    assert public_ids.public_id("cliente", None) == ""
