"""The optimizers of LogiLLM."""

import asyncio
import contextlib
import io
import json
import logging
import random
import re
from dataclasses import replace
from typing import ClassVar

from logillm.core.optimizers import AccuracyMetric
from logillm.optimizers import MultiObjectiveOptimizer, format_optimizer
from logillm.optimizers.avatar_optimizer import AvatarOptimizer
from logillm.optimizers.format_optimizer import FormatOptimizerConfig
from logillm.providers import register_provider
from logillm.providers.openai import AsyncOpenAIClient, OpenAIProvider

from lmspan.demo.server import Reply, ScriptedServer
from support.logillm_programs import KEY, OPTIMIZERS, avatar, predict, scored
from support.searches.core import Reported, Run, answer

SIZE = 6
LOGILLM = {}
_OUTPUTS = re.compile(r"Output fields[^\n]*\n((?:- .*\n?)+)")


class Provider(OpenAIProvider):
    """LogiLLM's provider with a client for each event loop: some optimizers run several, and a client has one."""

    clients: ClassVar[dict] = {}

    @property
    def async_client(self):
        loop = asyncio.get_running_loop()
        if loop not in self.clients:
            self.clients[loop] = AsyncOpenAIClient(api_key=KEY, base_url=self.base_url, max_retries=0)
        return self.clients[loop]

    @async_client.setter
    def async_client(self, _):
        pass

    def __setstate__(self, state):
        """A copy needs no other clients: to make one takes longer than a whole evaluation."""
        vars(self).update(state)


def script(request):
    prompt = str(request["messages"][-1]["content"])
    fields = _OUTPUTS.search(prompt)
    names = re.findall(r"^- (\w+)", fields[1], re.MULTILINE) if fields else ["answer"]
    acts = names[-1].startswith("action_")
    if acts:
        names = ["answer"]

    def formatted(values):
        if acts:
            return Reply(f"Finish({values['answer']})")
        as_json = "JSON" in prompt or "json" in prompt
        return Reply(json.dumps(values) if as_json else "\n".join(f"{name}: {value}" for name, value in values.items()))

    return answer(request, names=names, formatted=formatted)


def data(size, start=0):
    return [{"inputs": {"question": f"q{i}"}, "outputs": {"answer": "yes"}} for i in range(start, start + size)]


def default(optimizer, result, said):
    """The history of the trials, the scores in the result, and the score of the program before the search."""
    known = result.metadata
    traces = getattr(getattr(optimizer, "history", None), "traces", None) or []
    scores = [each.score for each in traces]
    for name in ("candidate_scores", "all_scores", "score_history"):
        scores += known.get(name) or []
    baseline = known.get("baseline_score")
    return Reported("history, result", scores, None, None, None, baseline, result.best_score, whole=False)


def without_baseline(optimizer, result, said):
    """The same: without a validation set this optimizer does not evaluate the program before the search."""
    return replace(default(optimizer, result, said), first=None)


def _run(name, make, report, validation=None):
    random.seed(0)
    said = io.StringIO()
    log = logging.getLogger("logillm")
    level = log.level
    handler = logging.StreamHandler(said)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with (
            _seeded(),
            ScriptedServer(script) as server,
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
        ):
            provider = Provider(model="gpt-4o-mini", api_key=KEY, base_url=server.url, max_retries=1)
            register_provider(provider, set_default=True)
            optimizer = make(provider)
            program = avatar(provider) if name.startswith("Avatar") else predict(provider)
            result = asyncio.run(optimizer.optimize(program, data(SIZE), validation))
            return Run(_state(result), report(optimizer, result, said.getvalue()), server.exchanges)
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


@contextlib.contextmanager
def _seeded():
    """Give a seed to each generator that LogiLLM makes without one."""
    original = random.Random

    class Seeded(original):
        def __init__(self, seed=None):
            super().__init__(0 if seed is None else seed)

    random.Random = Seeded
    try:
        yield
    finally:
        random.Random = original


def _state(result):
    """Return a program as text: parameters, demonstrations, settings, without the port of the server and times."""
    module = getattr(result, "optimized_module", result)
    text = json.dumps(_plain(module.to_dict()), default=str, sort_keys=True)
    return re.sub(r":\d{4,5}/|0x[0-9a-f]+", "", text)


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items() if key not in ("timestamp", "created_at")}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    described = getattr(value, "to_dict", None)
    return _plain(described()) if callable(described) and not isinstance(value, type) else value


def miprov2(optimizer, result, said):
    """The history of the trials."""
    by_kind = {
        kind: [each["score"] for each in optimizer.trial_history if each["eval_type"] == kind]
        for kind in ("full", "minibatch")
    }
    trials = len(optimizer.trial_history)
    return Reported(
        "trial_history, result", by_kind["full"], by_kind["minibatch"], trials, None, None, result.best_score
    )


def simba(optimizer, result, said):
    """The scores of the last evaluation."""
    scores = result.metadata["final_scores"]
    return Reported("final_scores, result", scores, None, None, None, None, result.best_score)


def formats(optimizer, result, said):
    """The weighted score of each format."""
    scores = list(result.metadata["format_scores"].values())
    return Reported("format_scores, result", scores, None, None, None, None, result.best_score, whole=False)


def objectives(optimizer, result, said):
    """The accuracies: the only objective has the weight 1."""
    first, last = (result.metadata[name]["accuracy"] for name in ("baseline_scores", "final_scores"))
    return Reported("result", [first, last], [], None, None, first, result.best_score, whole=False)


def avatars(choose):
    def report(optimizer, result, said):
        """The log."""
        scores = [float(each) for each in re.findall(r"Average Score: ([\d.]+)", said)]
        return Reported("its log", scores, None, None, None, scores[0], choose(scores), whole=False)

    return report


def _reflecting(provider):
    optimizer = OPTIMIZERS["ReflectiveEvolutionOptimizer"][0]()
    optimizer.reflection_lm = provider
    optimizer.n_iterations = 2
    return optimizer


def _knowing(provider):
    del provider
    optimizer = OPTIMIZERS["KNNFewShot"][0]()
    optimizer.trainset = data(SIZE)
    return optimizer


def _formatting(provider):
    del provider
    config = FormatOptimizerConfig(min_samples_per_format=2, max_samples_per_format=SIZE, consider_latency=False)
    return format_optimizer.FormatOptimizer(metric=AccuracyMetric(key="answer"), config=config)


def _weighing(provider):
    del provider
    return MultiObjectiveOptimizer(metrics={"accuracy": AccuracyMetric(key="answer")}, n_trials=3)


def _acting(direction):
    def make(provider):
        del provider
        return AvatarOptimizer(metric=scored, max_iters=2, lower_bound=0, num_threads=1, optimize_for=direction)

    return make


def _of_the_library(name):
    return lambda provider: OPTIMIZERS[name][0]()


OTHERS = {
    "ReflectiveEvolutionOptimizer": (_reflecting, default),
    "KNNFewShot": (_knowing, default),
    "InstructionOptimizer": (_of_the_library("InstructionOptimizer"), without_baseline),
    "RandomPromptOptimizer": (_of_the_library("RandomPromptOptimizer"), without_baseline),
    "FormatOptimizer": (_formatting, formats),
    "MultiObjectiveOptimizer": (_weighing, objectives),
    "AvatarOptimizer": (_acting("max"), avatars(max)),
    "AvatarOptimizer that minimizes": (_acting("min"), avatars(min)),
    "MIPROv2Optimizer": (_of_the_library("MIPROv2Optimizer"), miprov2),
    "SIMBA": (_of_the_library("SIMBA"), simba),
}


def _search(name):
    make, report = OTHERS.get(name, (_of_the_library(name), default))
    validation = data(4, SIZE) if name == "LabeledFewShot" else None
    return lambda: _run(name, make, report, validation)


LOGILLM.update({name: _search(name) for name in (*OPTIMIZERS, "AvatarOptimizer that minimizes")})
