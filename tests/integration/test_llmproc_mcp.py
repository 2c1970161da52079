"""MCP tools of LLMProc programs. LLMProc 0.9.5 knows the MCP package before its release 2 only."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import mcp.types
import pytest
from llmproc.tools.mcp import MCPServerTools
from llmproc.tools.mcp.manager import create_mcp_tool_handler

from lmspan import semconv as sc
from lmspan.demo.server import Reply
from lmspan.testing import recording
from support import mcp_desk
from support.llmproc import MODEL, asking, program
from support.wires import called, serving

ASK = called(("toolu_1", "desk__forecast", {"city": "Graz"}), ("toolu_2", "desk__forecast", {"city": "nowhere"}))
SUN = Reply("sun")
KNOWN = "inputSchema" in mcp.types.Tool.model_fields


class Desk:
    """Stands for the servers of a program, as LLMProc asks them."""

    async def call_tool(self, name, arguments):
        if arguments["city"] == "Linz":
            raise ConnectionError("the server has gone")
        return SimpleNamespace(isError=arguments["city"] == "nowhere", content=[{"type": "text", "text": "sun"}])


def told(span):
    return {key: span.attributes.get(key) for key in (sc.MCP_METHOD, sc.TOOL_CALL_ID, sc.ERROR_TYPE)}


async def test_a_tool_of_an_mcp_server_is_marked_and_its_error_is_the_servers():
    lost = called(("toolu_3", "desk__forecast", {"city": "Linz"}))
    with serving(ASK, lost, SUN) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        process = await program().start()
        handler = create_mcp_tool_handler(Desk(), "desk__forecast")
        process.tool_manager.runtime_registry.register_tool("desk__forecast", handler, {"name": "desk__forecast"})
        await process.run("Weather?")
    recorded.assert_conventions()
    tools = recorded.named("execute_tool desk__forecast")
    assert [told(span) for span in tools] == [
        {sc.MCP_METHOD: "tools/call", sc.TOOL_CALL_ID: "toolu_1", sc.ERROR_TYPE: None},
        {sc.MCP_METHOD: "tools/call", sc.TOOL_CALL_ID: "toolu_2", sc.ERROR_TYPE: "tool_error"},
        {sc.MCP_METHOD: "tools/call", sc.TOOL_CALL_ID: "toolu_3", sc.ERROR_TYPE: "ConnectionError"},
    ]
    assert json.loads(tools[0].attributes[sc.TOOL_CALL_RESULT]) == {"result": [{"type": "text", "text": "sun"}]}


async def test_a_real_server_over_stdio():
    desk = {"type": "stdio", "command": sys.executable, "args": [str(Path(mcp_desk.__file__))]}
    made = program(MCPServerTools(server="desk"), mcp_servers={"desk": desk})
    with serving(ASK, SUN) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        if not KNOWN:
            with pytest.raises(AttributeError, match="inputSchema"):
                await made.start()
            assert recorded.spans == []
            return
        process = await made.start()
        await process.run("Weather?")
        await process.aclose()
    recorded.assert_conventions()
    recorded.assert_tree(f"""
      invoke_agent helper
        turn
          chat {MODEL}
          execute_tool desk__forecast
          execute_tool desk__forecast !
        turn
          chat {MODEL}""")
    good, bad = recorded.named("execute_tool desk__forecast")
    assert told(good) == {sc.MCP_METHOD: "tools/call", sc.TOOL_CALL_ID: "toolu_1", sc.ERROR_TYPE: None}
    assert told(bad) == {sc.MCP_METHOD: "tools/call", sc.TOOL_CALL_ID: "toolu_2", sc.ERROR_TYPE: "tool_error"}
    assert '"text":"sun in Graz"' in good.attributes[sc.TOOL_CALL_RESULT]
