"""The dialect of a callback is detected from its base class, or from the names and parameters of its hooks."""

from types import SimpleNamespace

import pytest

import lmspan
from lmspan.callbacks.dspy import BaseCallback
from lmspan.callbacks.logillm import AbstractCallback
from lmspan.subscribers.detection import bound_hooks
from lmspan.subscribers.dialects.dspy import DIALECT
from lmspan.testing import recording
from support.subscribers import ask


def test_the_base_class_of_dspys_callbacks_has_every_hook_and_none_of_them_is_bound():
    assert {name for name in vars(BaseCallback) if name.startswith("on_")} == set(DIALECT.hooks)
    assert bound_hooks(BaseCallback(), None, None) == ()


def test_a_callback_that_derives_from_a_base_class_has_the_hooks_that_it_overrides():
    class Mine(BaseCallback):
        def on_tool_end(self, call_id, outputs, exception=None):
            pass

    assert [each.name for each in bound_hooks(Mine(), None, None)] == ["on_tool_end"]


@pytest.mark.parametrize(
    ("callback", "why"),
    [
        (object(), "has no hook"),
        ({"on_tool_start": lambda a, b, c, d: None}, "parameter 'c' must be given"),
        (type("Wrong", (), {"on_lm_start": lambda self, call_id, instance, inputs, tenant: None})(), "'tenant'"),
    ],
)
def test_a_callback_that_could_never_be_called_is_refused(callback, why):
    with pytest.raises(lmspan.CallbackError, match=why):
        lmspan.subscribe(callback, dialect="dspy" if why == "'tenant'" else None)


# Several systems in one object --------------------------------------------------------------------------------------


def systems(callback, **options):
    """The hooks of a callback, each with the names of its arguments."""
    return {
        each.name: [argument.name for argument in each.hook.arguments]
        for each in lmspan.subscribe(callback, **options).hooks
    }


class OfThree:
    """Hooks of LLMProc, DSPy and LogiLLM."""

    def __init__(self):
        self.heard = []

    def tool_start(self, tool_name, tool_args):
        self.heard.append(("tool_start", tool_name, tool_args))

    def on_lm_start(self, call_id, instance, inputs):
        self.heard.append(("on_lm_start", inputs["messages"]))

    def on_module_end(self, event):
        self.heard.append(("on_module_end", event.success))

    def on_provider_request(self, e):
        self.heard.append(("on_provider_request", e.messages))


def test_an_object_with_hooks_of_several_systems_hears_with_each_in_its_own_way():
    callback = OfThree()
    lmspan.subscribe(callback)
    with recording(instrument=()), lmspan.operation("module", "m"):
        with lmspan.operation("tool", "look", inputs={"city": "Graz"}):
            pass
        with lmspan.operation("lm", "m", inputs={"messages": ["hi"]}):
            pass
    assert callback.heard == [
        ("tool_start", "look", {"city": "Graz"}), ("on_lm_start", ["hi"]), ("on_provider_request", ["hi"]),
        ("on_module_end", True),
    ]  # fmt: skip


def test_a_method_that_only_looks_like_a_hook_of_another_system_is_none():
    class Mine(BaseCallback):
        def response(self):
            raise AssertionError

        def on_tool_end(self, call_id, outputs, exception=None): ...

    assert list(systems(Mine())) == ["on_tool_end"]


def test_a_hook_that_two_systems_could_call_is_refused_by_its_name():
    class Two:
        def tool_start(self, tool_name, tool_args): ...
        def on_module_end(self, e): ...

    with pytest.raises(lmspan.CallbackError, match=r"Two\.on_module_end could be a hook of dspy or logillm or dsrs"):
        lmspan.subscribe(Two())


def test_hooks_of_two_systems_with_other_names_are_not_ambiguous():
    class Two:
        def tool_start(self, tool_name, tool_args): ...
        def on_module_end(self, call_id, result): ...

    assert systems(Two()) == {"tool_start": ["tool_name", "args", "process"], "on_module_end": ["call_id", "result"]}


# What is refused, and how ---------------------------------------------------------------------------------------------


def test_a_hook_that_cannot_be_bound_is_named_with_its_parameter_and_what_is_offered():
    wrong = SimpleNamespace(on_module_start=lambda a, b, c, d, e, f, g: None)
    with pytest.raises(lmspan.CallbackError) as refused:
        lmspan.subscribe(wrong)
    assert str(refused.value) == (
        "SimpleNamespace.on_module_start: parameter 'd' must be given and nothing fits it; "
        "on offer are: call_id, instance, inputs"
    )
    with pytest.raises(
        lmspan.CallbackError, match=r"tool_start: parameter 'c' must be given.*: tool_name, args, process"
    ):
        lmspan.subscribe(SimpleNamespace(tool_start=lambda a, b, c: None))


class Mistyped:
    def on_modul_start(self, call_id, instance, inputs): ...


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (Mistyped(), "Mistyped has no hook of .*: on_modul_start; did you mean on_module_start?"),
        (None, "NoneType has no hook of dspy, logillm, llmproc, dsrs, dspy_ex"),
        (object(), "object has no hook of dspy"),
        ({"on_tool_start": print, "on_tool_ent": print}, "'on_tool_ent' is no hook; did you mean on_tool_end?"),
        ({"on_tool_start": "print"}, "'on_tool_start': a str is no function"),
        ({}, "dict has no hook"),
    ],
)
def test_what_has_no_hook_is_refused_with_the_nearest_name(callback, message):
    with pytest.raises(lmspan.CallbackError, match=message):
        lmspan.subscribe(callback)


def test_a_mistyped_method_beside_a_good_one_is_reported(caplog):
    class Half(Mistyped):
        def on_module_end(self, call_id, outputs, exception): ...

    lmspan.subscribe(Half())
    assert [record.getMessage() for record in caplog.records] == [
        "lmspan: Half.on_modul_start is no hook; did you mean on_module_start?"
    ]


# Callable objects, proxies, instances ---------------------------------------------------------------------------------


def test_a_callable_object_with_methods_hears_with_both():
    heard = []

    class Both:
        def __call__(self, event, *args):
            heard.append(event.value)

        def tool_start(self, tool_name, args):
            heard.append(f"method {tool_name}")

    lmspan.subscribe(Both())
    with recording(instrument=()), lmspan.operation("tool", "look"):
        pass
    assert heard == ["method look", "tool_end"]


def test_a_proxy_and_a_handler_of_an_instance_hear():
    heard = []

    class Inner:
        def on_provider_request(self, event):
            heard.append("inner")

    class Proxy:
        def __getattr__(self, name):
            return getattr(Inner(), name)

    instance = AbstractCallback()
    instance.on_provider_request = lambda event: heard.append("instance")
    lmspan.subscribe(Proxy())
    lmspan.subscribe(instance)
    ask()
    assert heard == ["inner", "instance"]


# Plugins of LLMProc 1.0 -----------------------------------------------------------------------------------------------


class Listening:
    """A plugin that only listens."""

    def __init__(self):
        self.heard = []

    def hook_user_input(self, user_input, process):
        self.heard.append(("user_input", user_input))

    async def hook_tool_call(self, tool_name, args):
        if not args:
            return
        self.heard.append(("tool_call", tool_name, args))

    def hook_tool_result(self, tool_name, result):
        self.heard.append(("tool_result", result))

    def hook_system_prompt(self, system_prompt):
        self.heard.append(("system_prompt", system_prompt))

    def hook_response(self, content):
        self.heard.append(("response", content))

    def run_end(self, run_result):
        self.heard.append(("run_end", run_result.api_calls))


def test_a_plugin_that_only_listens_hears():
    @lmspan.tool
    def look(city):
        return "sun"

    plugin = Listening()
    with recording(instrument=()), lmspan.subscribed(plugin):
        with lmspan.operation("agent", "a", inputs={"question": "?"}):
            with lmspan.operation("lm", "m", inputs={"messages": [{"role": "system", "content": "brief"}]}) as call:
                call.outputs = "yes"
            look("Graz")
    assert sorted(plugin.heard) == [
        ("response", "yes"), ("run_end", 1), ("system_prompt", "brief"), ("tool_call", "look", {"city": "Graz"}),
        ("tool_result", "sun"), ("user_input", "?"),
    ]  # fmt: skip


class Changing:
    def hook_tool_call(self, tool_name, args):
        return {**args, "city": "Linz"}


class Providing:
    async def hook_provide_tools(self, process):
        if process is None:
            return None
        return [process]


@pytest.mark.parametrize("plugin", [Changing(), Providing()])
def test_a_plugin_that_would_change_the_program_is_refused(plugin):
    name = next(name for name in vars(type(plugin)) if name.startswith("hook_"))
    with pytest.raises(lmspan.CallbackError) as refused:
        lmspan.subscribe(plugin)
    assert str(refused.value) == (
        f"{type(plugin).__name__}.{name} returns a value, which would change the program, and lmspan only listens; "
        "add it to LLMProc's process as a plugin"
    )
