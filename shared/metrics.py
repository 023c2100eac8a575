"""Every metric, declared once; docs/metrics.md explains them.

`service` is not a label: the scraper names the job. Gauges of the state of all mailings come from the leader only.
"""

from collections.abc import Iterable
from itertools import product

from prometheus_client import Counter, Gauge, Histogram


def begin(counter: Counter, *values: Iterable[str]) -> None:
    """Shows each series of a counter at 0: increase() would miss the first of one that was not there before.

    values: of each label, in their order.
    """
    for labels in product(*values):
        counter.labels(*labels)


_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

# The API service
REQUESTS = Counter("api_requests_total", "HTTP requests answered", ["method", "endpoint", "status"])
REQUEST_SECONDS = Histogram("api_request_seconds", "Time to answer an HTTP request", ["endpoint"], buckets=_SECONDS)
LAUNCH_JOBS = Counter("api_launch_jobs_total", "Launch jobs by what became of them", ["result"])
IMPORTED_LINES = Counter("api_imported_lines_total", "Lines of imported files by what became of them", ["result"])
RECEIPTS = Counter("api_receipts_total", "Receipts of providers by what became of them", ["provider", "result"])
REFUSED = Counter("api_refused_total", "Requests and connections refused at the door", ["reason"])
DEPENDENCY_UP = Gauge(
    "api_dependency_up",
    "1 while every process of the service finds that it answers; of the database: that it takes writes",
    ["dependency"],
    multiprocess_mode="livemin",
)
KEYS_EXPIRING = Gauge("api_keys_expiring", "Keys that expire within 14 days", multiprocess_mode="livemostrecent")
LOG_LINES_LEFT_OUT = Counter("api_log_lines_left_out_total", "Lines of the log that were counted instead of written")

# The dispatcher: the pipeline
JOBS_RECEIVED = Counter("dispatcher_jobs_received_total", "Jobs received from the broker")
JOBS_BURIED = Counter("dispatcher_jobs_buried_total", "Jobs moved to the dead queue")
MESSAGES_CLAIMED = Counter("dispatcher_messages_claimed_total", "Messages claimed for sending")
MESSAGES_SKIPPED = Counter(
    "dispatcher_messages_skipped_total", "Messages of received jobs that were not to be sent (now)"
)
MESSAGES_REPEATED = Counter("dispatcher_messages_repeated_total", "Attempts after one that the provider may have taken")
MESSAGES_HANDED_BACK = Counter(
    "dispatcher_messages_handed_back_total", "Claimed messages given back unsent", ["reason"]
)
ATTEMPTS = Counter("dispatcher_attempts_total", "Provider calls by outcome", ["provider", "outcome"])
ERRORS = Counter("dispatcher_errors_total", "Provider calls that were not accepted, by error", ["error"])
RESULTS_LATE = Counter("dispatcher_results_late_total", "Results that came after the lease was lost; not recorded")
CALL_SECONDS = Histogram("dispatcher_call_seconds", "Time of one provider call", ["provider"], buckets=_SECONDS)
CALLS_OPEN = Gauge("dispatcher_calls_open", "Provider calls in flight", ["provider"])
CALLS_ALLOWED = Gauge("dispatcher_calls_allowed", "Provider calls that may be in flight", ["provider"])
PROVIDER_PACE = Gauge(
    "dispatcher_provider_pace",
    "Calls per second that a provider was last found to take; 0 as long as it takes all",
    ["provider"],
)
PROVIDER_LIMIT = Gauge(
    "dispatcher_provider_limit",
    "Calls per second that a provider's profile allows over all dispatchers; 0: no limit",
    ["provider"],
)
RATE_LIMIT = Gauge("dispatcher_rate_limit", "DISPATCH_RATE: messages per second over all dispatchers; 0: no limit")
PROVIDER_SHARE = Gauge(
    "feeder_provider_share", "The part of a provider's weight that counts: less while it errs or is slow", ["provider"]
)
PACE_FALLS = Counter(
    "dispatcher_pace_falls_total", "Times that the provider said it was too much, and the pace fell", ["provider"]
)
BREAKER_OPEN = Gauge("dispatcher_breaker_open", "1 while the breaker is open", ["provider", "reason"])
ATTEMPTS_SPARED = Counter(
    "dispatcher_attempts_spared_total", "Calls that failed and spent no attempt: the provider served nobody", ["error"]
)
MAILINGS_HELD = Counter("dispatcher_mailings_held_total", "Mailings held back: their calls came to nothing")
BROKER_RECONNECTS = Counter("dispatcher_broker_reconnects_total", "Connections to the broker that were lost")
KNOWN_ID = Gauge("dispatcher_known_id", "The highest id of a message that this process knows to have been given")
DISK_FREE = Gauge("dispatcher_disk_free_share", "The part that is free of the disk with a place", ["place"])
STORE_RETRIES = Counter("dispatcher_store_retries_total", "Transactions tried again after the database failed")

# Whoever is the first to see it: a launch, a claim, or the API
MESSAGES_LEFT_OUT = Counter("messages_left_out_total", "Messages that ended as `skipped`, by reason", ["reason"])

# The dispatcher: the feeder
LEADER = Gauge("feeder_leader", "1 in the process that feeds")
MAILINGS_HALTED = Counter("feeder_mailings_halted_total", "Mailings paused: the provider refused all of their messages")
MESSAGES_WOKEN = Counter(
    "feeder_messages_woken_total", "Messages that were due at once after an outage of the provider"
)
MESSAGES_CREATED = Counter("feeder_messages_created_total", "Messages created by launches")
MESSAGES_PUBLISHED = Counter("feeder_messages_published_total", "Messages put on the broker")
RECEIPTS_SETTLED = Counter(
    "feeder_receipts_settled_total", "Receipts that had come too early, by what became of them", ["result"]
)
MESSAGES_RESCUED = Counter("feeder_messages_rescued_total", "Messages whose lease ran out")
CLOCK_STEPS = Counter("feeder_clock_steps_total", "Steps of the database's clock; no lease is rescued for a while")
MESSAGES_CLOSED = Counter("feeder_messages_closed_total", "Messages closed because their mailing was over", ["state"])
MAILINGS = Gauge("feeder_mailings", "Mailings by state", ["state"])
MESSAGES = Gauge("feeder_messages", "Open messages by state", ["state"])
LEDGER_DIFFERENCE = Gauge(
    "feeder_ledger_difference", "Messages by which counters and rows disagree; anything but 0 is wrong"
)
TOTALS_DIFFERENCE = Gauge(
    "feeder_totals_difference", "Audience minus messages in the totals; anything but 0 is a defect"
)
SUPPRESSED_LATE = Counter(
    "feeder_suppressed_late_total", "Clients who were flagged only when their suppression was applied the second time"
)
HINTS_MENDED = Counter("feeder_hints_mended_total", "Mailings with something to do that nobody would have looked at")
DISPATCHERS_WANTED = Gauge(
    "feeder_dispatchers_wanted", "Dispatchers that there should be, so that mailings meet their ends"
)
OLDEST_DUE = Gauge(
    "feeder_oldest_due_seconds",
    "For how long the message of a class has been due that is due for longest",
    ["priority"],
)
BACKLOG = Gauge("feeder_backlog_jobs", "Jobs waiting on the broker")
REMOVED = Counter("feeder_removed_total", "What was removed because it had been kept for long enough", ["what"])
CHORE_LAST_RUN = Gauge("feeder_chore_last_run_seconds", "Unix time of the last completed run of a chore", ["chore"])
SET_ASIDE = Gauge("feeder_set_aside", "Mailings for which a chore failed and is tried again", ["chore"])
ACT_FAILURES = Counter("feeder_act_failures_total", "Acts for a mailing that failed", ["chore", "reason"])

# The reporter
REPORTS = Counter("reporter_reports_total", "Daily reports by what became of them", ["result"])
REPORT_LAST_SENT = Gauge("reporter_last_sent_seconds", "Unix time at which a report was last sent; 0: never")
REPORTS_OWED = Gauge("reporter_reports_owed", "Days whose report is due and was not sent")
