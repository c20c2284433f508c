"""Docstring examples pass as doctests, and every loss, sampler and bijector has one."""

import doctest
import importlib
import inspect
import pkgutil
import typing

import flax.linen as nn
import jax
import pytest

import losses
import models.diffusion.process
import models.flows
from models.flows.couplings import Elementwise

PACKAGES = (losses, models.diffusion.process, models.flows)
MODULES = {
    info.name: importlib.import_module(info.name)
    for package in PACKAGES
    for info in pkgutil.walk_packages(package.__path__, f'{package.__name__}.')
}


def own_members(module):
    """{name: value} of the public functions and classes that `module` defines itself."""
    return {
        name: value
        for name, value in vars(module).items()
        if callable(value)
        and getattr(value, '__module__', None) == module.__name__
        and getattr(value, '__name__', None) == name  # neither instances nor annotations
        and name[0] != '_'
    }


def examples_in(module):
    """Yields the doctests of a module, its public members and their methods."""
    owners = {'': module, **own_members(module)}
    for owner, value in list(owners.items()):
        if inspect.isclass(value):
            methods = {name: method for name, method in vars(value).items() if callable(method)}
            owners |= {f'{owner}.{name}': method for name, method in methods.items()}
    finder = doctest.DocTestFinder(recurse=False, exclude_empty=True)
    for name, value in owners.items():
        if getattr(value, '__module__', module.__name__) == module.__name__:
            full_name = f'{module.__name__}.{name}'.rstrip('.')
            yield from finder.find(value, full_name, module=False, globs=vars(module))


def is_sampler(value):
    return next(iter(inspect.signature(value).parameters), '') == 'denoiser'


def is_bijector(value):
    if inspect.isclass(value):
        return hasattr(value, 'forward_and_log_det')
    maps = typing.get_type_hints(value).get('return') in (nn.Module, Elementwise)
    return maps or value.__name__ in ('forward', 'inverse')


def is_loss(value):
    return not inspect.isclass(value)


def members_that_need_an_example():
    """{full name: module} of all losses, samplers and bijectors, recognized by their signatures."""
    kinds = zip(PACKAGES, (is_loss, is_sampler, is_bijector), strict=True)
    return {
        f'{module.__name__}.{name}': module
        for package, is_kind in kinds
        for module in MODULES.values()
        if module.__name__.startswith(f'{package.__name__}.') and '._' not in module.__name__
        for name, value in own_members(module).items()
        if is_kind(value)
    }


NEEDED = members_that_need_an_example()
EXAMPLES = {name: list(examples_in(module)) for name, module in MODULES.items()}


# These compile for more than a second each; tests of their own module prove the same mathematics.
LONG = (
    *('losses.elbo', 'models.diffusion.process.ode_codes', 'models.diffusion.process.repaint'),
    *('models.diffusion.process.samplers', 'models.flows.bijectors', 'models.flows.couplings'),
)


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=pytest.mark.slow) if name in LONG else name
        for name, tests in EXAMPLES.items()
        if tests
    ],
)
def test_docstring_examples_pass(name):
    report = []
    runner = doctest.DocTestRunner(verbose=False)
    with jax.numpy_dtype_promotion('strict'):
        for example in EXAMPLES[name]:
            runner.run(example, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, ''.join(report)


@pytest.mark.parametrize('name', sorted(NEEDED))
def test_public_functions_have_an_example(name):
    examples = [test for test in EXAMPLES[NEEDED[name].__name__] if test.name == name]
    assert examples and examples[0].examples, f'{name} has no `>>>` example in its docstring'
    assert 'Example:' in examples[0].docstring


@pytest.mark.parametrize(
    'name',
    [
        'losses.elbo.kl_standard_normal',
        'models.diffusion.process.samplers.heun',
        'models.diffusion.process.repaint.repaint',
        'models.flows.bijectors.Reversed',
        'models.flows.couplings.affine',
    ],
)
def test_all_packages_are_searched(name):
    assert name in NEEDED


def test_a_wrong_example_is_found():
    wrong = doctest.DocTestParser().get_doctest('>>> 1 + 1\n3\n', {}, 'wrong', None, 0)
    assert doctest.DocTestRunner(verbose=False).run(wrong, out=lambda text: None).failed == 1
