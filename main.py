"""Train, evaluate and use a generative model.

python main.py --config=configs/vae.py
python main.py --config=configs/vae.py:digits,debug --config.hypers.beta=2 --workdir=runs/beta
python main.py --mode=evaluate --workdir=runs/vae-digits
python main.py --config=configs/vae.py --mode=sweep --sweep=hypers.beta=0.5,1,2,4 --sweep=seed=0:8
"""

from atelier.cli import console

if __name__ == '__main__':
    console()
