"""A day of a small shop: what `docs/how-to/read-a-trace.md` asks about. Recorded once, read by many tests.

python -m support.day            the programs of the day
python -m support.day running    an optimizer that evaluates two candidates and then waits for ever
"""

import contextlib
import sys
import time

import dspy

import lmspan
from lmspan.demo.server import Reply, ScriptedServer
from support.programs import fields, model, serving
from support.scenarios.core import by_field, examples, metric, predict


class Answer(dspy.Module):
    """Rewrite a question, judge eight passages, answer."""

    def __init__(self, cheap, good):
        super().__init__()
        self.rewrite, self.judge, self.answer = (dspy.Predict(each) for each in (
            "question -> query", "query, passage -> relevant", "question, passages -> answer",
        ))  # fmt: skip
        self.cheap, self.good = cheap, good

    def forward(self, question):
        with dspy.context(lm=self.cheap):
            query = self.rewrite(question=question).query
            passages = [f"passage {number}" for number in range(8)]
            judged = [self.judge(query=query, passage=passage).relevant for passage in passages]
        with dspy.context(lm=self.good):
            return self.answer(question=question, passages=", ".join(judged))


def answer_a_question():
    script = by_field(query="tea in Porto", relevant="yes", answer="Drink it at the river.")

    def slow_judge(request):
        if "relevant" in str(request["messages"][-1]):
            time.sleep(0.02)
        return script(request)

    with ScriptedServer(slow_judge) as server:
        models = (dspy.LM(f"openai/{name}", api_base=server.url, api_key="none", cache=False) for name in MODELS)
        Answer(*models)(question="Where is good tea?")


MODELS = ("gpt-4o-mini", "gpt-4o")


@lmspan.tool
def shipping_status(order: str) -> str:
    """Look up an order."""
    time.sleep(0.05)
    if order == "B-2":
        raise ConnectionError("the carrier does not answer")
    return "on its way"


@lmspan.tool
def refund(order: str) -> str:
    """Refund an order."""
    return "refunded"


def answer_a_ticket(ticket, session):
    """One run of a support desk: an operation of plain Python, with tools and a model."""
    with (
        ScriptedServer(lambda request: fields(reply="Soon.")) as server,
        dspy.context(lm=model(server)),
        lmspan.operation("workflow", "ticket", inputs={"ticket": ticket}, attributes={"session.id": session}) as call,
    ):
        dspy.Predict("ticket -> reply")(ticket=ticket)
        shipping_status(ticket.rsplit(" ", 1)[-1])
        call.outputs = refund(ticket) if "refund" in ticket else "done"


def answer_tickets():
    for ticket, session in [("Where is A-1", "anna"), ("Where is B-2", "ben"), ("Please refund C-3", "anna")]:
        with contextlib.suppress(ConnectionError):
            answer_a_ticket(ticket, session)


def ask_a_busy_model():
    """The model refuses twice, then answers as a stream."""
    with serving(Reply(status=429), Reply(status=429), fields(answer="yes")) as server:
        with dspy.context(lm=model(server, num_retries=3)):
            dspy.Predict("question -> answer")(question="Are you busy?")
    with serving(fields(answer="a streamed answer")) as server, dspy.context(lm=model(server)):
        stream = dspy.streamify(dspy.Predict("question -> answer"), stream_listeners=[
            dspy.streaming.StreamListener(signature_field_name="answer"),
        ], async_streaming=False)  # fmt: skip
        list(stream(question="Slowly, please"))


def measure(example, prediction, trace=None):
    """A metric with feedback, which raises on one example."""
    if example.question == "q2":
        raise ValueError("no gold answer for q2")
    right = example.answer == prediction.answer
    return dspy.Prediction(score=float(right), feedback="" if right else f"expected {example.answer}")


def evaluate():
    data = [dspy.Example(question=f"q{n}", answer="no" if n == 3 else "yes").with_inputs("question") for n in range(5)]
    with ScriptedServer(by_field(answer="yes")) as server, dspy.context(lm=model(server)):
        dspy.Evaluate(devset=data, metric=measure, num_threads=1, display_progress=False, max_errors=10)(predict())


def optimize(*instructions, wait=None):
    """Run GEPA on a model that answers right when its instructions say so."""
    drafts = list(instructions)

    def draft(text):
        if wait is not None and len(drafts) == 1:
            wait()
        return drafts.pop(0) if len(drafts) > 1 else drafts[0]

    script = by_field(answer=lambda text: "yes" if "careful" in text else "no", new_instruction=draft)
    with ScriptedServer(script) as server, dspy.context(lm=model(server)):
        dspy.GEPA(
            metric=metric, max_metric_calls=12, reflection_lm=dspy.settings.lm, reflection_minibatch_size=2,
            num_threads=1,
        ).compile(predict(), trainset=examples(), valset=examples())  # fmt: skip


def wait_for_ever():
    print("waiting", flush=True)
    time.sleep(600)


def main(part="day"):
    session = lmspan.init("shop")
    if part == "running":
        optimize("Say nothing of use.", "Be careful.", wait=wait_for_ever)
    for program in (answer_a_question, answer_tickets, ask_a_busy_model, evaluate):
        program()
    optimize("Say nothing of use.")
    optimize("Say nothing of use.", "Be careful.")
    session.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
