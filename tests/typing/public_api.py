"""What a type checker makes of the public API; checked by mypy, never run."""

import functools
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


@lmspan.tool("search")
def search(query: str) -> list[str]:
    return [query]


@lmspan.tool()
def count(words: list[str]) -> int:
    return len(words)


class Desk:
    @lmspan.tool
    @classmethod
    def above(cls, x: int) -> str:
        return str(x)

    @classmethod
    @lmspan.tool("below")
    def below(cls, x: int) -> str:
        return str(x)

    @lmspan.tool
    @staticmethod
    async def apart(x: int) -> str:
        return str(x)

    @property
    @lmspan.tool
    def size(self) -> int:
        return 1

    def __call__(self, x: int) -> str:
        return str(x)


async def use() -> None:
    assert_type(double(1), int)
    assert_type(await later(1), str)
    assert_type(list(stream()), list[int])
    assert_type([item async for item in astream()], list[int])
    assert_type(search("tea"), list[str])
    assert_type(count(["tea"]), int)
    assert_type((Desk.above(1), Desk().above(1), Desk.below(1)), tuple[str, str, str])
    assert_type(await Desk.apart(1), str)
    assert_type(Desk().size, int)
    assert_type(lmspan.tool(Desk()), Desk)
    assert_type(lmspan.agent("desk")(Desk())(1), str)
    assert_type(lmspan.tool(functools.partial(double, 1))(), int)
    assert_type(lmspan.tool(double, name="twice")(1), int)
    assert_type(lmspan.tool(property(double)), property)
    with lmspan.operation(lmspan.Operation.TOOL, "search", inputs={"q": "cats"}) as call:
        assert_type(call, lmspan.Call)
        call.outputs = ["a"]
    with lmspan.init("shop", exporters=["file"], capture_content="none") as session:
        assert_type(session, lmspan.Session)
        assert_type(session.force_flush(timeout_s=1.0), bool)
    assert_type(lmspan.subscribe({"on_tool_start": print}, scope=session), lmspan.Subscription)
    double("wrong")  # type: ignore[arg-type]
    search(1)  # type: ignore[arg-type]
    lmspan.tool(3)  # type: ignore[call-overload]
    lmspan.tool(name=3)  # type: ignore[call-overload]
    lmspan.tool("a", name="b")  # type: ignore[call-overload]
    lmspan.init(colour="blue")  # type: ignore[call-arg]
