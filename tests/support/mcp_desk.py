"""An MCP server over stdio with one tool, for whichever release of the MCP package is installed."""

try:
    from mcp.server.fastmcp import FastMCP as Server
except ImportError:
    from mcp.server import MCPServer as Server

server = Server("desk", log_level="ERROR")


@server.tool()
def forecast(city: str) -> str:
    """Forecast the weather."""
    if city == "nowhere":
        raise LookupError(city)
    return f"sun in {city}"


if __name__ == "__main__":
    server.run()
