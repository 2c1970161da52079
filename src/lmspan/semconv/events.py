"""Events and their attributes. Attributes of content are in `content`."""

# fmt: off
from __future__ import annotations

from typing import Final

from lmspan.semconv.naming import DOUBLE, INT, STRING, attribute, event

RETRY_ATTEMPT: Final = attribute("lmspan.lm.retry.attempt", INT, "number of the failed attempt, from 1")
RETRY_DELAY: Final = attribute("lmspan.lm.retry.delay_s", DOUBLE, "wait before the next attempt; absent when there is no next attempt", "s")
EXCEPTION_TYPE: Final = attribute("exception.type", STRING, "class of the exception")
CODE_FILE_PATH: Final = attribute("code.file.path", STRING, "file of the program's innermost frame that the exception has passed, not of a library")
CODE_LINE_NUMBER: Final = attribute("code.line.number", INT, "line in that file")
CODE_FUNCTION_NAME: Final = attribute("code.function.name", STRING, "function of that frame, with its module")
ADAPTATION_FIELD: Final = attribute("lmspan.lm.adaptation.field", STRING, "the part of the request that the library changed")
ADAPTATION_ACTION: Final = attribute("lmspan.lm.adaptation.action", STRING, "the change")
ADAPTATION_REASON: Final = attribute("lmspan.lm.adaptation.reason", STRING, "the reason for the change")
ASSERTION_SEVERITY: Final = attribute("lmspan.assertion.severity", STRING, "hard or soft")
STDERR_LENGTH: Final = attribute("lmspan.stderr.length", INT, "number of characters written")

EVENT_RETRY: Final = event("lmspan.lm.retry", "an attempt of an LM call failed")
EVENT_EXCEPTION: Final = event("exception", "an exception ended the operation")
EVENT_INFERENCE_EXCEPTION: Final = event("gen_ai.client.operation.exception", "an exception ended a model call")
EVENT_INFERENCE_DETAILS: Final = event("gen_ai.client.inference.operation.details", "the attributes of a model call, with its content")
EVENT_EVALUATION_RESULT: Final = event("gen_ai.evaluation.result", "score of an example or of a whole evaluation")
EVENT_PARSE_FALLBACK: Final = event("lmspan.adapter.fallback", "another adapter takes over after a parse failure")
EVENT_ADAPTATION: Final = event("lmspan.lm.adaptation", "the library changed a part of the request that the model does not support")
EVENT_HYPERPARAMETER_UPDATE: Final = event("lmspan.optimizer.hyperparameter.update", "the optimizer chose hyperparameters")
EVENT_OPTIMIZER_CANDIDATE: Final = event("lmspan.optimizer.candidate", "the optimizer scored a candidate")
EVENT_STDERR_WRITE: Final = event("lmspan.stderr.write", "a process wrote to its stderr")
EVENT_ASSERTION: Final = event("lmspan.assertion", "an assertion of the program failed")
EVENT_TRACE_COMPLETE: Final = event("lmspan.trace.complete", "the outermost operation of a trace ended")
