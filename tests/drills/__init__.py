"""Drills: a state is brought about on a deployment that runs, and alarm, runbook and remedy are held to what they say.

`make drill` lists them, `make drill NAME` carries one out. Each is a file here, with what it brings about, the alarm
that it must raise, and the remedy as the page of docs/runbooks has it; `run.py` is the order of steps that all have.
"""
