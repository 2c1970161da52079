"""Every example of the documents runs as printed, with only its import lines changed, and prints what it says.

`documents/` holds the examples as the documents print them. An example may use names that the document leaves to the
reader, such as `my_callback` or a program's file: the code before it makes these, and the code after it runs a program
where the example itself does not.
"""

import ast
import asyncio
import contextlib
import inspect
import io
import json
import re
import tempfile
import textwrap
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest
from llmproc import LLMProgram

import lmspan
from lmspan.callbacks.logillm import CallbackManager
from lmspan.testing import recording
from support.llmproc import asking
from support.wires import Reply, called, serving, tokens

DOCUMENTS = Path(__file__).parent / "documents"

IMPORTS = (  # the lines that change: (as printed, as lmspan has it)
    (r"from logillm\.core\.(?:callbacks|jsonl_callback) import", "from lmspan.callbacks.logillm import"),
    (r"from llmproc\.callbacks import", "from lmspan.callbacks.llmproc import"),
    (r"from llmproc import LLMProgram", "from lmspan.callbacks.llmproc import LLMProgram"),
)  # fmt: skip

LOGILLM = """
import asyncio
from logillm.core.predict import Predict
from logillm.providers import register_provider
from logillm.providers.mock import MockProvider
from lmspan.callbacks.logillm import *
register_provider(MockProvider(responses=["blue"]), set_default=True)
async def ask():
    return await Predict("question -> answer")(question="What is AI?")
"""
OPTIMIZE = """
from support.logillm_programs import optimize
"""
LLMPROC = """
import asyncio, time
from lmspan.callbacks.llmproc import CallbackEvent, LLMProgram
async def process_of(*callbacks):
    process = await LLMProgram.from_toml("config.toml").start()
    for callback in callbacks:
        process.add_callback(callback)
    return process
"""
RUN = "await (await process_of({})).run('Weather in Graz?')\n"
HEARD = "Tool started: weather\nTool completed: weather\nResponse: It is sunny....\n"


class Example(NamedTuple):
    """How one example is run, and what all of its output is, as a pattern."""

    before: str = ""
    after: str = ""
    printed: str = ""


EXAMPLES = {
    "logillm-callbacks": {
        "Basic Usage": Example(LOGILLM, printed=r"Module Predict completed in 0\.\d\ds\n"),
        "JSONL Logging": Example(
            LOGILLM,
            "await ask()\nprint(sorted(each['event_type'] for each in lines('execution.jsonl')))\n"
            "print([each['event_type'] for each in lines('detailed.jsonl')])\n",
            r"\['module_end', 'module_start', 'provider_request', 'provider_response'\]\n"
            r"\['module_start', 'module_end'\]\n",
        ),
        "Basic Callback": Example(LOGILLM, "CallbackManager().register(CustomCallback())\nawait ask()\n"),
        "Callback with Priority": Example(
            LOGILLM,
            "class Normal(AbstractCallback):\n    def on_module_end(self, event): print('normal')\n"
            "class High(HighPriorityCallback):\n    async def on_module_end(self, event): print('high')\n"
            "CallbackManager().register(Normal()); CallbackManager().register(High())\nawait ask()\n",
            "high\nnormal\n",
        ),
        "Optimization Monitoring": Example(
            LOGILLM + OPTIMIZE,
            "CallbackManager().register(OptimizationMonitor())\n"
            "await asyncio.to_thread(optimize, 'GridSearchOptimizer')\n",
            r"(?:Evaluation score: 1\.000\n){3}Optimization complete!\nBest score: 1\.000\nImprovement: 0\.0%\n",
        ),
        "Disabling Callbacks": Example(
            LOGILLM,
            "print(manager.is_enabled())\ndel os.environ['LOGILLM_CALLBACKS_ENABLED']\nprint(manager.is_enabled())\n",
            "False\nTrue\n",
        ),
        "New Approach (Callbacks)": Example(
            LOGILLM + "class Optimizer:\n    async def optimize(self, module, dataset): pass\n"
            "optimizer, module, dataset = Optimizer(), None, []\n",
            "print(CallbackManager().get_registered_callbacks()['optimization_end'])\n",
            r"\['OptimizationJSONLCallback'\]\n",
        ),
        "Context Propagation": Example(
            LOGILLM,
            "CallbackManager().register(ContextTracker())\nwith lmspan.run('outer'):\n    await ask()\n",
            r"Call ID: [0-9a-f]{16}\nCall ID: [0-9a-f]{16}\nParent: [0-9a-f]{16}\n",
        ),
        "Multiple Callbacks": Example(
            LOGILLM + "class SimpleLogger(AbstractCallback):\n    def on_module_end(self, event): print('end')\n"
            "class OptimizationMonitor(AbstractCallback): pass\n",
            "await ask()\nprint(len(lines('execution.jsonl')))\n",
            "end\n2\n",
        ),
        "Filtering Events": Example(
            LOGILLM + "manager = CallbackManager()\nclass MyCallback(AbstractCallback):\n"
            "    def on_module_end(self, event): print('end')\n    def on_provider_request(self, event): print('no')\n",
            "await ask()\n",
            "end\n",
        ),
        "Complete Example": Example(
            "",
            "",
            r"(?:Q: What is (?:AI|ML|DL)\?\nA: AI is artificial intelligence\n\n){3}"
            r"Execution stats: \{'calls': 3, 'total_time': .*\}\n",
        ),
        "Callbacks Not Firing": Example(LOGILLM, printed="True\n"),
        "Callbacks Not Firing (2)": Example(
            LOGILLM + "manager = CallbackManager()\n", printed=r"\{'global': \[\], 'module_start': \[\], .*\}\n"
        ),
        "Callbacks Not Firing (3)": Example(printed="1\n"),
    },
    "llmproc-callbacks": {
        "Registering Callbacks": Example(
            "class MyCallbackClass:\n    def tool_start(self, tool_name, tool_args): print('class', tool_name)\n"
            "def my_callback_function(event, *args):\n    print('function', event.value)\n"
            "def my_callback(event, *args):\n    print('chained') if event == CallbackEvent.TURN_START else None\n",
            "await process.run('?')\n",
            "chained\nchained\n",
        ),
        "Function-Based Callbacks": Example(LLMPROC, RUN.format("my_callback"), HEARD),
        "Class-Based Callbacks": Example(LLMPROC, RUN.format("MyCallbacks()"), HEARD),
        "Async Callbacks": Example(
            LLMPROC + "async def log_event(event): print(event.value)\nasync def log_response(text): print(text)\n",
            RUN.format("MixedCallbacks()") + RUN.format("my_async_callback"),
            "sync start\nIt is sunny.\n"
            "turn_start\napi_request\napi_response\ntool_start\ntool_end\nturn_end\n"
            "turn_start\napi_request\napi_response\nresponse\nturn_end\n",
        ),
        "TURN_START with RunResult Support": Example(
            LLMPROC,
            RUN.format("CostMonitoringCallback()"),
            r"Current cost: \$0\.0000\nTurn completed\nCurrent cost: \$0\.000\d\nTurn completed\n",
        ),
        "Legacy Compatibility": Example(
            LLMPROC,
            RUN.format("{'turn_start': old_turn_start}, {'turn_start': new_turn_start}"),
            r"Starting new turn\nStarting turn, cost so far: \$0\.0000\n"
            r"Starting new turn\nStarting turn, cost so far: \$0\.000\d\n",
        ),
        "Example: Timing Callback": Example(
            LLMPROC,
            "timing = TimingCallback()\n" + RUN.format("timing") + "print(timing.get_stats()['weather']['calls'])\n",
            "1\n",
        ),
        "Example: API Logging Callback": Example(
            LLMPROC,
            "logger = APILogger()\n" + RUN.format("logger")
            + "print([(each['request']['model'], each['response'].role) for each in logger.calls])\n",
            r"\[\('claude-sonnet-4-5', 'assistant'\), \('claude-sonnet-4-5', 'assistant'\)\]\n",
        ),
        "Callback Inheritance": Example(
            LLMPROC + "program = LLMProgram.from_toml('config.toml')\n"
            "def my_callback(event, *args):\n    print('heard') if event == CallbackEvent.TURN_START else None\n",
            "await parent.run('?')\n",
            "heard\nheard\n",
        ),
    },
    "llmproc-run-result": {
        "Usage Example": Example(
            printed=r"Response: It is sunny\.\nRun completed in \d+ms\nAPI calls: 2\n"
            r"(?:API call \d:\n  Model: claude-sonnet-4-5\n  Usage: .*\n){2}",
        ),
        "Available Callbacks": Example(
            LLMPROC,
            "process = await process_of()\nawait process.run('?', callbacks=callbacks)\n",
            "Starting tool: weather\nTool completed: weather\nResponse: It is sunny....\n",
        ),
        "Using Callbacks": Example(
            printed=r".* Running tool: weather \(1 active tools\)\n.* Completed tool: weather \(0 active tools\)\n"
            r".* Response: It is sunny\.\.\.\.\n\nFinal response:\nIt is sunny\.\n\n"
            r"Run completed in \d\.\d\ds using 2 API calls\n",
        ),
        "Advanced Usage: Progress Tracking": Example(
            printed=r"Working on your request\.\.\.\n(?s:.*)Response: It is sunny\.\.\.\.\n"
            r"(?s:.*)\nFinal response: It is sunny\.\n\nRun completed in \d+ms using 2 API calls\n",
        ),
    },
}  # fmt: skip

NOT_RUN = {
    ("logillm-callbacks", "Old Approach (Wrapper)"): "what the document replaces; it subscribes no callback",
    ("llmproc-run-result", "RunResult Class"): "the fields of a class, without code",
}

CONFIG = """
[model]
name = "claude-sonnet-4-5"
provider = "anthropic"
[parameters]
max_tokens = 100
[prompt]
system_prompt = "Be brief."
"""


def printed_in(document):
    """The examples of a document, by heading."""
    text = (DOCUMENTS / f"{document}.md").read_text()
    return dict(re.findall(r"^## (.*?)\n\n```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))


def with_imports_changed(code):
    for printed, ours in IMPORTS:
        code = re.sub(printed, ours, code)
    return code


def execute(code, names):
    """Run code that may await, on one event loop, as a notebook does; a program with its own loop runs by itself."""
    compiled = compile(textwrap.dedent(code), "<example>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(compiled, names)  # noqa: S307 - the examples are ours
    if inspect.iscoroutine(result):
        asyncio.run(result)


def weather(city: str) -> str:
    """Look up the weather."""
    return f"sun in {city}"


@contextlib.contextmanager
def place():
    """A directory with the files of the programs, whose tools include one."""
    from_toml = LLMProgram.from_toml.__func__

    def with_a_tool(cls, toml_file, **options):
        program = from_toml(cls, toml_file, **options)
        program.register_tools([weather])
        return program

    tool = patch.object(LLMProgram, "from_toml", classmethod(with_a_tool))
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory), tool:
        Path("examples").mkdir()
        for name in ("config.toml", "examples/minimal.toml", "examples/mcp.toml"):
            Path(name).write_text(CONFIG)
        yield
    CallbackManager().enable()
    CallbackManager().clear()
    lmspan.unsubscribe_all()


def lines(name):
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


ALL = [(document, name) for document in EXAMPLES for name in printed_in(document) if (document, name) not in NOT_RUN]


def test_every_example_of_every_document_is_run():
    assert sorted(ALL) == sorted((document, name) for document, examples in EXAMPLES.items() for name in examples)


def output_of(document, name):
    """Run an example with its import lines changed; return what it prints."""
    example = EXAMPLES[document][name]
    code = with_imports_changed(printed_in(document)[name])
    names = {"lmspan": lmspan, "lines": lines, "__name__": "__main__"}
    look = called(("toolu_1", "weather", {"city": "Graz"}), usage=tokens(30, 10))
    script = (look, Reply("It is sunny.", usage=tokens(40, 5))) * 3
    printed = io.StringIO()
    with place(), serving(*script) as server, asking(server), recording(), contextlib.redirect_stdout(printed):
        execute(f"{example.before}\n{code}\n{example.after}", names)
    return printed.getvalue()


def prints_what_it_says(document, name):
    return re.fullmatch(EXAMPLES[document][name].printed, output_of(document, name)) is not None


@pytest.mark.parametrize(("document", "name"), ALL, ids=[f"{document}: {name}" for document, name in ALL])
def test_an_example_runs_as_printed_with_its_import_lines_changed(document, name):
    assert prints_what_it_says(document, name), EXAMPLES[document][name].printed
