-- Printed by `python -m dispatcher_service.statements`. What stands behind a colon is bound.

-- shared.messages.cancel._CANCEL_CLIENT
with job as materialized (
    select m.id, m.status from mailings g cross join lateral (
        select id, status from messages where mailing_id = g.id and client_id = :client_id and status in ('pending', 'queued', 'retrying')
        for update skip locked) m
    where g.finished_at is null
), moved as (
    update messages m set due_at = null,
    status = case when m.maybe_delivered then 'unknown' else cast(:state as message_state) end from job where m.id = job.id
    returning m.mailing_id, job.status as before, m.status as after
)
select mailing_id, before, after, count(*) as number from moved group by mailing_id, before, after;

-- shared.messages.cancel._CANCEL_LOCKED
with job as materialized (select id, status from messages where id = any(cast(:ids as bigint[]))), moved as (
    update messages m set due_at = null,
    status = case when m.maybe_delivered then 'unknown' else cast(:state as message_state) end from job where m.id = job.id
    returning m.mailing_id, job.status as before, m.status as after
)
select mailing_id, before, after, count(*) as number from moved group by mailing_id, before, after;

-- shared.messages.claim._MAILING
select id, text, ends_at, window_from, window_until, now() as now, paused_at is not null as paused,
cancelled_at is not null or ends_at <= now() as over , nextval('claims') as claim_id
from mailings where id = :mailing_id;

-- shared.messages.claim._RESERVE
update send_rate set next_at = greatest(next_at, now()) + :span where id = 1
returning extract(epoch from next_at - cast(:span as interval) - now());

-- shared.messages.claim._WAIT
update messages set due_at = due_at + :wait where id = any(cast(:ids as bigint[]));

-- shared.messages.claim._MOVE_TO_SENDING
with job as materialized (
    select m.id, m.status, m.client_id, m.attempts, m.maybe_delivered, c.phone, c.timezone
    from unnest(cast(:ids as bigint[])) as job (id)
    cross join lateral (select * from messages where id = job.id limit 1 for update skip locked) m
    left join lateral (select phone, timezone from clients where id = m.client_id limit 1) c on true
    where
    m.mailing_id = :mailing_id
    and (m.status = 'queued' or m.status = 'retrying' and m.due_at <= now() + interval '30 s')
    and c.phone is not null
    and (cast(:zones as text[]) is null or c.timezone = any(cast(:zones as text[])))
), moved as (
    update messages set status = 'sending', claim_id = :claim_id, due_at = now() + :lease
    where id = any(array(select id from job))
)
select * from job;

-- shared.messages.claim._ZONES
select distinct c.timezone
from unnest(cast(:ids as bigint[])) as job (id)
cross join lateral (select client_id from messages where id = job.id limit 1) m
cross join lateral (select timezone from clients where id = m.client_id limit 1) c;

-- shared.messages.close._CLOSE
with job as materialized (
    select id, status from messages where mailing_id = :mailing_id and status in ('pending', 'queued', 'retrying')
    order by due_at limit :limit for update skip locked
), moved as (
    update messages m set due_at = null,
    status = case when m.maybe_delivered then 'unknown' else cast(:state as message_state) end from job where m.id = job.id
    returning m.mailing_id, job.status as before, m.status as after
)
select mailing_id, before, after, count(*) as number from moved group by mailing_id, before, after;

-- shared.messages.create._LOCK_LAUNCH
select id, operator_codes, tags, audience_cursor, ends_at <= now() as over,
coalesce(audience_limit, (select coalesce(max(id), 0) from clients)) as audience_limit
from mailings where id = :mailing_id and launched_at is null and cancelled_at is null and starts_at <= now()
for update;

-- shared.messages.create._CREATE
with audience as (
    select id from clients where id > :audience_cursor and id <= :audience_limit
    and (cast(:operator_codes as text[]) = '{}' or operator_code = any(cast(:operator_codes as text[])))
    and (cast(:tags as text[]) = '{}' or tag = any(cast(:tags as text[])))
    order by id limit :limit
), created as (
    insert into messages (mailing_id, client_id, status, due_at)
    select :id, id, cast(:state as message_state), case when :state = 'pending' then now() end
    from audience order by id returning client_id
)
select count(*) as number, max(client_id) as last from created;

-- shared.messages.create._MOVE_CURSOR
update mailings set audience_limit = :audience_limit, audience_cursor = :cursor, audience = audience + :count,
launched_at = case when :complete then now() end
where id = :id;

-- shared.messages.fragments._LOCK_JOB
select m.id, m.status, c.timezone
from unnest(cast(:ids as bigint[])) as job (id)
cross join lateral (select * from messages where id = job.id limit 1 for update skip locked) m
left join lateral (select phone, timezone from clients where id = m.client_id limit 1) c on true
where
m.mailing_id = :mailing_id
and (m.status = 'queued' or m.status = 'retrying' and m.due_at <= now() + interval '30 s');

-- shared.messages.fragments.PUT_BACK
update messages set status = 'pending', due_at = :due_at where id = any(cast(:ids as bigint[]));

-- shared.messages.hand_back._NOW
select now();

-- shared.messages.make_due._MAKE_DUE
with job as materialized (
    select m.id from mailings g cross join lateral (
        select id from messages where mailing_id = g.id and status = 'queued' and due_at > now()
        order by due_at for update skip locked) m
    where g.finished_at is null
)
update messages m set due_at = now() from job where m.id = job.id;

-- shared.messages.record._FINISH
with moved as (
    update messages m set claim_id = null,
    attempts = m.attempts + 1, error = :error, maybe_delivered = m.maybe_delivered or :ambiguous, status = cast(:after as message_state), due_at = null,
    sent_at = case when :after = 'sent' then job.moment end
    from (
        select id, claim_id, coalesce(moment, now()) as moment
        from unnest(
            cast(:ids as bigint[]), cast(:claims as bigint[]), cast(:moments as timestamptz[])
        ) as job (id, claim_id, moment)
    ) job
    where m.id = job.id and m.claim_id = job.claim_id returning m.mailing_id, job.moment
)
select mailing_id, date_bin('15 minutes', moment, timestamptz '2000-01-01 00:00:00+00') as quarter, count(*) as number, min(moment) as first, max(moment) as last
from moved group by mailing_id, quarter;

-- shared.messages.record._RETRY
with moved as (
    update messages m set claim_id = null, attempts = m.attempts + 1, error = :error, maybe_delivered = m.maybe_delivered or :ambiguous, status = 'retrying', due_at = now() + :delay + interval '30 s'
    from (
        select id, claim_id, coalesce(moment, now()) as moment
        from unnest(
            cast(:ids as bigint[]), cast(:claims as bigint[]), cast(:moments as timestamptz[])
        ) as job (id, claim_id, moment)
    ) job
    where m.id = job.id and m.claim_id = job.claim_id returning m.mailing_id, job.moment
)
select mailing_id, date_bin('15 minutes', moment, timestamptz '2000-01-01 00:00:00+00') as quarter, count(*) as number, min(moment) as first, max(moment) as last
from moved group by mailing_id, quarter;

-- shared.messages.record._RETURN
with moved as (
    update messages m set claim_id = null, status = 'pending', due_at = now() + :pause
    from (
        select id, claim_id, coalesce(moment, now()) as moment
        from unnest(
            cast(:ids as bigint[]), cast(:claims as bigint[]), cast(:moments as timestamptz[])
        ) as job (id, claim_id, moment)
    ) job
    where m.id = job.id and m.claim_id = job.claim_id returning m.mailing_id, job.moment
)
select mailing_id, date_bin('15 minutes', moment, timestamptz '2000-01-01 00:00:00+00') as quarter, count(*) as number, min(moment) as first, max(moment) as last
from moved group by mailing_id, quarter;

-- shared.messages.rescue._RESCUE
with job as materialized (
    select id, status, attempts + 1 >= :attempts or (
        select cancelled_at is not null or ends_at <= now() from mailings where id = mailing_id) as last
    from messages where status in ('sending') and due_at <= now()
    order by due_at limit :limit for update skip locked
), moved as (
    update messages m set claim_id = null, attempts = m.attempts + 1, error = 'lease_lost', maybe_delivered = true,
    status = case when job.last then 'unknown'::message_state else 'pending' end,
    due_at = case when job.last then null else now() end from job where m.id = job.id
    returning m.mailing_id, job.status as before, m.status as after
)
select mailing_id, before, after, count(*) as number from moved group by mailing_id, before, after;

-- shared.messages.retime._RETIME
with job as materialized (
    select id from messages where mailing_id = :mailing_id and status = 'pending' and due_at > now()
    order by due_at limit :limit for update skip locked
)
update messages m set due_at = now() from job where m.id = job.id;

-- shared.messages.take._MAILING
select id, text, ends_at, window_from, window_until, now() as now, paused_at is not null as paused,
cancelled_at is not null or ends_at <= now() as over
from mailings where id = :mailing_id;

-- shared.messages.take._DUE
with job as materialized (
    select id, status, cast(null as text) as timezone
    from messages m where mailing_id = :mailing_id and due_at <= now() and status in ('pending', 'queued', 'retrying')
    order by due_at limit :limit for update skip locked
)
select timezone, status, array_agg(id) as ids from job group by timezone, status;

-- shared.messages.take._DUE_BY_ZONE
with job as materialized (
    select id, status, (select timezone from clients c where c.id = m.client_id) as timezone
    from messages m where mailing_id = :mailing_id and due_at <= now() and status in ('pending', 'queued', 'retrying')
    order by due_at limit :limit for update skip locked
)
select timezone, status, array_agg(id) as ids from job group by timezone, status;

-- shared.messages.take._QUEUE
update messages set status = 'queued', due_at = now() + interval '30 s' where id = any(cast(:ids as bigint[]));

-- shared.ledger.check._BY_INDEX
select set_config('enable_seqscan', 'off', false), set_config('enable_bitmapscan', 'off', false), set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false);

-- shared.ledger.check._SNAPSHOT
set transaction isolation level repeatable read, read only;

-- shared.ledger.check._COMPLETE
select id from mailings where id = any(:ids) and (launched_at is not null or cancelled_at is not null);

-- shared.ledger.check._COUNT
select job.id, m.status, count(*) as number, max(m.client_id) as last
from unnest(cast(:ids as bigint[]), cast(:afters as bigint[]), cast(:mosts as bigint[])) as job (id, after, most)
cross join lateral (
    select status, client_id from messages where mailing_id = job.id and client_id > job.after
    order by client_id limit job.most
) m
group by job.id, m.status;

-- shared.ledger.entries._COUNT
insert into mailing_counters as c (mailing_id, slot, pending, queued, sending, retrying, sent, failed, unknown, expired, cancelled, first_sent_at, last_sent_at)
select mailing_id, :slot, pending, queued, sending, retrying, sent, failed, unknown, expired, cancelled,
case when sent > 0 then coalesce(first, now()) end, case when sent > 0 then coalesce(last, now()) end
from unnest(cast(:mailing_ids as bigint[]), cast(:pending as bigint[]), cast(:queued as bigint[]), cast(:sending as bigint[]), cast(:retrying as bigint[]), cast(:sent as bigint[]), cast(:failed as bigint[]), cast(:unknown as bigint[]), cast(:expired as bigint[]), cast(:cancelled as bigint[]),
    cast(:firsts as timestamptz[]), cast(:lasts as timestamptz[]))
as moved (mailing_id, pending, queued, sending, retrying, sent, failed, unknown, expired, cancelled, first, last)
on conflict (mailing_id, slot) do update
set pending = c.pending + excluded.pending, queued = c.queued + excluded.queued, sending = c.sending + excluded.sending, retrying = c.retrying + excluded.retrying, sent = c.sent + excluded.sent, failed = c.failed + excluded.failed, unknown = c.unknown + excluded.unknown, expired = c.expired + excluded.expired, cancelled = c.cancelled + excluded.cancelled,
first_sent_at = least(c.first_sent_at, excluded.first_sent_at),
last_sent_at = greatest(c.last_sent_at, excluded.last_sent_at);

-- shared.ledger.entries._TALLY
insert into tallies as t (mailing_id, quarter, slot, name, count)
select mailing_id, date_bin('15 minutes', moment, timestamptz '2000-01-01 00:00:00+00') as quarter, :slot, name, sum(count)
from (
    select mailing_id, name, coalesce(moment, now()) as moment, count
    from unnest(cast(:mailing_ids as bigint[]), cast(:names as text[]), cast(:moments as timestamptz[]),
        cast(:counts as bigint[])) as happened (mailing_id, name, moment, count)
) happened
group by mailing_id, quarter, name order by mailing_id, quarter, name
on conflict (mailing_id, quarter, slot, name) do update set count = t.count + excluded.count;

-- shared.ledger.figures._TOTALS
select (select coalesce(sum(audience), 0)::bigint from mailings where deleted_at is null) as audience, coalesce(sum(c.pending), 0)::bigint as pending, coalesce(sum(c.queued), 0)::bigint as queued, coalesce(sum(c.sending), 0)::bigint as sending, coalesce(sum(c.retrying), 0)::bigint as retrying, coalesce(sum(c.sent), 0)::bigint as sent, coalesce(sum(c.failed), 0)::bigint as failed, coalesce(sum(c.unknown), 0)::bigint as unknown, coalesce(sum(c.expired), 0)::bigint as expired, coalesce(sum(c.cancelled), 0)::bigint as cancelled,
min(c.first_sent_at) as first_sent_at, max(c.last_sent_at) as last_sent_at
from mailing_counters c join mailings m on m.id = c.mailing_id where m.deleted_at is null;

-- shared.ledger.figures._BY_MAILING
select m.id, m.audience, coalesce(sum(c.pending), 0)::bigint as pending, coalesce(sum(c.queued), 0)::bigint as queued, coalesce(sum(c.sending), 0)::bigint as sending, coalesce(sum(c.retrying), 0)::bigint as retrying, coalesce(sum(c.sent), 0)::bigint as sent, coalesce(sum(c.failed), 0)::bigint as failed, coalesce(sum(c.unknown), 0)::bigint as unknown, coalesce(sum(c.expired), 0)::bigint as expired, coalesce(sum(c.cancelled), 0)::bigint as cancelled, min(c.first_sent_at) as first_sent_at, max(c.last_sent_at) as last_sent_at
from mailings m left join mailing_counters c on c.mailing_id = m.id
where m.id = any(:ids) group by m.id;

-- shared.ledger.figures._ERRORS
select name, sum(count)::bigint as number from tallies
where mailing_id = :mailing_id and name like 'error.%' group by name order by name;

-- shared.ledger.figures._REPEATED
select coalesce(sum(count), 0)::bigint from tallies where mailing_id = :mailing_id and name = 'repeated';

-- shared.ledger.figures._DAY
select name, sum(count)::bigint as number from tallies
where quarter >= :start and quarter < :end group by name;

-- shared.ledger.figures._DAY_MAILINGS
select count(distinct mailing_id) from tallies
where quarter >= :start and quarter < :end and name in ('sent', 'failed', 'unknown', 'expired', 'cancelled');

-- shared.ledger.figures._DAY_LARGEST
with counts as (
    select mailing_id, name, sum(count)::bigint as number from tallies
    where quarter >= :start and quarter < :end and name in ('sent', 'failed', 'unknown', 'expired', 'cancelled') group by mailing_id, name
), largest as (
    select mailing_id, sum(number) as total from counts
    group by mailing_id order by total desc, mailing_id limit :limit
)
select m.id, left(m.text, 200) as text, m.audience, json_object_agg(counts.name, counts.number) as counts
from largest join mailings m on m.id = largest.mailing_id join counts on counts.mailing_id = m.id
group by m.id, largest.total order by largest.total desc, m.id;

-- shared.ledger.figures._UNBALANCED
select mailing_id as id from ledger_findings
union
select m.id from mailings m
where finished_at is null and audience <> (
    select coalesce(sum(c.pending + c.queued + c.sending + c.retrying + c.sent + c.failed + c.unknown + c.expired + c.cancelled), 0) from mailing_counters c where c.mailing_id = m.id)
order by id;

-- shared.ledger.findings._KEEP
insert into ledger_findings (mailing_id, difference) values (:mailing_id, :difference)
on conflict (mailing_id) do update set difference = excluded.difference, found_at = now();

-- shared.ledger.findings._DROP
delete from ledger_findings where mailing_id = :mailing_id;

-- shared.ledger.repair._TO_BE_LOOKED_AT
select id from mailings m
where finished_at is null and audience_limit is not null or audience <> (
    select coalesce(sum(c.pending + c.queued + c.sending + c.retrying + c.sent + c.failed + c.unknown + c.expired + c.cancelled), 0) from mailing_counters c where c.mailing_id = m.id)
order by id;

-- shared.ledger.repair._MEND_COUNTERS
insert into mailing_counters as c (mailing_id, slot, pending, queued, sending, retrying, sent, failed, unknown, expired, cancelled)
values (:mailing_id, :slot, :pending, :queued, :sending, :retrying, :sent, :failed, :unknown, :expired, :cancelled)
on conflict (mailing_id, slot) do update set pending = c.pending + excluded.pending, queued = c.queued + excluded.queued, sending = c.sending + excluded.sending, retrying = c.retrying + excluded.retrying, sent = c.sent + excluded.sent, failed = c.failed + excluded.failed, unknown = c.unknown + excluded.unknown, expired = c.expired + excluded.expired, cancelled = c.cancelled + excluded.cancelled;

-- shared.ledger.repair._MEND_AUDIENCE
update mailings set audience = audience - :more where id = :mailing_id;

-- dispatcher_service.leading.chores.check_ledger._NEXT
select id, audience from mailings where finished_at is null and audience_limit is not null and id > :after
order by id limit :most;

-- dispatcher_service.leading.chores.finish_mailings._READY
with recent (id) as materialized (
    select distinct mailing_id from tallies
    where quarter >= date_bin('15 minutes', now(), timestamptz '2000-01-01 00:00:00+00') - interval '15 minutes'
    and name in ('sent', 'failed', 'unknown', 'expired', 'cancelled')
    union
    select id from mailings where audience = 0 and finished_at is null and (launched_at is not null or cancelled_at is not null)
)
select m.id, m.audience from recent join mailings m on m.id = recent.id
where finished_at is null and (launched_at is not null or cancelled_at is not null) and m.id <> all(cast(:left_out as bigint[])) and
audience = (select coalesce(sum(c.sent + c.failed + c.unknown + c.expired + c.cancelled), 0) from mailing_counters c where c.mailing_id = m.id)
and 0 = (select coalesce(sum(c.pending + c.queued + c.sending + c.retrying), 0) from mailing_counters c where c.mailing_id = m.id)
order by m.audience, m.id limit :most;

-- dispatcher_service.leading.chores.finish_mailings._FINISH
with free as materialized (
    select id from mailings where id = any(cast(:ids as bigint[])) and finished_at is null and (launched_at is not null or cancelled_at is not null)
    order by id for no key update skip locked
)
update mailings m set finished_at = now() from free where m.id = free.id and
audience = (select coalesce(sum(c.sent + c.failed + c.unknown + c.expired + c.cancelled), 0) from mailing_counters c where c.mailing_id = m.id)
and 0 = (select coalesce(sum(c.pending + c.queued + c.sending + c.retrying), 0) from mailing_counters c where c.mailing_id = m.id)
returning m.id;

-- dispatcher_service.leading.chores.rescue_leases._NOW
select now();

-- dispatcher_service.leading.chores.retime_windows._LOCK
select from mailings where id = :mailing_id for update;

-- dispatcher_service.leading.chores.retime_windows._WINDOW_IS_KNOWN
update mailings set window_changed = false where id = :mailing_id;

-- dispatcher_service.leading.chores.show_figures._NOW
select now();

-- dispatcher_service.leading.chores.show_figures._OPEN_MAILINGS
select id, starts_at, ends_at, paused_at, cancelled_at, finished_at from mailings where finished_at is null;

-- dispatcher_service.leading.lead._SESSION
select set_config('idle_session_timeout', :silence, false), set_config('synchronous_commit', 'off', false);

-- dispatcher_service.leading.walk.WALK
select id, audience, over, cancelled, window_changed, launched_at is null and not cancelled as unlaunched,
not over and not cancelled and (
    select due_at from messages where mailing_id = mailings.id
    and status in ('pending', 'queued', 'retrying') order by due_at limit 1) <= now() as due
from mailings, lateral (select ends_at <= now() as over, cancelled_at is not null as cancelled) state
where finished_at is null and (cancelled or over or starts_at <= now() and paused_at is null)
order by ends_at, id;

-- dispatcher_service.leading.walk._NEXT_START
select extract(epoch from min(starts_at) - clock_timestamp())::float from mailings
where launched_at is null and finished_at is null and cancelled_at is null and paused_at is null;
