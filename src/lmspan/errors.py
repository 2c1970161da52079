"""The errors of lmspan. Configuration raises them; recording a running program raises none.

    BaseException
     ├── Exception
     │    └── LmspanError
     │         ├── ConfigurationError      init(), decorators, operation(), the environment, the command line
     │         ├── CallbackError           a callback that `subscribe()` cannot bind
     │         ├── InstrumentationError    a library that is missing, unknown or of a wrong version
     │         └── TraceFileError          a trace file that cannot be read
     ├── StopRun                           stops a run on request of a callback
     └── (the program's own)               recorded, and re-raised as the same object

`AbandonedStream` never reaches a program: lmspan records it as the error of a generator that the program abandoned.
"""


class LmspanError(Exception):
    """Base of every error of this package. The message names the option, its value, and the values that are valid."""


class ConfigurationError(LmspanError):
    """An option, an environment variable, or an argument of a decorator or of `operation()` is not valid."""


class InstrumentationError(LmspanError):
    """A library that the program names cannot be instrumented."""


class CallbackError(LmspanError):
    """A callback has a hook, or a parameter of a hook, that no event fits."""


class StopRun(BaseException):
    """Stop the run. lmspan raises it into the program at the start of the next operation after a callback requests it.

    A hook may raise it directly. With `on_error="stop"` any exception of a start hook requests it and is its
    `__cause__`.
    """

    def again(self) -> "StopRun":
        """Return a copy for another thread, because two threads must not share a traceback."""
        stop = StopRun(*self.args)
        stop.__cause__ = self.__cause__
        return stop


class TraceFileError(LmspanError):
    """A trace or a trace file does not exist or cannot be read."""


class AbandonedStream(LmspanError):  # noqa: N818 - the name is the recorded error.type
    """The program dropped a generator before its end. Recorded, never raised."""
