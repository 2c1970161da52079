"""What a type checker makes of the public API; checked by mypy, never run."""

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

import lmspan


@lmspan.tool
def double(x: int) -> int:
    return 2 * x


@lmspan.tool(name="later")
async def later(x: int) -> str:
    return str(x)


@lmspan.module
def stream() -> Iterator[int]:
    yield 1


@lmspan.agent
async def astream() -> AsyncIterator[int]:
    yield 1


async def use() -> None:
    assert_type(double(1), int)
    assert_type(await later(1), str)
    assert_type(list(stream()), list[int])
    assert_type([item async for item in astream()], list[int])
    with lmspan.operation(lmspan.Operation.TOOL, "search", inputs={"q": "cats"}) as call:
        assert_type(call, lmspan.Call)
        call.outputs = ["a"]
    with lmspan.init("shop", exporters=["file"], capture_content="none") as session:
        assert_type(session, lmspan.Session)
        assert_type(session.force_flush(timeout_s=1.0), bool)
    assert_type(lmspan.subscribe({"on_tool_start": print}, scope=session), lmspan.Subscription)
    double("wrong")  # type: ignore[arg-type]
    lmspan.init(colour="blue")  # type: ignore[call-arg]
