"""The one writer of message states. Every move is a compare-and-set: a row in another state is left alone.

Who moves what; each move has a module, with its statements below it:

    leader       create, rescue (a lease ran out), close (the mailing is over), retime (its window changed)
    dispatcher   claim (→ sending), record (what the attempt led to)
    API service  cancel (a client is deleted)
    a command    give_up (the database was restored to an earlier moment)

That the leader reads what is due (`due`) and puts it on the broker moves nothing.

All functions run inside a transaction of the caller's and enter what they moved in its ledger (`shared.ledger`).
Only `record` waits for rows that somebody else has locked; the others skip them. The clock is the database's: `now()`
of the transaction.

The statements leave the planner no choice that depends on statistics: a launch turns an empty table into one of a
million rows within seconds, long before anybody has analysed it.
"""
