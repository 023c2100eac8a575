"""What is removed when it has been kept for long enough, by the leader's chores; `--dry-run` of this package says what.

Figures are of counters and tallies and never of messages, so they stay when those go. A mailing first says that its
messages are removed (`messages_removed_at`), and only then they are: nobody takes what is missing for a mistake.
"""
