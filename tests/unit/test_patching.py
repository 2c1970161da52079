"""Patches are put on, taken away, and wait for what is not imported yet."""

import sys

import pytest

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


def test_restore_puts_back_the_very_object_and_leaves_a_strangers_patch():
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


def test_what_is_not_there_is_not_patched():
    assert Patches().wrap(Owner, "nothing", louder) is False


def test_a_module_is_patched_once_when_it_is_imported_however_often_that_was_asked_and_taken_back(later):
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


def test_what_was_put_where_nothing_was_is_taken_away():
    patches = Patches()
    patches.replace(Owner, "extra", 1)
    assert Owner.extra == 1
    patches.restore()
    assert not hasattr(Owner, "extra")
