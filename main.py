"""Train, evaluate and use a generative model.

python main.py --config=configs/vae.py
python main.py --config=configs/vae.py:digits,debug --config.hypers.beta=2 --workdir=runs/beta
python main.py --mode=evaluate --workdir=runs/vae-digits
python main.py --config=configs/vae.py --mode=sweep --sweep=hypers.beta=0.5,1,2,4 --sweep=seed=0:8
"""

import os
import sys

from absl import app, flags
from ml_collections import config_flags

from atelier import cli
from atelier.errors import UserError
from atelier.log import log_to_terminal
from atelier.training.stop_signals import StoppedAtOnce

FLAGS = flags.FLAGS
config_flags.DEFINE_config_file('config', None, 'PATH[:DATA][,debug]')
flags.DEFINE_enum('mode', 'train', cli.modes(), 'what to do')
flags.DEFINE_string('workdir', None, "the run's folder; runs/CONFIG-DATA by default")
flags.DEFINE_string('init_from', None, 'a run whose weights a new run starts with')
flags.DEFINE_string('coordinator', '', 'HOST:PORT of the first of several processes')
flags.DEFINE_integer('num_processes', 1, 'with --coordinator')
flags.DEFINE_integer('process_id', 0, 'with --coordinator: the number of this process')
flags.DEFINE_bool('cluster', False, "several processes, as the cluster's environment says")
flags.DEFINE_bool('profile', False, 'with --mode=train: record a dispatch in RUN/profile')
flags.DEFINE_list('runs', [], 'with --mode=compare: folders of runs')
flags.DEFINE_multi_string('sweep', [], 'with --mode=sweep: FIELD=VALUES, an axis')
flags.DEFINE_integer('sweep_random', 0, 'with --mode=sweep: draws of the axes that are ranges')
flags.DEFINE_enum('launcher', '', ['', 'submitit', 'submitit-local'], 'shards as jobs')
flags.DEFINE_integer('launcher_jobs', 1, 'with --launcher: how many')
flags.DEFINE_multi_string('launcher_option', [], "with --launcher: submitit's NAME=VALUE")
flags.DEFINE_string('sweep_shard', '', 'with --mode=sweep: i/n, the i-th of n shards alone')


def main(_):
    """Hands over."""
    cli.perform(FLAGS)


if __name__ == '__main__':
    log_to_terminal()
    try:
        app.run(main, flags_parser=cli.parse)
    except UserError as error:
        try:
            print(f'error: {error}', file=sys.stderr, flush=True)
        finally:
            os._exit(1)  # at exit, writers whose disk is full would each print a traceback
    except StoppedAtOnce as error:
        os._exit(error.code)  # at exit, JAX would wait for other processes
    except KeyboardInterrupt:  # before the loop listens
        os._exit(130)
