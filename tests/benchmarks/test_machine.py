"""What a measurement says of its machine."""

import platform

from benchmarks import machine


def test_a_processor_is_named_with_family_and_model(tmp_path):
    path = tmp_path / 'cpuinfo'
    path.write_text(
        'processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: A Processor\n\n'
        'processor\t: 1\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: Another\n'
    )
    assert machine.processor(path) == 'A Processor, family 25, model 17'
    path.write_text('processor\t: 0\nmodel name\t: A Processor\n')
    assert machine.processor(path) == 'A Processor'
    for text in ('', 'processor\t: 0\nFeatures\t: fp asimd\n'):
        path.write_text(text)
        assert machine.processor(path) == platform.machine()
    assert machine.processor(tmp_path / 'none') == platform.machine()


def test_a_description_has_what_a_stored_number_is_read_with():
    described = machine.described()
    assert {'kind', 'device', 'processor', 'cores', 'commit', 'jax'} <= described.keys()
    assert described['processor'] == machine.processor() and described['cores'] > 0
