"""A hook is refused when it is subscribed, with a reason, or receives the right values: never a silent miss."""

import functools
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmspan.errors import CallbackError
from lmspan.lifecycle import LiveCall, Operation
from lmspan.subscribers.binding import bind
from lmspan.subscribers.hooks import Argument, Moment

ARGUMENTS = (
    Argument("tool_name", lambda _: "NAME"),
    Argument("args", lambda _: "ARGS", ("tool_args",)),
    Argument("process", lambda _: "PROCESS", by_name_only=True),
)
MOMENT = Moment(LiveCall(Operation.TOOL, "t", "test"), "", {})


def call(function):
    return bind(function, ARGUMENTS, "Mine.tool_start")(MOMENT)


class Mine:
    def method(self, tool_name, tool_args):
        return tool_name, tool_args

    @staticmethod
    def static(tool_name):
        return tool_name

    @classmethod
    def klass(cls, args):
        return args

    def __call__(self, tool_name, args):
        return tool_name, args


@functools.wraps(Mine.method)
def wrapped(*given):
    return given


@pytest.mark.parametrize(
    ("function", "received"),
    [
        (lambda tool_name, args: (tool_name, args), ("NAME", "ARGS")),
        (lambda tool_args, tool_name: (tool_args, tool_name), ("ARGS", "NAME")),
        (lambda name, arguments: (name, arguments), ("NAME", "ARGS")),
        (lambda *args: args, ("NAME", "ARGS")),
        (lambda **kwargs: kwargs, {"tool_name": "NAME", "args": "ARGS", "process": "PROCESS"}),
        (lambda x, /, *, process: (x, process), ("NAME", "PROCESS")),
        (lambda x, *rest: (x, rest), ("NAME", ("ARGS",))),
        (lambda x, verbose=7: (x, verbose), ("NAME", 7)),
        (lambda verbose=7, *rest: (verbose, rest), (7, ("NAME", "ARGS"))),
        (lambda process, x="d": (process, x), ("PROCESS", "d")),
        (lambda: "nothing", "nothing"),
        (functools.partial(lambda extra, tool_name: (extra, tool_name), "E"), ("E", "NAME")),
        (Mine().method, ("NAME", "ARGS")),
        (Mine.static, "NAME"),
        (Mine.klass, "ARGS"),
        (Mine(), ("NAME", "ARGS")),
        (max, "NAME"),
    ],
)
def test_what_a_hook_asks_for_it_gets(function, received):
    assert call(function) == received


def test_a_wrapped_function_is_bound_by_the_signature_it_shows():
    with pytest.raises(CallbackError, match="'self' must be given"):
        bind(wrapped, ARGUMENTS[2:], "h")


@pytest.mark.parametrize(
    ("function", "missing"),
    [
        (lambda tool_name, args, more: None, "more"),
        (lambda *, usage: None, "usage"),
        (lambda a, b, c: None, "c"),
    ],
)
def test_what_cannot_be_given_is_refused_with_hook_parameter_and_offer(function, missing):
    with pytest.raises(CallbackError) as refused:
        call(function)
    assert str(refused.value) == (
        f"Mine.tool_start: parameter {missing!r} must be given and nothing fits it; "
        "on offer are: tool_name, args, process"
    )


KINDS = (
    inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD,
)  # fmt: skip
NAMES = ("tool_name", "name", "args", "tool_args", "process", "other", "x")
MEANS = {"tool_name": "NAME", "args": "ARGS", "tool_args": "ARGS", "process": "PROCESS"}


@st.composite
def signatures(draw):
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4))
    kinds = sorted(
        draw(st.lists(st.sampled_from(list(inspect._ParameterKind)), min_size=len(names), max_size=len(names)))
    )
    parameters, defaulted = [], False
    seen = set()
    for name, kind in zip(names, kinds, strict=True):
        variable = kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        if variable and kind in seen:
            continue
        seen.add(kind)
        default = inspect.Parameter.empty
        if not variable and (draw(st.booleans()) or (defaulted and kind is not inspect.Parameter.KEYWORD_ONLY)):
            default, defaulted = "DEFAULT", kind is not inspect.Parameter.KEYWORD_ONLY
        parameters.append(inspect.Parameter(name, kind, default=default))
    return inspect.Signature(parameters)


class Recording:
    """A callable of any signature that gives what it was called with, by parameter."""

    def __init__(self, signature):
        self.__signature__ = signature

    def __call__(self, *args, **kwargs):
        bound = self.__signature__.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments


@given(signatures())
def test_any_signature_is_refused_or_receives_the_right_values(signature):
    try:
        received = call(Recording(signature))
    except CallbackError:
        required = [each for each in signature.parameters.values() if each.default is each.empty]
        assert required
        return
    values = []
    for name, value in received.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            values += value
        elif kind is inspect.Parameter.VAR_KEYWORD:
            assert all(MEANS[key] == each for key, each in value.items())
            values += value.values()
        elif name in MEANS:
            assert value == MEANS[name] or (value == "DEFAULT" and MEANS[name] in values)
            values += [value] if value != "DEFAULT" else []
        elif value != "DEFAULT":
            values.append(value)
    assert len(values) == len(set(values))  # nothing came twice
    assert set(values) <= {"NAME", "ARGS", "PROCESS"}
