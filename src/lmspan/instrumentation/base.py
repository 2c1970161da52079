"""What every instrumentor shares: OpenTelemetry's protocol for them, and patching when the library is imported."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Self

from lmspan import propagation
from lmspan.guard import guarded
from lmspan.patching import Patches

if TYPE_CHECKING:
    from collections.abc import Collection

logger = logging.getLogger("lmspan")


class Instrumentor:
    """One library's patches. One instance per class, as in OpenTelemetry's `BaseInstrumentor`, whose calls these are.

    The library is patched now if the program has imported it, else when it does: an instrumentor imports nothing.
    """

    module: ClassVar[str]
    _instance: ClassVar[Any] = None

    is_instrumented_by_opentelemetry = False

    def __new__(cls) -> Self:
        """Return the one instance."""
        if cls._instance is None:
            cls._instance = object.__new__(cls)
            cls._instance.patches = Patches()
        return cls._instance  # type: ignore[no-any-return]

    patches: Patches

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the versions that this instrumentor is made for, as requirement strings."""
        raise TypeError(f"{type(self).__name__} names no library")

    def patch(self, library: Any) -> None:
        """Put the patches on the imported library. Called once per `instrument()`."""
        raise TypeError(f"{type(self).__name__} patches nothing ({library!r})")

    def instrument(self, **_: Any) -> None:
        """Instrument the library; harmless when it already is. Extra arguments are OpenTelemetry's, and not needed."""
        if self.is_instrumented_by_opentelemetry:
            return
        self.is_instrumented_by_opentelemetry = True
        propagation.install()
        self.patches.when_imported(self.module, guarded(self.patch))

    def uninstrument(self, **_: Any) -> None:
        """Take the patches away; strangers' patches above or below ours stay."""
        if not self.is_instrumented_by_opentelemetry:
            return
        self.is_instrumented_by_opentelemetry = False
        self.patches.restore()
        propagation.uninstall()
