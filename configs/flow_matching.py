"""Flow matching (Lipman et al. 2023; Liu et al. 2023): straight paths from noise to 8x8 digits.

    python main.py --config=configs/flow_matching.py

The diffusion model of `configs/diffusion.py` with another process, prediction and sampler. With its
network of today not measured yet. About two and a half minutes on two CPU cores.
"""

from ml_collections import ConfigDict

from configs import diffusion

build = diffusion.build


def get_config(argument: str | None = None) -> ConfigDict:
    """`configs/flow_matching.py:DATA[,debug]`, DATA any source: digits, mnist, grid, arrays, ..."""
    config = diffusion.get_config(argument).unlock()
    config.model.update(schedule='straight', prediction='velocity')
    config.eval.sampler.name = 'euler'
    return config.lock()
