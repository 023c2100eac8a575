/* Claim, lease and settle: how a message gets to the provider and its result into the books, in Promela.
 *
 * A step that is atomic here is one transaction, one publish, or one look and what follows from it at once. Between two
 * steps everything else may happen, so every part may be slow, or frozen, at every point. Faults are drawn from a budget;
 * what the provider answers is not. README.md says what is left out, and what was found.
 *
 * Time is known only as what is over and what is not. FAR and NEAR lie before messages.due_at, NOW behind it:
 *
 *     sending    FAR: the lease outlasts a call that begins now. NEAR: it lasts, but not so long. NOW: it ran out
 *     retrying   FAR, NEAR: on its rung. NOW: due
 *     pending    NEAR: waits. NOW: due
 *
 * The mutants, -DNO_FENCING and so on, leave out one precaution each. */

#ifndef MESSAGES
#define MESSAGES 1                      /* 1 or 2, of one mailing */
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef ACTS
#define ACTS 2                          /* of users, and the mailing's end */
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2                      /* RetryPolicy.attempts */
#endif

#define FAR  0
#define NEAR 1
#define NOW  2

mtype:state = { pending, sending, retrying, sent, failed, unknown, expired, cancelled };   /* MessageState */

/* What a dispatcher knows of a message of its claim. */
mtype:step = { none, held, begun, wired,        /* claimed, handed to libcurl, the request written */
               accepted, refused, transient, ambiguous, unsent };       /* results that are not recorded yet */

typedef Row {                           /* of the table `messages` */
    mtype:state status = pending;
    byte due = NOW;                     /* due_at */
    byte token;                         /* claim_id; 0: nobody sends it */
    byte attempts;
    bool maybe                          /* maybe_delivered: the answer of some call, or its lease, was lost; for good */
};

typedef Claim {                         /* in the memory of a dispatcher */
    byte token;
    byte job;                           /* the set of messages that its job names; 0: it has nothing in hand */
    mtype:step step[MESSAGES] = none;
    bool stale                          /* start_by has passed */
};

#if MESSAGES == 1
#define SETS 2
#else
#define SETS 4
#endif

Row row[MESSAGES];
Claim claim[2];                         /* of two dispatchers */
bool jobs[SETS];                        /* on the broker, or in a prefetch, by the set of messages that they name */
bool passed[MESSAGES];                  /* the leader's cursor is past it: only a look begins before it */
bool paused, called_off, ended;         /* of the mailing: paused_at, cancelled_at, ends_at <= now */
bool halted;                            /* paused or cancelled for longer than STALE */
byte wire[MESSAGES];                    /* a call that the provider has not answered, and whose time-out has not passed */
byte owner[MESSAGES];                   /* whose call it is */
byte faults = FAULTS;
byte acts = ACTS;

#define IN_TIME 1                       /* it was written while the lease outlasted it */
#define LATE    2

/* What is counted for the properties alone. */
byte taken[MESSAGES];                   /* how often the provider accepted the message */
byte repeated[MESSAGES];                /* the tally `repeated` */
bool doubt[MESSAGES];                   /* an answer was lost, or a lease */

hidden byte i, fresh, ready;            /* means of single steps */

#define has(set, m)     ((set) & (1 << (m)))
#define over            (called_off || ended)
#define is_final(m)     (row[m].status == sent || row[m].status == failed || row[m].status == unknown \
                         || row[m].status == expired || row[m].status == cancelled)
#define is_waiting(m)   (row[m].status == pending || row[m].status == retrying)
#define is_due(m)       (is_waiting(m) && row[m].due == NOW)
#define is_unread(m)    (is_due(m) && !passed[m])
#if defined CLAIM_SENDING               /* messages.fragments.MAY_BE_SENT */
#define may_claim(m)    (is_due(m) || row[m].status == sending)
#elif defined CLAIM_EARLY
#define may_claim(m)    (is_waiting(m))
#else
#define may_claim(m)    (is_due(m))
#endif

#define has_result(d, m) (claim[d].step[m] == accepted || claim[d].step[m] == refused || claim[d].step[m] == transient \
                          || claim[d].step[m] == ambiguous || claim[d].step[m] == unsent)
#define sends(d, m)     (claim[d].step[m] != none && claim[d].token == row[m].token)
#define is_at_work(m)   (row[m].status == sending && (sends(0, m) || sends(1, m)))
#if MESSAGES == 1
#define all_final       (is_final(0))
#define some_unread     (is_unread(0))
#define is_idle(d)      (claim[d].step[0] == none)
#define any_result(d)   (has_result(d, 0))
#else
#define all_final       (is_final(0) && is_final(1))
#define some_unread     (is_unread(0) || is_unread(1))
#define is_idle(d)      (claim[d].step[0] == none && claim[d].step[1] == none)
#define any_result(d)   (has_result(d, 0) || has_result(d, 1))
#endif

/* The lease by the dispatcher's own clock, Attempt.lease_until. It counts from a moment before the claim, so the row,
 * which is asked here, never says less. */
#define lease_lasts(d, m)         (sends(d, m) && row[m].due != NOW)
#define lease_outlasts_call(d, m) (sends(d, m) && row[m].due == FAR)

#if defined NO_LEASE_CHECK
#define may_call(d, m)  (!ended)
#elif defined SHORT_LEASE
#define may_call(d, m)  (!ended && lease_lasts(d, m))
#else
#define may_call(d, m)  (!ended && lease_outlasts_call(d, m))
#endif
#ifdef LOOK_ONCE
#define may_write(d, m) (true)
#else
#define may_write(d, m) (may_call(d, m))
#endif
#ifdef NO_STALE_CHECK
#define is_stale(d)     (false)
#else
#define is_stale(d)     (claim[d].stale)
#endif

/* ---------------------------------------------------------------- the database: shared/messages/ */

inline move(m, after, when) {
    assert(!is_final(m));               /* final states are final */
    row[m].status = after;
    row[m].due = when;
    row[m].token = 0;
    passed[m] = false                   /* the cursor is nowhere past what is due from now on, or later */
}

inline finish(m, after) {
    assert(wire[m] == 0);               /* nothing is decided while a call is open */
    assert(after != sent || taken[m]);  /* `sent` is what the provider has */
    assert(after == sent || after == unknown || !taken[m]);     /* the others are certainly not delivered by us */
    move(m, after, FAR);
    row[m].attempts = 0; row[m].maybe = false;                  /* no more asked for: fewer states */
    taken[m] = 0; repeated[m] = 0; doubt[m] = false
}

inline close_as(m, after) {             /* messages._closing, RetryPolicy.decide */
    if
    :: row[m].maybe -> finish(m, unknown)
    :: else -> finish(m, after)
    fi
}

/* messages.claim. A sequence gives the token, nextval('claims'); here it is the least number that nobody remembers. */
inline make_claim(d, set) {
    fresh = 1;
    do
    :: fresh == claim[1 - d].token || fresh == row[0].token || fresh == row[MESSAGES - 1].token -> fresh++
    :: else -> break
    od;
    ready = 0;
    if
    :: over || paused                   /* they are left alone, and not fed */
    :: else ->
        for (i : 0 .. MESSAGES - 1) {
            if
            :: has(set, i) && may_claim(i) ->
                assert(row[i].attempts < ATTEMPTS);
                assert(row[i].status != retrying || row[i].due == NOW);         /* no attempt before its rung has passed */
                ready = ready | (1 << i);
                move(i, sending, FAR);
                row[i].token = fresh;
                repeated[i] = repeated[i] + row[i].maybe
            :: else
            fi
        }
    fi
}

inline write_result(d, m) {             /* a row of messages.record, by RetryPolicy.decide */
    if
    :: claim[d].step[m] == unsent ->    /* HandBack: no attempt is spent */
        repeated[m] = repeated[m] - row[m].maybe;
        move(m, pending, NEAR)
    :: claim[d].step[m] == accepted -> finish(m, sent)
#ifdef REFUSAL_DECIDES
    :: claim[d].step[m] == refused -> finish(m, failed)
#else
    :: claim[d].step[m] == refused -> close_as(m, failed)
#endif
    :: claim[d].step[m] == transient || claim[d].step[m] == ambiguous ->
        row[m].attempts++;
        doubt[m] = doubt[m] || claim[d].step[m] == ambiguous;
#ifdef LAST_ANSWER_DECIDES
        row[m].maybe = claim[d].step[m] == ambiguous;
#else
        row[m].maybe = row[m].maybe || claim[d].step[m] == ambiguous;
#endif
        if
        :: row[m].attempts < ATTEMPTS && !ended -> move(m, retrying, FAR)
        :: row[m].attempts < ATTEMPTS && ended -> close_as(m, expired)
        :: else -> close_as(m, failed)
        fi
    fi
}

#ifdef NO_FENCING
#define may_record(d, m) (row[m].status == sending)
#else
#define may_record(d, m) (row[m].token == claim[d].token)
#endif

inline record(d) {                      /* messages.record; what comes too late is not written */
    for (i : 0 .. MESSAGES - 1) {
        if
        :: has_result(d, i) && may_record(d, i) -> write_result(d, i)
        :: else
        fi
    }
}

/* ---------------------------------------------------------------- the leader: dispatcher_service/leading/
 *
 * One step of the leader does these one after the other; here they come in any order, which is more. There is one leader:
 * the advisory lock belongs to the connection that does the work. */

inline read(set) {                      /* leading.cursor: what is due behind the cursor; no row is written */
    set = 0;
    for (i : 0 .. MESSAGES - 1) {
        if
        :: is_unread(i) -> set = set | (1 << i); passed[i] = true
        :: else
        fi
    }
}

proctype Feed() {                       /* leading.feed, leading.publisher */
    byte some;
end:
    do
    :: atomic { !over && !paused && some_unread -> read(some); jobs[some] = true; some = 0 }
    :: atomic { !over && !paused && some_unread && faults > 0 -> faults--; read(some); some = 0 }  /* it cannot publish */
    od
}

/* A commit becomes visible behind the cursor. Whatever it is that the cursor has passed and that nobody has claimed, a look
 * begins before it: the one of every second, the one of every half minute, or the first one of another leader. */
proctype Cursor(byte m) {
end:
    do
    :: atomic { is_unread(m) && faults > 0 -> faults--; passed[m] = true }
#ifndef TRUST_CURSOR
    :: atomic { is_due(m) && passed[m] -> passed[m] = false }
#endif
    od
}

proctype Rescue(byte m) {               /* messages.rescue */
end:
    do
    :: atomic {
        row[m].status == sending && row[m].due == NOW ->
        row[m].attempts++;
        row[m].maybe = true;            /* lease_lost */
        doubt[m] = true;
        if
        :: row[m].attempts >= ATTEMPTS || over -> finish(m, unknown)
        :: else -> move(m, pending, NOW)
        fi
#ifdef RESCUE_FORGETS
        ; row[m].maybe = false
#endif
    }
    od
}

#ifdef CLOSE_SENDING
#define is_closable(m)  (is_waiting(m) || row[m].status == sending)
#else
#define is_closable(m)  (is_waiting(m))
#endif

proctype Close(byte m) {                /* messages.close */
end:
    do
    :: atomic { over && is_closable(m) -> close_as(m, (called_off -> cancelled : expired)) }
    od
}

/* ---------------------------------------------------------------- a dispatcher: dispatcher_service/pipeline/, sending/
 *
 * Recorder._take_turn records and claims in one transaction; here they are two, which allows more. A dispatcher has one claim
 * at a time: one that has several is several of these. When its job is acked makes a difference only if it dies: then
 * the job comes again, or does not. */

inline forget(d) {
    claim[d].token = 0;
    claim[d].job = 0;
    claim[d].stale = false;
    for (i : 0 .. MESSAGES - 1) { claim[d].step[i] = none }
}

inline receive_and_claim(d, set) {      /* Intake._accept, Recorder._take_claim */
    jobs[set] = false;
    make_claim(d, set);
    if
    :: ready ->
        claim[d].token = fresh;
        claim[d].job = set;
        for (i : 0 .. MESSAGES - 1) { claim[d].step[i] = (has(ready, i) -> held : none) }
    :: else
    fi
}

inline settle(d) {                      /* a wake-up that is lost or late changes nothing: it is none of these steps */
    for (i : 0 .. MESSAGES - 1) { claim[d].step[i] = (has_result(d, i) -> none : claim[d].step[i]) }
    if
    :: is_idle(d) -> forget(d)
    :: else
    fi
}

inline work_on(d, m) {
    if
    :: claim[d].step[m] == held ->      /* Sender._start */
        if
        :: may_call(d, m) && !is_stale(d) ->
            assert(!halted);            /* nothing is begun while paused or cancelled, but for STALE */
            claim[d].step[m] = begun
        :: else -> claim[d].step[m] = unsent
        fi
    :: claim[d].step[m] == begun ->     /* Call._check: right before libcurl writes */
        if
        :: may_write(d, m) ->
            assert(wire[m] == 0);       /* never two calls of one message at the same time */
            assert(!ended);             /* nothing is handed over after the end */
            assert(!is_final(m));       /* nor after it was closed */
            wire[m] = (lease_outlasts_call(d, m) -> IN_TIME : LATE);
            owner[m] = d;
            claim[d].step[m] = wired
        :: else -> claim[d].step[m] = unsent
        fi
    fi
}

proctype Dispatcher(byte d) {
end:
    do
    :: atomic { is_idle(d) && jobs[1] -> receive_and_claim(d, 1) }
    :: atomic { is_idle(d) && jobs[1] && faults > 0 -> faults--; make_claim(d, 1) }     /* the commit's answer is lost */
    :: atomic { claim[d].step[0] == held || claim[d].step[0] == begun -> work_on(d, 0) }
    :: atomic { claim[d].step[0] == begun -> claim[d].step[0] = transient }             /* no connection */
    :: atomic { claim[d].step[0] == held && faults > 0 -> faults--; claim[d].step[0] = unsent }    /* the breaker, a stop */
#if MESSAGES == 2
    :: atomic { is_idle(d) && jobs[2] -> receive_and_claim(d, 2) }
    :: atomic { is_idle(d) && jobs[3] -> receive_and_claim(d, 3) }
    :: atomic { is_idle(d) && jobs[3] && faults > 0 -> faults--; make_claim(d, 3) }
    :: atomic { claim[d].step[1] == held || claim[d].step[1] == begun -> work_on(d, 1) }
    :: atomic { claim[d].step[1] == begun -> claim[d].step[1] = transient }
    :: atomic { claim[d].step[1] == held && faults > 0 -> faults--; claim[d].step[1] = unsent }
#endif
    :: atomic { any_result(d) -> record(d); settle(d) }
    :: atomic { any_result(d) && faults > 0 -> faults--; record(d) }    /* the commit's answer is lost: once more */
    :: atomic { claim[d].job && faults > 0 -> faults--; jobs[claim[d].job] = true; forget(d) }  /* kill -9, job not acked */
    :: atomic { claim[d].job && faults > 0 -> faults--; forget(d) }                             /* kill -9, job acked */
    od
}

/* ---------------------------------------------------------------- what is around */

inline accept(m) {
    taken[m]++;
    assert(taken[m] == 1 || doubt[m]);          /* once, but for a lost answer */
    assert(taken[m] <= 1 + repeated[m])         /* and then it is counted */
}

inline answer(m, outcome) {                     /* unless whoever asked has died */
    claim[owner[m]].step[m] = (claim[owner[m]].step[m] == wired -> outcome : claim[owner[m]].step[m])
}

proctype Provider(byte m) {
end:
    do
    :: atomic {
        wire[m] != 0 ->
        if
        :: accept(m); answer(m, accepted)
        :: accept(m); answer(m, ambiguous)      /* its answer is lost, or comes too late */
        :: answer(m, refused)
        :: answer(m, transient)
        :: answer(m, ambiguous)                 /* the request never arrived */
        fi;
        wire[m] = 0;
        owner[m] = 0
    }
    od
}

/* The lease margin: by the end of a lease, a call that was written while the lease outlasted it has been answered, or its
 * time-out has passed. That a dispatcher that lives is slower than its lease is a fault. */
proctype Clock(byte m) {
end:
    do
    :: atomic { !is_final(m) && row[m].due == FAR && !is_at_work(m) -> row[m].due = NEAR }
    :: atomic { !is_final(m) && row[m].due == FAR && is_at_work(m) && faults > 0 -> faults--; row[m].due = NEAR }
    :: atomic { !is_final(m) && row[m].due == NEAR && (row[m].status != sending || wire[m] != IN_TIME) -> row[m].due = NOW }
    od
}

proctype HalfASecond() {                /* attempt.STALE, after a pause or a cancel */
end:
    do
    :: atomic {
        (paused || called_off) && !halted ->
        halted = true;
        claim[0].stale = claim[0].job != 0;
        claim[1].stale = claim[1].job != 0
    }
    od
}

proctype Broker() {
end:
    do
    :: atomic { faults > 0 -> faults--; for (i : 0 .. SETS - 1) { jobs[i] = false } }           /* it loses everything */
    :: atomic { faults > 0 && claim[0].job -> faults--; jobs[claim[0].job] = true }             /* it delivers a job again */
    od
}

proctype User() {
end:
    do
    :: atomic { acts > 0 && !over && !paused -> acts--; paused = true }
    :: atomic { paused -> paused = false; halted = called_off && halted }
    :: atomic { acts > 0 && !over -> acts--; called_off = true }
    :: atomic { acts > 0 && !over -> acts--; ended = true }
    od
}

/* It has no end label: where nothing can happen any more, every message has its final state, or this is stuck. */
init {
    atomic {
        for (i : 0 .. MESSAGES - 1) { run Rescue(i); run Close(i); run Provider(i); run Clock(i); run Cursor(i) }
        run Dispatcher(0); run Dispatcher(1);
        run Feed(); run Broker(); run HalfASecond(); run User()
    }
    all_final
}

ltl ends { <> all_final }
