"""The errors that lmspan raises, all of them where something is configured and none while a program runs.

    BaseException
     ├── Exception
     │    └── LmspanError
     │         ├── ConfigurationError      init(), decorators, operation(), the environment, the command line
     │         ├── CallbackError           a callback that cannot be bound, when it is subscribed
     │         ├── InstrumentationError    a library that is missing, unknown or of a wrong version
     │         └── TraceFileError          a trace file that cannot be read
     ├── StopRun                           stops a run, because a callback said so
     └── (the program's own)               recorded, and re-raised as the same object

`AbandonedStream` is never raised into a program: it is the recorded reason of a generator that nobody finished.
"""


class LmspanError(Exception):
    """Base of every error of this package; the message says what, which value, and what would be right."""


class ConfigurationError(LmspanError):
    """An option, an environment variable, or what a decorator or `operation()` is given, cannot be used."""


class InstrumentationError(LmspanError):
    """A library was asked for by name and cannot be instrumented."""


class CallbackError(LmspanError):
    """A callback was subscribed that could never be called: a hook or a parameter that nothing fits."""


class StopRun(BaseException):
    """Stop the run: raised into the program where its next operation starts, when a callback has asked for it.

    A hook may raise it itself; with `on_error="stop"` any exception of a start hook does, and is its `__cause__`.
    """

    def again(self) -> "StopRun":
        """Return one more for another thread: a traceback is no thing to share."""
        stop = StopRun(*self.args)
        stop.__cause__ = self.__cause__
        return stop


class TraceFileError(LmspanError):
    """A trace or trace file that was asked for does not exist or holds nothing readable."""


class AbandonedStream(LmspanError):  # noqa: N818 - the name is the recorded error.type
    """A generator was dropped before it was exhausted or closed; only ever recorded."""
