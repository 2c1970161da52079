"""Make docs/trace.svg, the picture in the README: run the demo's program once and draw what `lmspan show` prints.

python docs/examples/picture.py
"""

import os
import re
import tempfile
from pathlib import Path

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "true"
os.environ["LMSPAN_DIR"] = tempfile.mkdtemp()

import dspy
from rich.console import Console

import lmspan
from lmspan.demo import program, script, server
from lmspan.terminal import tree
from lmspan.traces import Store

NOT_OURS = re.compile(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", re.DOTALL)  # fonts from the web, advertisement


def main() -> None:
    session = lmspan.init("travel-desk")
    with server.ScriptedServer(script.answer) as scripted:
        lm = dspy.LM("openai/gpt-4o-mini", api_base=scripted.url, api_key="none", cache=False)
        with dspy.context(lm=lm):
            program.TravelDesk()(trip="From Lisbon to Porto, tomorrow")
    session.force_flush()
    trace = Store(session.trace_directory).last()
    with Path(os.devnull).open("w") as nowhere:
        console = Console(width=100, record=True, file=nowhere, color_system="truecolor", force_terminal=True)
        console.print(tree.render(trace, content=True))
        svg = console.export_svg(title="lmspan show")
    Path(__file__).parent.parent.joinpath("trace.svg").write_text(NOT_OURS.sub("", svg))


if __name__ == "__main__":
    main()
