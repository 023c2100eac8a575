"""The reporter: once a day the figures of the previous day, by e-mail. Runs as a process of its own.

`python -m dispatcher_service.reporter` stays up and sends every day at REPORT_AT; `--once` sends one day and ends,
`--print` shows it instead.
"""
