"""Ways to run the steps of a training, which `benchmarks.launch_variants` compares."""

from typing import NamedTuple

AS_IT_IS = 'as it is'
WHILE = '--xla_gpu_enable_command_buffer=+WHILE'
SMALL = '--xla_gpu_graph_min_graph_size=1'


class Variant(NamedTuple):
    """A way to run a training.

    settings: of `launch_arms.make`.
    xla: flags of XLA, for a GPU only.
    """

    settings: dict = {}
    xla: tuple[str, ...] = ()

    @property
    def needs_gpu(self) -> bool:
        """Whether it changes nothing elsewhere."""
        return bool(self.xla) or 'command_buffers' in self.settings


VARIANTS = {
    AS_IT_IS: Variant(),
    'unroll 2': Variant(dict(unroll=2)),
    'unroll 10': Variant(dict(unroll=10)),
    'flat update': Variant(dict(is_flat=True)),
    'flat update and unroll 10': Variant(dict(is_flat=True, unroll=10)),
    'no command buffers': Variant(xla=('--xla_gpu_enable_command_buffer=',)),
    'small command buffers': Variant(xla=(SMALL,)),
    'command buffers with WHILE': Variant(xla=(WHILE, SMALL)),
    'command_buffers=scan': Variant(dict(command_buffers='scan')),
    'command_buffers=unrolled': Variant(dict(command_buffers='unrolled')),
    'sums in any order': Variant(xla=('--xla_gpu_exclude_nondeterministic_ops=false',)),
    'loops buffered twice': Variant(xla=('--xla_gpu_enable_while_loop_double_buffering=true',)),
    'flat update in command buffers with WHILE': Variant(dict(is_flat=True), (WHILE, SMALL)),
}
