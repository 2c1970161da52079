"""What recording costs, side by side with what the same costs otherwise: `python -m benchmarks --help`.

programs.py      the programs, each a function without arguments
contenders.py    what records them: nothing, the SDK, the libraries' own callbacks, lmspan in its modes, other packages
peers.py         environments of the other packages, outside the tree
worker.py        the process of one contender: answers requests on its standard input
measuring.py     starts workers, asks them in turn, keeps the figures
callgrind.py     counts instructions, where valgrind is installed
experiments.py   what is measured once for each process: loss, memory, tail latency, start
sections.py      one function for each table
tables.py        tables as text and as Markdown

`page`, `reading`, `redaction` and `scenarios` measure other things, and are commands of their own.
"""
