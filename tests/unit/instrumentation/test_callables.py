"""Everything that a decorator can be put on: it stays what it is, gives the same, and is one span a call."""

import asyncio
import copy
import functools
import gc
import inspect
import operator
import pickle
import traceback
import types

import cloudpickle
import pytest

import lmspan
from lmspan import semconv as sc
from lmspan.errors import ConfigurationError
from lmspan.testing import recording

DECORATORS = ["module", "agent", "tool", "lm", "turn", "evaluate", "optimize"]


def work(x):
    if isinstance(x, BaseException):
        raise x
    return [x]


@pytest.fixture
def recorded():
    with recording(instrument=()) as it:
        yield it


# Kinds: each is given a decorator, and gives what calls the decorated thing once --------------------------------------


def function(decorate):
    @decorate
    def work_on(x):
        """Its text."""
        return work(x)

    return work_on


def coroutine(decorate):
    @decorate
    async def work_on(x):
        await asyncio.sleep(0)
        return work(x)

    return work_on


def generator(decorate):
    @decorate
    def work_on(x):
        yield work(x)
        yield 2

    return work_on


def async_generator(decorate):
    @decorate
    async def work_on(x):
        yield work(x)
        yield 2

    return work_on


def generator_coroutine(decorate):
    @decorate
    @types.coroutine
    def work_on(x):
        yield
        return work(x)

    return work_on


def returns_a_coroutine(decorate):
    async def later(x):
        await asyncio.sleep(0)
        return work(x)

    @decorate
    def work_on(x):
        return later(x)

    return work_on


def returns_a_generator(decorate):
    def later(x):
        yield work(x)
        yield 2

    return decorate(lambda x: later(x))


def returns_an_async_generator(decorate):
    async def later(x):
        yield work(x)
        yield 2

    return decorate(lambda x: later(x))


def returns_a_generator_coroutine(decorate):
    @types.coroutine
    def later(x):
        yield
        return work(x)

    return decorate(lambda x: later(x))


def method(decorate):
    class Desk:
        @decorate
        def work_on(self, x):
            return work(x)

    return Desk().work_on


def above_a_classmethod(decorate):
    class Desk:
        @decorate
        @classmethod
        def work_on(cls, x):
            assert cls is Desk
            return work(x)

    return Desk.work_on


def below_a_classmethod(decorate):
    class Desk:
        @classmethod
        @decorate
        def work_on(cls, x):
            assert cls is Desk
            return work(x)

    return Desk().work_on


def above_an_async_classmethod(decorate):
    class Desk:
        @decorate
        @classmethod
        async def work_on(cls, x):
            return work(x)

    return Desk.work_on


def above_a_staticmethod(decorate):
    class Desk:
        @decorate
        @staticmethod
        def work_on(x):
            return work(x)

    return Desk().work_on


def below_a_staticmethod(decorate):
    class Desk:
        @staticmethod
        @decorate
        def work_on(x):
            return work(x)

    return Desk.work_on


def above_an_async_staticmethod(decorate):
    class Desk:
        @decorate
        @staticmethod
        async def work_on(x):
            return work(x)

    return Desk().work_on


class Holder:
    def __init__(self, x):
        self.x = x


def above_a_property(decorate):
    class Desk(Holder):
        @decorate
        @property
        def work_on(self):
            return work(self.x)

    return lambda x: Desk(x).work_on


def below_a_property(decorate):
    class Desk(Holder):
        @property
        @decorate
        def work_on(self):
            return work(self.x)

    return lambda x: Desk(x).work_on


def above_a_cached_property(decorate):
    class Desk(Holder):
        @decorate
        @functools.cached_property
        def work_on(self):
            return work(self.x)

    def use(x):
        desk = Desk(x)
        assert desk.work_on is desk.work_on
        return desk.work_on

    return use


def partial(decorate):
    return decorate(functools.partial(lambda y, x: work(x), 1))


def partial_of_a_coroutine(decorate):
    async def work_on(y, *, x):
        return work(x)

    decorated = decorate(functools.partial(work_on, 1))
    return lambda x: decorated(x=x)


def partialmethod(decorate):
    class Desk:
        def both(self, y, x):
            return work(x)

        work_on = decorate(functools.partialmethod(both, 1))

    return Desk().work_on


def singledispatch(decorate):
    @decorate
    @functools.singledispatch
    def work_on(x):
        return work(x)

    @work_on.register
    def _(x: str):
        return [x, x]

    return work_on


def singledispatchmethod(decorate):
    class Desk:
        @decorate
        @functools.singledispatchmethod
        def work_on(self, x):
            return work(x)

        @work_on.register
        def _(self, x: str):
            return [x, x]

    return Desk().work_on


def singledispatchmethod_of_a_class(decorate):
    class Desk:
        @decorate
        @functools.singledispatchmethod
        @classmethod
        def work_on(cls, x):
            return work(x)

        @work_on.register
        @classmethod
        def _(cls, x: str):
            assert cls is Desk
            return [x, x]

    return Desk.work_on


class Callable:
    def __call__(self, x):
        return work(x)


class AsyncCallable:
    async def __call__(self, x):
        await asyncio.sleep(0)
        return work(x)


class GeneratingCallable:
    def __call__(self, x):
        yield work(x)


def callable_object(decorate):
    return decorate(Callable())


def async_callable_object(decorate):
    return decorate(AsyncCallable())


def generating_callable_object(decorate):
    return decorate(GeneratingCallable())


def bound_method(decorate):
    return decorate(Callable().__call__)


def bound_async_method(decorate):
    return decorate(AsyncCallable().__call__)


def lru_cache(decorate):
    return decorate(functools.lru_cache(lambda x: work(x)))


def builtin(decorate):
    return decorate(repr)


def builtin_in_a_class(decorate):
    class Desk:
        work_on = decorate(repr)

    return Desk().work_on


def item_getter(decorate):
    return decorate(operator.itemgetter(0))


KINDS = [
    function, coroutine, generator, async_generator, generator_coroutine, returns_a_coroutine, returns_a_generator,
    returns_an_async_generator, returns_a_generator_coroutine, method, above_a_classmethod, below_a_classmethod,
    above_an_async_classmethod, above_a_staticmethod, below_a_staticmethod, above_an_async_staticmethod,
    above_a_property, below_a_property, above_a_cached_property, partial, partial_of_a_coroutine, partialmethod,
    singledispatch, singledispatchmethod, singledispatchmethod_of_a_class, callable_object, async_callable_object,
    generating_callable_object, bound_method, bound_async_method, lru_cache, builtin, builtin_in_a_class, item_getter,
]  # fmt: skip
ENDS_BEFORE = (builtin, builtin_in_a_class, returns_a_generator_coroutine)
"""What does not fail, and an awaitable that is an output: its operation ends before it is awaited."""


def outcome(call, x):
    """The type of what a call gives, and what that comes to: the values, or the exception itself."""
    try:
        given = call(x)
        return type(given), asyncio.run(exhausted(given))
    except Exception as error:  # noqa: BLE001 - what is compared
        return type(error), error if error is x else str(error)


async def exhausted(given):
    if inspect.isasyncgen(given):
        return [item async for item in given]
    if inspect.isawaitable(given):
        return await given
    return list(given) if inspect.isgenerator(given) else given


@pytest.mark.parametrize("decorator", DECORATORS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_gives_the_same_and_is_one_span_a_call(kind, decorator, recorded):
    plain, decorated = kind(lambda thing: thing), kind(getattr(lmspan, decorator))
    for x in (1, "tea", None, LookupError("no"), LookupError("no")):
        before = len(recorded.spans)
        assert outcome(decorated, x) == outcome(plain, x)
        (span,) = recorded.spans[before:]
        failed = isinstance(x, LookupError) and kind not in ENDS_BEFORE
        failed = failed or (kind is item_getter and x != "tea")
        assert (sc.ERROR_TYPE in span.attributes) is failed
    recorded.assert_conventions()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_looks_the_same_and_has_its_name_on_the_span(kind, recorded):
    things = {}
    for name, decorate in (("plain", lambda thing: thing), ("decorated", lmspan.tool), ("named", lmspan.tool("mine"))):
        kind(lambda thing, name=name, decorate=decorate: things.setdefault(name, decorate(thing)))
    assert looks(things["decorated"]) == looks(things["named"]) == looks(things["plain"])
    outcome(kind(lmspan.tool("mine")), "tea")
    recorded.assert_tree("execute_tool mine")


STREAMS = (generator, async_generator, generator_coroutine, generating_callable_object, returns_a_generator,
           returns_an_async_generator)  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in STREAMS], ids=lambda kind: kind.__name__)
def test_an_exception_passes_without_a_frame_of_ours(kind, recorded):
    """Agents put tracebacks into prompts: a model must be asked the same with and without us."""
    frames = [functions_of(kind(decorate)) for decorate in (lambda thing: thing, lmspan.tool)]
    assert frames[0] == frames[1]


def functions_of(call):
    """The functions in the traceback of a call that fails."""
    try:
        asyncio.run(exhausted(call(LookupError("no"))))
    except Exception as error:  # noqa: BLE001 - an item getter has one of its own
        return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def looks(thing):
    function = getattr(thing, "fget", None) or getattr(thing, "func", None) or thing
    kinds = [inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction, inspect.ismethod]
    described = [getattr(thing, name, None) for name in ("__name__", "__doc__", "__qualname__", "__module__")]
    call = getattr(thing, "__call__", None)  # noqa: B004 - what libraries read a tool's signature from
    seen = [(signature(each), [is_kind(each) for is_kind in kinds]) for each in (function, call)]
    return class_of(thing), class_of(thing).__name__, seen, described


def class_of(thing):
    """Its class; what binds as a function does is a function when it is decorated."""
    return types.FunctionType if isinstance(thing, functools._lru_cache_wrapper) else thing.__class__


def signature(function):
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # of a cached property, and of some built-in ones before Python 3.13
        return None


# How long an operation lasts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("returned", [False, True], ids=["is one", "returns one"])
async def test_what_runs_in_a_coroutine_is_below_the_function_that_returns_it(returned, recorded):
    @lmspan.tool
    async def inner():
        return 1

    async def later():
        return await inner() + 1

    outer = lmspan.agent("outer")((lambda: later()) if returned else later)
    coroutine = outer()
    with lmspan.operation("module", "between"):
        assert await coroutine == 2
    await inner()
    trees = [span.name for span in recorded.roots()]
    assert trees == ["invoke_agent outer", "module between", "execute_tool inner"] if returned else trees[1:]
    assert recorded.one("invoke_agent outer").attributes[sc.MODULE_OUTPUTS] == "2"
    first = recorded.named("execute_tool inner")[0]
    assert first.parent.span_id == recorded.one("invoke_agent outer").context.span_id


def test_what_runs_in_a_generator_is_below_the_function_that_returns_it(recorded):
    @lmspan.tool
    def inner():
        return 1

    def later():
        yield inner()
        yield inner()

    for _ in lmspan.module("outer")(lambda: later())():
        inner()
    recorded.assert_tree("""
        module outer
          execute_tool inner
          execute_tool inner
        execute_tool inner
        execute_tool inner
    """)
    assert recorded.attributes("module outer")[sc.STREAM_CHUNK_COUNT] == 2


@pytest.mark.parametrize("kind", [returns_a_coroutine, returns_a_generator, returns_an_async_generator])
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_what_is_returned_and_dropped_ends_as_abandoned(kind, recorded):
    kind(lmspan.tool("lost"))("tea")
    gc.collect()
    assert recorded.attributes("execute_tool lost")[sc.ERROR_TYPE] == "lmspan.errors.AbandonedStream"
    with lmspan.operation("tool", "next"):
        pass
    assert [span.name for span in recorded.roots()] == ["execute_tool lost", "execute_tool next"]


def test_a_generator_that_has_begun_is_the_programs_own(recorded):
    def numbers():
        yield from range(3)

    shared = numbers()
    next(shared)
    following = lmspan.tool("following")(lambda: shared)
    assert [next(following()), next(following())] == [1, 2]
    assert following() is shared
    assert len(recorded.roots()) == 3


def test_a_task_is_an_output(recorded):
    async def main():
        task = lmspan.tool("begin")(lambda: asyncio.ensure_future(asyncio.sleep(0, 7)))()
        recorded.assert_tree("execute_tool begin")
        return isinstance(task, asyncio.Task), await task

    assert asyncio.run(main()) == (True, 7)


# Decorated twice ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_decorated_twice_by_the_same_it_is_one_span_with_the_outer_name(kind, recorded):
    outcome(kind(lambda thing: lmspan.tool("outer")(lmspan.tool("inner")(thing))), "tea")
    recorded.assert_tree("execute_tool outer")


def test_decorated_by_two_it_is_two_spans(recorded):
    function(lambda thing: lmspan.agent(lmspan.tool(thing)))(1)
    recorded.assert_tree("""
        invoke_agent work_on
          execute_tool work_on
    """)


def test_a_strangers_decorator_in_between_stays(recorded):
    def twice(function):
        @functools.wraps(function)
        def wrapper(x):
            return function(x) + function(x)

        return wrapper

    assert function(lambda thing: lmspan.tool("outer")(twice(lmspan.tool("inner")(thing))))(1) == [1, 1]
    recorded.assert_tree("""
        execute_tool outer
          execute_tool inner
          execute_tool inner
    """)


# What belongs to a kind -----------------------------------------------------------------------------------------------


def test_a_property_keeps_its_setter_deleter_and_text():
    class Desk(Holder):
        @lmspan.tool
        @property
        def work_on(self):
            """The work."""
            return self.x

        @work_on.setter
        def work_on(self, x):
            self.x = x

        @work_on.deleter
        def work_on(self):
            self.x = None

    desk = Desk(1)
    desk.work_on = 2
    assert (desk.work_on, Desk.work_on.__doc__) == (2, "The work.")
    del desk.work_on
    assert desk.work_on is None


def test_a_cache_keeps_its_functions(recorded):
    cached = lru_cache(lmspan.tool)
    assert cached("a") is cached("a")
    assert (cached.cache_info().hits, cached.cache_parameters()["maxsize"]) == (1, 128)
    cached.cache_clear()
    assert cached.cache_info().currsize == 0
    assert len(recorded.roots()) == 2


def test_a_callable_object_is_itself_in_all_but_its_calls(recorded):
    target = Callable()
    target.count = 1
    decorated = lmspan.tool(target)
    decorated.count += 1
    assert (target.count, isinstance(decorated, Callable), decorated.__doc__) == (2, True, None)
    for again in (copy.copy(decorated), copy.deepcopy(decorated), pickle.loads(pickle.dumps(decorated))):  # noqa: S301 - ours
        assert (again("tea"), again.count) == (["tea"], 2)
        again.count = 0
    assert target.count == 2
    recorded.assert_tree("execute_tool Callable\n" * 3)


def test_what_partials_bind_is_recorded(recorded):
    partial(lmspan.tool("partial"))("tea")
    assert recorded.attributes("execute_tool partial")[sc.TOOL_CALL_ARGUMENTS] == '{"y":1,"x":"tea"}'


# Pickled --------------------------------------------------------------------------------------------------------------


@lmspan.tool
async def importable(x):
    return [x]


def test_by_reference_it_is_the_same_function():
    assert pickle.loads(pickle.dumps(importable)) is importable  # noqa: S301 - ours


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_can_be_pickled_by_value_still_can(kind, recorded):
    try:
        plain = cloudpickle.loads(cloudpickle.dumps(kind(lambda thing: thing)))
    except Exception as error:  # noqa: BLE001 - the kind's own
        pytest.skip(f"nor can it be without a decorator: {error}")
    again = cloudpickle.loads(cloudpickle.dumps(kind(lmspan.tool("work"))))
    assert outcome(again, "tea") == outcome(plain, "tea")
    recorded.assert_tree("execute_tool work")


# Refused --------------------------------------------------------------------------------------------------------------


class Stranger:
    def __get__(self, instance, owner):
        return 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "a value of type int cannot be recorded: decorate a function, a method or a callable object"),
        (None, "a value of type NoneType cannot be recorded: decorate a function, a method or a callable object"),
        (Stranger(), f"a value of type {__name__}.Stranger cannot be recorded: decorate a function"),
        (Callable, f"{__name__}.Callable is a class and cannot be recorded: decorate its methods"),
        (classmethod(Callable), f"{__name__}.Callable is a class and cannot be recorded: decorate its methods"),
        (property(), "a property without a getter cannot be recorded"),
        (staticmethod(3), "a value of type int cannot be recorded"),
    ],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_what_cannot_be_recorded_is_refused_with_a_sentence(given, message):
    for decorate in (lmspan.tool, lmspan.tool("name"), lmspan.tool(name="name")):
        with pytest.raises(ConfigurationError) as refused:
            decorate(given)
        assert str(refused.value).startswith(message)


@pytest.mark.parametrize("name", [3, None, ["search"]])
def test_a_name_that_is_no_string_is_refused(name):
    with pytest.raises(ConfigurationError, match="the name of an operation is a string, not a value of type"):
        lmspan.tool(name=name)


def test_two_names_are_refused():
    with pytest.raises(ConfigurationError, match="given two names, 'a' and 'b'"):
        lmspan.tool("a", name="b")


@pytest.mark.parametrize("decorate", [lmspan.tool("mine"), lmspan.tool(name="mine")], ids=["tool(name)", "tool(name=)"])
def test_a_name_is_given_either_way(decorate, recorded):
    decorate(work)("tea")
    lmspan.tool()(work)("tea")
    recorded.assert_tree("execute_tool mine\nexecute_tool work")


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("tol", "'tol' is no operation: there are workflow, module, agent, turn, lm, .*; did you mean 'tool'?"),
        ("evaluation", "'evaluation' is no operation: .*; did you mean 'evaluate'?"),
        ("xyz", "'xyz' is no operation: .*interpreter_shutdown$"),
        (3, "a value of type int is no operation: there are "),
    ],
)
def test_an_operation_that_does_not_exist_is_refused_with_the_ones_that_do(kind, message, enabled, recorded):
    if not enabled:
        lmspan.disable()
    try:
        with pytest.raises(ConfigurationError, match=message), lmspan.operation(kind):
            pass
    finally:
        lmspan.enable()
    assert recorded.spans == []
