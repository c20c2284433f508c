"""GAN of classes (Mirza and Osindero 2014), projection discriminator (Miyato and Koyama 2018).

    python main.py --config=configs/cgan.py --config.eval.classifier=runs/classifier-digits
    python main.py --mode=sample --workdir=runs/cgan-digits --labels=0,1,2

TODO
"""

from ml_collections import ConfigDict

from configs import dcgan

build = dcgan.build


def get_config(argument: str | None = None) -> ConfigDict:
    """`configs/cgan.py:DATA[,debug]`, DATA any source of labelled images or signals."""
    config = dcgan.get_config(argument)
    config.model.conditioning = 'projection'  # projection | embedding, of the discriminator
    return config
