"""Messages of the log."""

from atelier.log import counted


def test_a_number_and_its_noun_agree():
    assert [counted(n, 'program') for n in (0, 1, 2)] == ['0 programs', '1 program', '2 programs']
    assert counted(2000, 'member') == '2,000 members'
