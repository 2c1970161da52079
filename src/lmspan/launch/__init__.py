"""Run a program that does not know of lmspan, recorded: `lmspan run`.

    lmspan run PROGRAM     becomes `python PROGRAM` by exec, with `startup/` first on PYTHONPATH and LMSPAN_RUN set
    Python, at its start   imports `startup/sitecustomize.py`, which calls `recording.start()` before the program runs
    a child of it          inherits both; it is recorded from the moment in which it imports a library of ours

Python runs the program by itself, so there is nothing to imitate: `__main__`, `sys.path`, tracebacks, exit statuses
and signals are Python's own.
"""
