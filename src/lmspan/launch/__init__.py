"""`lmspan run`: record a program without changing it.

    lmspan run PROGRAM     becomes `python PROGRAM` by exec, with `startup/` first on PYTHONPATH and LMSPAN_RUN set
    Python, at its start   imports `startup/sitecustomize.py`, which calls `recording.start()` before the program runs
    a child process        inherits both; recording starts when it imports one of the supported libraries

Python itself runs the program. Therefore `__main__`, `sys.path`, tracebacks, exit statuses and signals are those of
Python without lmspan.
"""
