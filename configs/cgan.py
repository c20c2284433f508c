"""Class-conditional GAN (Mirza and Osindero 2014; Miyato and Koyama 2018).

    python main.py --config=configs/cgan.py --config.eval.classifier=runs/classifier-digits
    python main.py --mode=sample --workdir=runs/cgan-digits --labels=0,1,2

The discriminator is the projection discriminator of Miyato and Koyama.

Results on the digits over 3 seeds (mean +- standard deviation; the value for real data in
brackets). The features are those of the classifier in runs/classifier-digits, a run of
`configs/classifier.py`. In this feature space, 223 samples are compared with 223 test digits:
Frechet distance 11.0 +- 0.2 (7.1), coverage 0.79 +- 0.01 (0.96). A classifier trained on samples
recognizes 92.1 +- 1.4 % of the test digits (trained on real digits: 94.4 %). Takes about 20 seconds
on two CPU cores.
"""

from ml_collections import ConfigDict

from configs import dcgan

build = dcgan.build


def get_config(argument: str | None = None) -> ConfigDict:
    """Returns the `DATA[,debug]` config; DATA is any source of labelled images or signals."""
    config = dcgan.get_config(argument)
    # use of the class by the discriminator: projection | embedding
    config.model.conditioning = 'projection'
    return config
