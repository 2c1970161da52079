"""Patches are applied and undone, and wait for modules that are not imported yet."""

import sys

import pytest
import wrapt
from opentelemetry.instrumentation.utils import unwrap

from lmspan.patching import Patches


class Owner:
    def method(self):
        return "original"


def louder(wrapped, _, args, kwargs):
    return wrapped(*args, **kwargs) + "!"


@pytest.fixture
def later(tmp_path, monkeypatch):
    """A module that can be imported, once."""
    name = f"later_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text("def ask():\n    return 'original'\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_restore_sets_the_very_object_and_leaves_a_later_patch_of_another_package():
    original = Owner.__dict__["method"]
    patches = Patches()
    assert patches.wrap(Owner, "method", louder)
    assert Owner().method() == "original!"
    patches.restore()
    assert Owner.__dict__["method"] is original

    patches.wrap(Owner, "method", louder)
    ours = Owner.__dict__["method"]
    Owner.method = lambda self: ours.__get__(self)() + "?"
    try:
        patches.restore()
        assert Owner().method() == "original?"
    finally:
        Owner.method = original


def test_a_patch_that_stays_below_another_one_does_not_come_back_with_the_next_one():
    original = Owner.__dict__["method"]
    first, second = Patches(), Patches()
    try:
        for _ in range(3):
            first.wrap(Owner, "method", louder)
            second.wrap(Owner, "method", louder)
            first.restore()  # below the second one, so that it stays
            second.restore()
        assert Owner().method() == "original"
        first.wrap(Owner, "method", louder)
        assert Owner().method() == "original!"
    finally:
        first.restore()
        Owner.method = original


def test_a_missing_attribute_is_not_patched():
    assert Patches().wrap(Owner, "nothing", louder) is False


def test_a_module_is_patched_once_at_its_import_however_often_its_patch_was_added_and_restored(later):
    patches = Patches()
    for _ in range(3):
        patches.when_imported(later, lambda module: patches.wrap(module, "ask", louder))
        patches.restore()
    patches.when_imported(later, lambda module: patches.wrap(module, "ask", louder))
    assert __import__(later).ask() == "original!"
    patches.restore()
    assert sys.modules[later].ask() == "original"
    patches.when_imported(later, lambda module: patches.wrap(module, "ask", louder))
    assert sys.modules[later].ask() == "original!"
    patches.restore()


def test_a_module_that_is_imported_after_restore_is_left_alone(later):
    patches = Patches()
    patches.when_imported(later, lambda module: patches.wrap(module, "ask", louder))
    patches.restore()
    assert __import__(later).ask() == "original"


def test_a_value_without_an_original_is_removed():
    patches = Patches()
    patches.replace(Owner, "extra", 1)
    assert Owner.extra == 1
    patches.restore()
    assert not hasattr(Owner, "extra")


def test_a_wrapper_that_was_below_another_goes_when_the_other_has_gone():
    """OpenTelemetry's `unwrap` puts what it finds on the class below its wrapper: our wrapper, bound."""

    class Client:
        def ask(self):
            return "original"

    original = vars(Client)["ask"]
    for _ in range(3):
        patches = Patches()
        patches.wrap(Client, "ask", louder)
        wrapt.wrap_function_wrapper(Client, "ask", lambda wrapped, _, args, kwargs: wrapped(*args, **kwargs))
        assert Client().ask() == "original!"
        unwrap(Client, "ask")
        assert Client().ask() == "original!"
        patches.restore()
        assert vars(Client)["ask"] is original
