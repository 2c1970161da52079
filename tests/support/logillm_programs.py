"""LogiLLM programs for the tests: providers on the scripted server, agents, and all 19 optimizers made small."""

import asyncio

import logillm.optimizers as all_of_them
from logillm.core.avatar import Avatar
from logillm.core.optimizers import AccuracyMetric, BootstrapOptimizer, OptimizationConfig, RandomSearchOptimizer
from logillm.core.parameters import ParamDomain, ParamSpec, ParamType, SearchSpace
from logillm.core.predict import Predict
from logillm.core.react import ReAct
from logillm.core.tools import Tool
from logillm.core.types import OptimizationStrategy
from logillm.optimizers.avatar_optimizer import AvatarOptimizer
from logillm.optimizers.copro import COPROConfig
from logillm.optimizers.format_optimizer import FormatOptimizerConfig
from logillm.optimizers.miprov2 import MIPROv2Config
from logillm.optimizers.optimizer_config import HybridOptimizerConfig
from logillm.providers import register_provider
from logillm.providers.anthropic import AnthropicProvider
from logillm.providers.mock import MockProvider
from logillm.providers.openai import OpenAIProvider

from lmspan.demo.server import ScriptedServer

KEY = "sk-test-0123456789abcdef"


def serving(*replies):
    """A server that gives these replies in order, the last one for ever."""
    waiting = list(replies)
    return ScriptedServer(lambda request: waiting.pop(0) if len(waiting) > 1 else waiting[0])


# The clients of the APIs: one that is collected while the loop of another test runs closes itself there, and fails.
_kept = []


def openai(server, **settings):
    settings = {"model": "gpt-4o-mini", "max_retries": 1, **settings}
    made = OpenAIProvider(api_key=KEY, base_url=server.url, **settings)
    _kept.append(made)
    return made


def anthropic(server, **settings):
    address = server.url.removesuffix("/v1")
    settings = {"model": "claude-sonnet-4", "max_retries": 1, **settings}
    made = AnthropicProvider(api_key=KEY, base_url=address, **settings)
    _kept.append(made)
    return made


def mock(*responses, **settings):
    """A provider in the process that gives these answers in order, the last one for ever."""
    return MockProvider(responses=list(responses) or ["yes"], **settings)


def predict(provider, **settings):
    return Predict("question -> answer", provider=provider, **settings)


def weather(city: str) -> str:
    """Tell the weather."""
    return f"sun in {city}"


WEATHER = '{"next_thought": "look", "next_tool_name": "weather", "next_tool_args": {"city": "Graz"}}'
FINISH = '{"next_thought": "done", "next_tool_name": "finish", "next_tool_args": {}}'
ANSWER = '{"reasoning": "seen", "answer": "sun"}'


def react(provider, *tools, **settings):
    return ReAct("question -> answer", tools=list(tools) or [Tool(weather)], config={"provider": provider}, **settings)


def avatar(provider, *tools, **settings):
    return Avatar("question -> answer", list(tools) or [Tool(weather)], provider=provider, **settings)


METRIC = AccuracyMetric(key="answer")
DATA = [{"inputs": {"question": f"q{index}"}, "outputs": {"answer": "yes"}} for index in range(4)]
MIXED = [DATA[0], {"inputs": {"question": "other"}, "outputs": {"answer": "no"}}]


def _space():
    temperature = ParamSpec(
        name="temperature", param_type=ParamType.FLOAT, domain=ParamDomain.GENERATION, description="",
        default=0.7, range=(0.0, 1.0),
    )  # fmt: skip
    return SearchSpace({"temperature": temperature})


def _config():
    return OptimizationConfig(max_iterations=2, batch_size=2)


def _mipro():
    return MIPROv2Config(
        num_candidates=1, num_instructions=2, num_trials=2, minibatch_size=1, full_eval_frequency=2,
        max_bootstrapped_demos=1, max_labeled_demos=0,
    )  # fmt: skip


def scored(example, prediction):
    return float(prediction.outputs.get("answer") == example["outputs"]["answer"])


# name -> an optimizer, and how many examples it is given
OPTIMIZERS = {
    "BootstrapOptimizer": (lambda: BootstrapOptimizer(metric=METRIC, config=_config()), 4),
    "RandomSearchOptimizer": (
        lambda: RandomSearchOptimizer(OptimizationStrategy.INSTRUCTION, METRIC, _config()), 2
    ),
    "HyperparameterOptimizer": (
        lambda: all_of_them.HyperparameterOptimizer(metric=METRIC, search_space=_space(), n_trials=2, seed=1), 2
    ),
    "GridSearchOptimizer": (
        lambda: all_of_them.GridSearchOptimizer(metric=METRIC, param_grid={"temperature": [0.0, 1.0]}), 2
    ),
    "AdaptiveOptimizer": (lambda: all_of_them.AdaptiveOptimizer(metric=METRIC, n_trials=2), 2),
    "BootstrapFewShot": (
        lambda: all_of_them.BootstrapFewShot(
            metric=METRIC, max_bootstrapped_demos=1, max_labeled_demos=1, max_rounds=1
        ), 2
    ),
    "COPRO": (lambda: all_of_them.COPRO(metric=METRIC, config=COPROConfig(breadth=2, depth=1)), 2),
    "SignatureOptimizer": (lambda: all_of_them.SignatureOptimizer(metric=METRIC, breadth=2, depth=1), 2),
    "InstructionOptimizer": (lambda: all_of_them.InstructionOptimizer(metric=METRIC), 2),
    "KNNFewShot": (lambda: all_of_them.KNNFewShot(metric=METRIC, k=1, trainset=DATA), 2),
    "LabeledFewShot": (lambda: all_of_them.LabeledFewShot(metric=METRIC), 2),
    "MIPROv2Optimizer": (lambda: all_of_them.MIPROv2Optimizer(metric=METRIC, config=_mipro()), 3),
    "RandomPromptOptimizer": (lambda: all_of_them.RandomPromptOptimizer(metric=METRIC, num_candidates=2), 2),
    "HybridOptimizer": (
        lambda: all_of_them.HybridOptimizer(metric=METRIC, strategy="joint", config=HybridOptimizerConfig(n_trials=2)),
        2,
    ),
    "ReflectiveEvolutionOptimizer": (
        lambda: all_of_them.ReflectiveEvolutionOptimizer(metric=METRIC, reflection_lm=mock(), n_iterations=1), 2
    ),
    "MultiObjectiveOptimizer": (
        lambda: all_of_them.MultiObjectiveOptimizer(
            metrics=dict.fromkeys(("accuracy", "latency", "cost", "consistency"), METRIC), n_trials=1
        ), 1
    ),
    "FormatOptimizer": (
        lambda: all_of_them.FormatOptimizer(
            metric=METRIC, config=FormatOptimizerConfig(min_samples_per_format=1, max_samples_per_format=1)
        ), 1
    ),
    "SIMBA": (
        lambda: all_of_them.SIMBA(metric=METRIC, bsize=2, num_candidates=1, max_steps=1, max_demos=1), 2
    ),
    "AvatarOptimizer": (lambda: AvatarOptimizer(metric=scored, max_iters=1, num_threads=2), 2),
}  # fmt: skip


def optimize(name):
    """Run one of the optimizers on a program of one predictor, or of an Avatar."""
    make, examples = OPTIMIZERS[name]
    register_provider(mock(), set_default=True)
    optimizer = make()
    if name == "AvatarOptimizer":
        return asyncio.run(optimizer.optimize(avatar(mock("Finish(yes)")), MIXED))
    validation = DATA[2:] if name == "LabeledFewShot" else None
    return asyncio.run(optimizer.optimize(predict(mock()), DATA[:examples], validation))
