-- Printed by `python -m dispatcher_service.statements`. What stands behind a colon is bound.

-- shared.messages.attempts._ATTEMPTS
select number, at, error, words from attempts where part = :part and message_id = :message_id order by number;

-- shared.messages.attempts._WORDS
select job.id, a.words from unnest(cast(:ids as bigint[])) as job (id)
cross join lateral (
    select words from attempts where part = :part and message_id = job.id order by number desc limit 1
) a;

-- shared.messages.cancel._CANCEL_CLIENT
with job as materialized (
    select m.id, m.status from mailings g cross join lateral (
        select * from messages where part = :part and client_id = :client_id and mailing_id = g.id
        and status::text in ('pending', 'retrying')
        for update skip locked) m
    where g.part = :part and g.finished_at is null
), moved as (
    update messages m set due_at = null,
    status = case when m.maybe_delivered then 'unknown' else cast(:state as message_state) end from job where m.part = :part and m.id = job.id
    returning m.mailing_id, m.id, m.attempts, job.status as before, m.status as after
)
select mailing_id, before, after, count(*) as number from moved group by mailing_id, before, after;

-- shared.messages.cancel._CANCEL_LOCKED
with job as materialized (select id, status from messages where part = :part and id = any(cast(:ids as bigint[]))), moved as (
    update messages m set due_at = null,
    status = case when m.maybe_delivered then 'unknown' else cast(:state as message_state) end from job where m.part = :part and m.id = job.id
    returning m.mailing_id, m.id, m.attempts, job.status as before, m.status as after
)
select mailing_id, before, after, count(*) as number from moved group by mailing_id, before, after;

-- shared.messages.claim._MAILINGS
select id, part, text, personal, sender, test, ends_at, window_from, window_until, now() as now,
part is not null and paused_at is null and cancelled_at is null and ends_at > now() as is_running,
(select nextval('claims')) as claim_id
from mailings where id = any(:mailing_ids) order by id;

-- shared.messages.claim._MOVE_TO_SENDING
with job as materialized (
    select m.id, m.mailing_id, m.status, m.client_id, m.calls, m.attempts, m.maybe_delivered,
    m.first_called_at, m.last_called_at, m.phone, c.timezone, 0 as provider from unnest(cast(:ids as bigint[])) as job (id)
    cross join lateral (select * from messages where part = :part and id = job.id limit 1 for update skip locked) m
    left join lateral (select * from clients where id = m.client_id limit 1) c on true
    where m.mailing_id = any(cast(:mailing_ids as bigint[])) and m.status in ('pending', 'retrying') and m.due_at <= now() and c.timezone is not null and (cast(:zones as text[]) is null or c.timezone = any(cast(:zones as text[]))) and not (c.suppression_id is not null or m.phone <> c.phone and exists (
            select from former_phones f
            where f.client_id = m.client_id and f.phone = m.phone and f.suppression_id is not null)) and (m.phone = c.phone or m.phone is not null and (m.calls > 0 or m.maybe_delivered))
), moved as (
    update messages m set status = 'sending', claim_id = :claim_id, due_at = now() + :lease where part = :part and id = any(array(select id from job))
)
select * from job;

-- shared.messages.claim._MOVE_AS_ASSIGNED
with job as materialized (
    select m.id, m.mailing_id, m.status, m.client_id, m.calls, m.attempts, m.maybe_delivered,
    m.first_called_at, m.last_called_at, m.phone, c.timezone, job.provider
    from unnest(cast(:ids as bigint[]), cast(:lanes as smallint[]), cast(:providers as smallint[]))
    as job (id, lane, provider)
    cross join lateral (select * from messages where part = :part and id = job.id limit 1 for update skip locked) m
    left join lateral (select * from clients where id = m.client_id limit 1) c on true
    where
    m.mailing_id = any(cast(:mailing_ids as bigint[])) and m.status in ('pending', 'retrying') and m.due_at <= now() and m.lane = job.lane and (not m.maybe_delivered or job.provider = coalesce(m.provider, 1))
    and c.timezone is not null and (cast(:zones as text[]) is null or c.timezone = any(cast(:zones as text[]))) and not (c.suppression_id is not null or m.phone <> c.phone and exists (
            select from former_phones f
            where f.client_id = m.client_id and f.phone = m.phone and f.suppression_id is not null)) and (m.phone = c.phone or m.phone is not null and (m.calls > 0 or m.maybe_delivered))
), moved as (
    update messages m set status = 'sending', claim_id = :claim_id, due_at = now() + :lease , provider = job.provider from job where m.part = :part and m.id = job.id
)
select * from job;

-- shared.messages.claim._ZONES
select distinct c.timezone
from unnest(cast(:ids as bigint[])) as job (id)
cross join lateral (select client_id from messages where part = :part and id = job.id limit 1) m
cross join lateral (select timezone from clients where id = m.client_id limit 1) c;

-- shared.messages.close._CLOSE
with job as materialized (
    select id, status from lanes cross join lateral (
        select * from messages m
        where part = :part and mailing_id = :mailing_id and lane = lanes.number and status in ('pending', 'retrying') and true
        order by due_at, id limit :limit for update skip locked
    ) m
    order by due_at, id limit :limit
), moved as (
    update messages m set due_at = null,
    status = case when m.maybe_delivered then 'unknown' else cast(:state as message_state) end from job where m.part = :part and m.id = job.id
    returning m.mailing_id, m.id, m.attempts, job.status as before, m.status as after
)
select mailing_id, before, after, count(*) as number from moved group by mailing_id, before, after;

-- shared.messages.create._LOCK_LAUNCH
select id, operator_codes, tags, imports, timezones, attributes, segments, exclude, fixed_segments,
audience_cursor, ends_at <= now() and not :all_open as over,
retry_of, retry_root, retry_states, retry_errors,
case when audience_limit is null and retry_of is null then (select coalesce(max(id), 0) from clients)
else audience_limit end as audience_limit,
coalesce(part, (select min(number) from parts where closed_at is null)) as part,
window_from, window_until, provider, sender, test, now() as now
from mailings where id = any(:mailing_ids)
and launched_at is null and cancelled_at is null and not draft and starts_at <= now()
order by id for update;

-- shared.messages.create._LOCK_FREE
select id, operator_codes, tags, imports, timezones, attributes, segments, exclude, fixed_segments,
audience_cursor, ends_at <= now() and not :all_open as over,
retry_of, retry_root, retry_states, retry_errors,
case when audience_limit is null and retry_of is null then (select coalesce(max(id), 0) from clients)
else audience_limit end as audience_limit,
coalesce(part, (select min(number) from parts where closed_at is null)) as part,
window_from, window_until, provider, sender, test, now() as now
from mailings where id = any(:mailing_ids)
and launched_at is null and cancelled_at is null and not draft and starts_at <= now()
order by id for update
skip locked;

-- shared.messages.create._ZONES
select asked.id, array(
    select distinct timezone from clients where id > asked.audience_cursor and id <= span.last) as zones
from unnest(cast(:ids as bigint[]), cast(:cursors as bigint[]), cast(:limits as bigint[]))
as asked (id, audience_cursor, audience_limit)
cross join lateral (
    select max(id) filter (where id <= asked.audience_limit) as last,
    count(*) filter (where id <= asked.audience_limit) as looked_at
    from (select id from clients where id > asked.audience_cursor order by id limit :span) ids
) span;

-- shared.messages.create._MOVE_CURSORS
update mailings m set audience_limit = moved.audience_limit, audience_cursor = moved.cursor,
audience = m.audience + moved.count, part = moved.part,
routing = case when m.part is null then :routing else m.routing end,
first_message_id = coalesce(m.first_message_id, moved.first_id),
last_message_id = coalesce(moved.last_id, m.last_message_id),
launched_at = case when moved.is_complete then now() end
from unnest(cast(:ids as bigint[]), cast(:audience_limits as bigint[]), cast(:cursors as bigint[]),
    cast(:counts as bigint[]), cast(:parts as integer[]), cast(:first_ids as bigint[]),
    cast(:last_ids as bigint[]), cast(:are_complete as boolean[]))
as moved (id, audience_limit, cursor, count, part, first_id, last_id, is_complete)
where m.id = moved.id;

-- shared.messages.create_retry._TURN
select pg_advisory_xact_lock(hashtext('retry'), hashint8(:root));

-- shared.messages.create_retry._FAMILY
select id, part, last_message_id from mailings
where id = any(array(select :root union all select id from mailings where retry_root = :root))
and messages_removed_at is null
order by id;

-- shared.messages.create_retry._ZONES
with
span as materialized (
    select found.id, found.client_id, found.error from unnest(cast(:states as message_state[])) as wanted (state)
    cross join lateral (
        select id, client_id, error from messages
        where part = :source_part and mailing_id = :source and status = wanted.state and status in ('failed', 'unknown', 'expired', 'cancelled', 'skipped')
        and id > :after and id <= :limit
        order by id limit :span
    ) found
    order by found.id limit :span
)
select distinct c.timezone
from span cross join lateral (select timezone from clients where id = span.client_id limit 1) c;

-- shared.messages.create_retry._CREATE
with
span as materialized (
    select found.id, found.client_id, found.error from unnest(cast(:states as message_state[])) as wanted (state)
    cross join lateral (
        select id, client_id, error from messages
        where part = :source_part and mailing_id = :source and status = wanted.state and status in ('failed', 'unknown', 'expired', 'cancelled', 'skipped')
        and id > :after and id <= :limit
        order by id limit :span
    ) found
    order by found.id limit :span
)
, created as (
    insert into messages (part, mailing_id, client_id, phone, lane, status, due_at, error)
    select :part, :id, c.id, c.phone,
    coalesce((cast(:routes as smallint[]))[array_position(cast(:routed as text[]), c.operator_code::text)],
        cast(:lane as smallint)),
    case when c.suppression_id is null then cast(:state as message_state) else 'skipped' end,
    case when :state = 'pending' and c.suppression_id is null then
    coalesce((cast(:openings as timestamptz[]))[array_position(cast(:zones as text[]), c.timezone::text)],
        now()) end,
    case when c.suppression_id is not null then :reason end
    from span
    cross join lateral (select * from clients where id = span.client_id limit 1) c
    where (cardinality(cast(:errors as text[])) = 0 or span.error = any(cast(:errors as text[]))) and (
        select true from messages m
        where m.part = any(cast(:other_parts as integer[])) and m.client_id = span.client_id
        and m.mailing_id = any(cast(:others as bigint[])) and m.status not in ('failed', 'expired', 'cancelled', 'skipped')
        limit 1
    ) is not true
    order by span.id
    returning id, status, due_at
)
select number, skipped, first_id, last_id, last, looked_at, cast(:limit as bigint) as audience_limit,
array(select due_at from created where cardinality(cast(:zones as text[])) > 0 and due_at > now()
    group by due_at order by due_at) as opens_at,
array(select count(*) from created where cardinality(cast(:zones as text[])) > 0 and due_at > now()
    group by due_at order by due_at) as waiting
from (select max(id) as last, count(*) as looked_at from span) span,
(select count(*) as number, count(*) filter (where status = 'skipped') as skipped,
    min(id) as first_id, max(id) as last_id from created) created;

-- shared.messages.create_statement._CREATE
with asked as materialized (select cast(id as bigint) as id, cast(part as integer) as part, cast(audience_cursor as bigint) as audience_cursor, cast(audience_limit as bigint) as audience_limit, cast(state as message_state) as state, cast(zones as text[]) as zones, cast(openings as timestamptz[]) as openings, cast(lane as smallint) as lane, cast(routed as text[]) as routed, cast(routes as smallint[]) as routes from jsonb_to_recordset(cast(:jobs as jsonb)) as asked (id text, part text, audience_cursor text, audience_limit text, state text, zones text[], openings text[], lane text, routed text[], routes text[])), job as materialized (
    select asked.*, span.last, span.looked_at from asked cross join lateral (
        select max(id) filter (where id <= asked.audience_limit) as last,
        count(*) filter (where id <= asked.audience_limit) as looked_at
        from (select id from clients where id > asked.audience_cursor order by id limit :span) ids
    ) span
), created as (
    insert into messages (part, mailing_id, client_id, phone, lane, status, due_at, error)
    select job.part, job.id, client.id, client.phone,
    coalesce(job.routes[array_position(job.routed, operator_code::text)], job.lane),
    case when suppression_id is null then job.state else 'skipped' end,
    case when job.state = 'pending' and suppression_id is null then
    coalesce(job.openings[array_position(job.zones, timezone::text)], now()) end,
    case when suppression_id is not null then :reason end
    from job cross join lateral (
        select clients.id, phone, operator_code, timezone, suppression_id from clients
        where clients.id > job.audience_cursor and clients.id <= job.last and true
        order by clients.id
    ) client
    returning mailing_id, id, status, due_at
)
select job.id, job.audience_limit, last, looked_at, coalesce(number, 0) as number,
coalesce(skipped, 0) as skipped, first_id, last_id, opens_at, waiting
from job left join (
    select mailing_id, array_agg(due_at order by due_at) as opens_at, array_agg(number order by due_at) as waiting
    from (
        select mailing_id, due_at, count(*) as number from created
        where (select bool_or(cardinality(zones) > 0) from job) and due_at > now() group by mailing_id, due_at
    ) moments
    group by mailing_id
) put_off on put_off.mailing_id = job.id left join (
    select mailing_id, count(*) as number, count(*) filter (where status = 'skipped') as skipped,
    min(id) as first_id, max(id) as last_id
    from created group by mailing_id
) made on made.mailing_id = job.id;

-- shared.messages.create_statement._CREATE_OF_TAGS
with asked as materialized (select cast(id as bigint) as id, cast(part as integer) as part, cast(audience_cursor as bigint) as audience_cursor, cast(audience_limit as bigint) as audience_limit, cast(state as message_state) as state, cast(zones as text[]) as zones, cast(openings as timestamptz[]) as openings, cast(lane as smallint) as lane, cast(routed as text[]) as routed, cast(routes as smallint[]) as routes, cast(tags_1 as text[]) as tags_1 from jsonb_to_recordset(cast(:jobs as jsonb)) as asked (id text, part text, audience_cursor text, audience_limit text, state text, zones text[], openings text[], lane text, routed text[], routes text[], tags_1 text[])), job as materialized (
    select asked.*, span.last, span.looked_at from asked cross join lateral (
        select max(id) filter (where id <= asked.audience_limit) as last,
        count(*) filter (where id <= asked.audience_limit) as looked_at
        from (select id from clients where id > asked.audience_cursor order by id limit :span) ids
    ) span
), created as (
    insert into messages (part, mailing_id, client_id, phone, lane, status, due_at, error)
    select job.part, job.id, client.id, client.phone,
    coalesce(job.routes[array_position(job.routed, operator_code::text)], job.lane),
    case when suppression_id is null then job.state else 'skipped' end,
    case when job.state = 'pending' and suppression_id is null then
    coalesce(job.openings[array_position(job.zones, timezone::text)], now()) end,
    case when suppression_id is not null then :reason end
    from job cross join lateral (
        select clients.id, phone, operator_code, timezone, suppression_id from clients
        where clients.id > job.audience_cursor and clients.id <= job.last and tag = any(job.tags_1)
        order by clients.id
    ) client
    returning mailing_id, id, status, due_at
)
select job.id, job.audience_limit, last, looked_at, coalesce(number, 0) as number,
coalesce(skipped, 0) as skipped, first_id, last_id, opens_at, waiting
from job left join (
    select mailing_id, array_agg(due_at order by due_at) as opens_at, array_agg(number order by due_at) as waiting
    from (
        select mailing_id, due_at, count(*) as number from created
        where (select bool_or(cardinality(zones) > 0) from job) and due_at > now() group by mailing_id, due_at
    ) moments
    group by mailing_id
) put_off on put_off.mailing_id = job.id left join (
    select mailing_id, count(*) as number, count(*) filter (where status = 'skipped') as skipped,
    min(id) as first_id, max(id) as last_id
    from created group by mailing_id
) made on made.mailing_id = job.id;

-- shared.messages.create_statement._CREATE_OF_IMPORTS
with asked as materialized (select cast(id as bigint) as id, cast(part as integer) as part, cast(audience_cursor as bigint) as audience_cursor, cast(audience_limit as bigint) as audience_limit, cast(state as message_state) as state, cast(zones as text[]) as zones, cast(openings as timestamptz[]) as openings, cast(lane as smallint) as lane, cast(routed as text[]) as routed, cast(routes as smallint[]) as routes, cast(imports_1 as bigint[]) as imports_1, cast(took_2 as bigint[]) as took_2 from jsonb_to_recordset(cast(:jobs as jsonb)) as asked (id text, part text, audience_cursor text, audience_limit text, state text, zones text[], openings text[], lane text, routed text[], routes text[], imports_1 text[], took_2 text[])), job as materialized (
    select asked.*, span.last, span.looked_at from asked cross join lateral (
        select max(id) filter (where id <= asked.audience_limit) as last,
        count(*) filter (where id <= asked.audience_limit) as looked_at
        from (select id from clients where id > asked.audience_cursor order by id limit :span) ids
    ) span
), created as (
    insert into messages (part, mailing_id, client_id, phone, lane, status, due_at, error)
    select job.part, job.id, client.id, client.phone,
    coalesce(job.routes[array_position(job.routed, operator_code::text)], job.lane),
    case when suppression_id is null then job.state else 'skipped' end,
    case when job.state = 'pending' and suppression_id is null then
    coalesce(job.openings[array_position(job.zones, timezone::text)], now()) end,
    case when suppression_id is not null then :reason end
    from job cross join lateral (
        with
        taken as materialized (
            select client_id, array_agg(import_id) as imports from (
                select (chunk << 15) | unnest(clients) as client_id, import_id from import_clients
                where import_id = any(job.imports_1) and chunk between job.audience_cursor >> 15 and job.last >> 15
            ) of_chunks
            where client_id > job.audience_cursor and client_id <= job.last
            group by client_id
        )
        select clients.id, phone, operator_code, timezone, suppression_id from clients
        where clients.id > job.audience_cursor and clients.id <= job.last and clients.id = any(array(select client_id from taken where taken.imports && job.took_2))
        order by clients.id
    ) client
    returning mailing_id, id, status, due_at
)
select job.id, job.audience_limit, last, looked_at, coalesce(number, 0) as number,
coalesce(skipped, 0) as skipped, first_id, last_id, opens_at, waiting
from job left join (
    select mailing_id, array_agg(due_at order by due_at) as opens_at, array_agg(number order by due_at) as waiting
    from (
        select mailing_id, due_at, count(*) as number from created
        where (select bool_or(cardinality(zones) > 0) from job) and due_at > now() group by mailing_id, due_at
    ) moments
    group by mailing_id
) put_off on put_off.mailing_id = job.id left join (
    select mailing_id, count(*) as number, count(*) filter (where status = 'skipped') as skipped,
    min(id) as first_id, max(id) as last_id
    from created group by mailing_id
) made on made.mailing_id = job.id;

-- shared.messages.create_statement._CREATE_OF_ALL
with asked as materialized (select cast(id as bigint) as id, cast(part as integer) as part, cast(audience_cursor as bigint) as audience_cursor, cast(audience_limit as bigint) as audience_limit, cast(state as message_state) as state, cast(zones as text[]) as zones, cast(openings as timestamptz[]) as openings, cast(lane as smallint) as lane, cast(routed as text[]) as routed, cast(routes as smallint[]) as routes, cast(codes_1 as text[]) as codes_1, cast(tags_2 as text[]) as tags_2, cast(zones_3 as text[]) as zones_3, cast(name_4 as text) as name_4, cast(values_5 as jsonb[]) as values_5, cast(tags_6 as text[]) as tags_6, cast(imports_7 as bigint[]) as imports_7, cast(took_8 as bigint[]) as took_8, cast(codes_9 as text[]) as codes_9, cast(tags_10 as text[]) as tags_10, cast(zones_11 as text[]) as zones_11, cast(name_12 as text) as name_12, cast(values_13 as jsonb[]) as values_13, cast(tags_14 as text[]) as tags_14, cast(took_15 as bigint[]) as took_15, cast(mailings_17 as bigint[]) as mailings_17 from jsonb_to_recordset(cast(:jobs as jsonb)) as asked (id text, part text, audience_cursor text, audience_limit text, state text, zones text[], openings text[], lane text, routed text[], routes text[], codes_1 text[], tags_2 text[], zones_3 text[], name_4 text, values_5 text[], tags_6 text[], imports_7 text[], took_8 text[], codes_9 text[], tags_10 text[], zones_11 text[], name_12 text, values_13 text[], tags_14 text[], took_15 text[], mailings_17 text[])), job as materialized (
    select asked.*, span.last, span.looked_at from asked cross join lateral (
        select max(id) filter (where id <= asked.audience_limit) as last,
        count(*) filter (where id <= asked.audience_limit) as looked_at
        from (select id from clients where id > asked.audience_cursor order by id limit :span) ids
    ) span
), created as (
    insert into messages (part, mailing_id, client_id, phone, lane, status, due_at, error)
    select job.part, job.id, client.id, client.phone,
    coalesce(job.routes[array_position(job.routed, operator_code::text)], job.lane),
    case when suppression_id is null then job.state else 'skipped' end,
    case when job.state = 'pending' and suppression_id is null then
    coalesce(job.openings[array_position(job.zones, timezone::text)], now()) end,
    case when suppression_id is not null then :reason end
    from job cross join lateral (
        with
        taken as materialized (
            select client_id, array_agg(import_id) as imports from (
                select (chunk << 15) | unnest(clients) as client_id, import_id from import_clients
                where import_id = any(job.imports_7) and chunk between job.audience_cursor >> 15 and job.last >> 15
            ) of_chunks
            where client_id > job.audience_cursor and client_id <= job.last
            group by client_id
        )
        select clients.id, phone, operator_code, timezone, suppression_id from clients left join taken on taken.client_id = clients.id
        where clients.id > job.audience_cursor and clients.id <= job.last and operator_code = any(job.codes_1) and tag = any(job.tags_2) and timezone = any(job.zones_3) and (attributes -> job.name_4 = any(job.values_5)) and ((tag = any(job.tags_6))) and clients.id = any(array(select client_id from taken where taken.imports && job.took_8)) and (operator_code = any(job.codes_9)) is not true and (tag = any(job.tags_10)) is not true and (timezone = any(job.zones_11)) is not true and ((attributes -> job.name_12 = any(job.values_13))) is not true and (((tag = any(job.tags_14)))) is not true and (taken.imports && job.took_15) is not true and (
            select true from messages m where m.part = any(cast(:parts_16 as int[])) and m.client_id = clients.id
            and m.mailing_id = any(job.mailings_17)
            and m.status not in ('failed', 'expired', 'cancelled', 'skipped')
            limit 1) is not true
        order by clients.id
    ) client
    returning mailing_id, id, status, due_at
)
select job.id, job.audience_limit, last, looked_at, coalesce(number, 0) as number,
coalesce(skipped, 0) as skipped, first_id, last_id, opens_at, waiting
from job left join (
    select mailing_id, array_agg(due_at order by due_at) as opens_at, array_agg(number order by due_at) as waiting
    from (
        select mailing_id, due_at, count(*) as number from created
        where (select bool_or(cardinality(zones) > 0) from job) and due_at > now() group by mailing_id, due_at
    ) moments
    group by mailing_id
) put_off on put_off.mailing_id = job.id left join (
    select mailing_id, count(*) as number, count(*) filter (where status = 'skipped') as skipped,
    min(id) as first_id, max(id) as last_id
    from created group by mailing_id
) made on made.mailing_id = job.id;

-- shared.messages.due._READ
with due as materialized (
    select wanted.number, m.due_at, m.id
    from unnest(cast(:mailing_ids as bigint[]), cast(:lanes as smallint[]), cast(:limits as bigint[]),
        cast(:due_ats as timestamptz[]), cast(:ids as bigint[]))
    with ordinality as wanted (mailing_id, lane, number_of, due_at, id, number)
    cross join lateral (
        select from mailings where id = wanted.mailing_id
        and paused_at is null and cancelled_at is null and ends_at > now() limit 1
    ) running
    cross join lateral (
        select due_at, id from messages
        where part = :part and mailing_id = wanted.mailing_id and lane = wanted.lane and status in ('pending', 'retrying')
        and due_at <= now() and (due_at, id) > (wanted.due_at, wanted.id)
        order by due_at, id limit wanted.number_of
    ) m
    limit :most
)
select now() as now, null as number, null as due_at, null as ids
union all
(select null, number, due_at, array_agg(id) from due group by number, due_at order by number, due_at);

-- shared.messages.erase._PARTS
select number from parts order by number;

-- shared.messages.erase._IS_ANY_LEFT
select exists (select from messages where part = :part and client_id = :client_id and (phone is not null or text is not null));

-- shared.messages.erase._ERASE
with job as materialized (select id, phone from messages where part = :part and client_id = :client_id and (phone is not null or text is not null) for update skip locked),
erased as (update messages m set phone = null, text = null from job where m.part = :part and m.id = job.id)
select distinct phone from job where phone is not null;

-- shared.messages.erase._ERASE_WORDS
update attempts set words = null
where part = :part and words is not null and message_id = any(array(select id from messages where part = :part and client_id = :client_id));

-- shared.messages.erase._ERASE_REASONS
update receipts set reason = null where part = :part and reason is not null and message_id = any(array(select id from messages where part = :part and client_id = :client_id));

-- shared.messages.erase._ERASE_EARLY_REASONS
update waiting_receipts set reason = null where reason is not null and message_id = any(array(select id from messages where part = :part and client_id = :client_id));

-- shared.messages.erase._ERASE_REFERENCES
delete from message_references where part = :part and message_id = any(array(select id from messages where part = :part and client_id = :client_id));

-- shared.messages.export._PARTS
select number from parts order by number desc;

-- shared.messages.export._OF_MAILING
with rows as materialized (
    select * from messages where part = :part and id > :after and id <= :last order by id limit :limit
)
select (select string_agg(line, :between) from (
        select
        case :format when 'csv' then concat_ws(',', coalesce(cast(r."id" as text), ''), coalesce(cast(r."client_id" as text), ''), coalesce(cast(r."phone" as text), ''), coalesce(cast(r."status" as text), ''), coalesce(cast(r."error" as text), ''),
            case when r."provider_words" is null or r."provider_words" = '' then ''
            when left(ltrim(r."provider_words", ''''), 1) in (chr(61), chr(43), chr(45), chr(64), chr(9), chr(13), chr(10)) then '"''' || replace(r."provider_words", '"', '""') || '"'
            else '"' || replace(r."provider_words", '"', '""') || '"' end, coalesce(cast(r."attempts" as text), ''), coalesce(cast(r."calls" as text), ''), coalesce(cast(to_json(r."sent_at") as text), ''), coalesce(cast(r."receipt" as text), ''), coalesce(cast(to_json(r."receipt_at") as text), ''))
        when 'json' then cast(row_to_json(whole) as text) else cast(row_to_json(r) as text) end as line from rows m
        left join lateral (
            select words from attempts
            where m.error is not null and part = :part and message_id = m.id order by number desc limit 1
        ) a on true
        left join lateral (
            select state, at, reason from receipts
            where m.due_at is null and part = :part and message_id = m.id limit 1
        ) receipts on true
        cross join lateral (select m.id as "id", m.client_id as "client_id", cast(m.phone as text) as "phone", m.status as "status", m.error as "error", a.words as "provider_words", m.attempts as "attempts", m.calls as "calls", m.sent_at as "sent_at", receipts.state as "receipt", receipts.at as "receipt_at") r cross join lateral (select m.id as "id", m.client_id as "client_id", cast(m.phone as text) as "phone", m.status as "status", m.error as "error", a.words as "provider_words", m.attempts as "attempts", m.calls as "calls", m.sent_at as "sent_at", receipts.state as "receipt", receipts.at as "receipt_at", m.mailing_id as "mailing_id", receipts.reason as "receipt_reason", m.due_at as "due_at") whole
        where
        m.mailing_id = :mailing_id and (cast(:status as text) is null or cast(m.status as text) = :status)
        and (cast(:error as text) is null or m.error = :error and m.status <> 'sent')
        and (cast(:receipt as text) is null or cast(receipts.state as text) = :receipt)
        order by m.id asc
    ) page) as lines,
max(id) as last, count(*) as seen
from rows;

-- shared.messages.export._OF_PERSONAL
with rows as materialized (
    select * from messages where part = :part and id > :after and id <= :last order by id limit :limit
)
select (select string_agg(line, :between) from (
        select
        case :format when 'csv' then concat_ws(',', coalesce(cast(r."id" as text), ''), coalesce(cast(r."client_id" as text), ''), coalesce(cast(r."phone" as text), ''), coalesce(cast(r."status" as text), ''), coalesce(cast(r."error" as text), ''),
            case when r."provider_words" is null or r."provider_words" = '' then ''
            when left(ltrim(r."provider_words", ''''), 1) in (chr(61), chr(43), chr(45), chr(64), chr(9), chr(13), chr(10)) then '"''' || replace(r."provider_words", '"', '""') || '"'
            else '"' || replace(r."provider_words", '"', '""') || '"' end, coalesce(cast(r."attempts" as text), ''), coalesce(cast(r."calls" as text), ''), coalesce(cast(to_json(r."sent_at") as text), ''), coalesce(cast(r."receipt" as text), ''), coalesce(cast(to_json(r."receipt_at") as text), ''),
            case when r."text" is null or r."text" = '' then ''
            when left(ltrim(r."text", ''''), 1) in (chr(61), chr(43), chr(45), chr(64), chr(9), chr(13), chr(10)) then '"''' || replace(r."text", '"', '""') || '"'
            else '"' || replace(r."text", '"', '""') || '"' end)
        when 'json' then cast(row_to_json(whole) as text) else cast(row_to_json(r) as text) end as line from rows m
        left join lateral (
            select words from attempts
            where m.error is not null and part = :part and message_id = m.id order by number desc limit 1
        ) a on true
        left join lateral (
            select state, at, reason from receipts
            where m.due_at is null and part = :part and message_id = m.id limit 1
        ) receipts on true
        cross join lateral (select m.id as "id", m.client_id as "client_id", cast(m.phone as text) as "phone", m.status as "status", m.error as "error", a.words as "provider_words", m.attempts as "attempts", m.calls as "calls", m.sent_at as "sent_at", receipts.state as "receipt", receipts.at as "receipt_at", m.text as "text") r cross join lateral (select m.id as "id", m.client_id as "client_id", cast(m.phone as text) as "phone", m.status as "status", m.error as "error", a.words as "provider_words", m.attempts as "attempts", m.calls as "calls", m.sent_at as "sent_at", receipts.state as "receipt", receipts.at as "receipt_at", m.mailing_id as "mailing_id", receipts.reason as "receipt_reason", m.due_at as "due_at") whole
        where
        m.mailing_id = :mailing_id and (cast(:status as text) is null or cast(m.status as text) = :status)
        and (cast(:error as text) is null or m.error = :error and m.status <> 'sent')
        and (cast(:receipt as text) is null or cast(receipts.state as text) = :receipt)
        order by m.id asc
    ) page) as lines,
max(id) as last, count(*) as seen
from rows;

-- shared.messages.export._OF_CLIENT
with rows as materialized (
    select * from messages where part = :part and client_id = :client_id and mailing_id < :mailing_id
    order by mailing_id desc limit :limit
)
select (select string_agg(line, :between) from (
        select
        case :format when 'csv' then concat_ws(',', coalesce(cast(r."id" as text), ''), coalesce(cast(r."client_id" as text), ''), coalesce(cast(r."phone" as text), ''), coalesce(cast(r."status" as text), ''), coalesce(cast(r."error" as text), ''),
            case when r."provider_words" is null or r."provider_words" = '' then ''
            when left(ltrim(r."provider_words", ''''), 1) in (chr(61), chr(43), chr(45), chr(64), chr(9), chr(13), chr(10)) then '"''' || replace(r."provider_words", '"', '""') || '"'
            else '"' || replace(r."provider_words", '"', '""') || '"' end, coalesce(cast(r."attempts" as text), ''), coalesce(cast(r."calls" as text), ''), coalesce(cast(to_json(r."sent_at") as text), ''), coalesce(cast(r."receipt" as text), ''), coalesce(cast(to_json(r."receipt_at") as text), ''))
        when 'json' then cast(row_to_json(whole) as text) else cast(row_to_json(r) as text) end as line from rows m
        left join lateral (
            select words from attempts
            where m.error is not null and part = :part and message_id = m.id order by number desc limit 1
        ) a on true
        left join lateral (
            select state, at, reason from receipts
            where m.due_at is null and part = :part and message_id = m.id limit 1
        ) receipts on true
        cross join lateral (select m.id as "id", m.client_id as "client_id", cast(m.phone as text) as "phone", m.status as "status", m.error as "error", a.words as "provider_words", m.attempts as "attempts", m.calls as "calls", m.sent_at as "sent_at", receipts.state as "receipt", receipts.at as "receipt_at") r cross join lateral (select m.id as "id", m.client_id as "client_id", cast(m.phone as text) as "phone", m.status as "status", m.error as "error", a.words as "provider_words", m.attempts as "attempts", m.calls as "calls", m.sent_at as "sent_at", receipts.state as "receipt", receipts.at as "receipt_at", m.mailing_id as "mailing_id", receipts.reason as "receipt_reason", m.due_at as "due_at") whole
        where (select test from mailings where id = m.mailing_id) = :test order by m.mailing_id desc
    ) page) as lines,
min(mailing_id) as last, count(*) as seen
from rows;

-- shared.messages.find._PARTS
select distinct part from mailings
where int8range(first_message_id, last_message_id, '[]') @> cast(:id as bigint) and first_message_id is not null;

-- shared.messages.find._MESSAGE
select * from messages where part = any(cast(:parts as integer[])) and id = :id;

-- shared.messages.find._OF_CLIENT
select * from messages where part = :part and client_id = :client_id and mailing_id = :mailing_id limit 1;

-- shared.messages.find._FROM
select number from parts where number <= coalesce(cast(:part as integer), number) order by number desc;

-- shared.messages.find._HISTORY
select * from ((select * from messages
        where part = :part_0 and client_id = :client_id and mailing_id < :behind_0
        and (select test from mailings where id = mailing_id) = :test
        order by mailing_id desc limit :limit) union all (select * from messages
        where part = :part_1 and client_id = :client_id and mailing_id < :behind_1
        and (select test from mailings where id = mailing_id) = :test
        order by mailing_id desc limit :limit)) pages limit :limit;

-- shared.messages.find._COUNT
select cast(:part_0 as integer) as part, count(*) as number
from messages where part = :part_0 and client_id = :client_id and (select test from mailings where id = mailing_id) = :test union all select cast(:part_1 as integer) as part, count(*) as number
from messages where part = :part_1 and client_id = :client_id and (select test from mailings where id = mailing_id) = :test;

-- shared.messages.find._LAST
select mailing_id from messages where part = :part and client_id = :client_id and (select test from mailings where id = mailing_id) = :test
order by mailing_id desc offset :offset limit 1;

-- shared.messages.follow._FOLLOW
with job as materialized (
    select m.id, m.status from mailings g cross join lateral (
        select * from messages where part = :part and client_id = :client_id and mailing_id = g.id
        and status::text in ('pending', 'retrying')
        for update skip locked) m
    where g.part = :part and g.finished_at is null
    and not (m.calls > 0 or m.maybe_delivered))
update messages m set phone = :phone from job where m.part = :part and m.id = job.id;

-- shared.messages.give_up._BEGUN
select id, part, first_message_id, last_message_id, cancelled_at is not null or ends_at <= :since as is_over
from mailings where finished_at is null and audience_limit is not null and first_message_id is not null
order by id;

-- shared.messages.give_up._BEGUN_SINCE
select id from mailings
where finished_at is null and launched_at is null and cancelled_at is null and not draft
and starts_at <= :until and ends_at > :since
order by id;

-- shared.messages.give_up._GIVE_UP
with job as materialized (
    select m.id, m.status from messages m
    where part = :part and id between :first and :last and mailing_id = :mailing_id
    and status::text in ('pending', 'sending', 'retrying')
    and (status::text in ('sending')
        or not :is_over and (due_at <= :until or error = 'provider_down'))
    for update
), moved as (
    update messages m set claim_id = null, due_at = null, status = 'unknown', maybe_delivered = true, error = 'restored' from job where m.part = :part and m.id = job.id
    returning m.mailing_id, m.id, m.attempts, job.status as before, m.status as after
)
select mailing_id, before, after, count(*) as number from moved group by mailing_id, before, after;

-- shared.messages.give_up._IDS_OF
select first_message_id as first, last_message_id as last from mailings where id = :mailing_id;

-- shared.messages.hints._LOCK
select mailing_id, slot from mailing_counters where mailing_id = any(:mailing_ids) and due_at <= now()
order by mailing_id, slot for update skip locked;

-- shared.messages.hints._LOOK
select g.id, g.audience, counted.hint as known, s.is_complete, case
when g.finished_at is not null or s.has_ended and g.closed_at is null then null
when s.is_complete then now() + interval '5 s'
when s.has_ended then (
    select due_at from lanes cross join lateral (
        select * from messages m
        where part = :part and mailing_id = g.id and lane = lanes.number and status in ('pending', 'retrying') and true
        order by due_at, id limit 1
    ) m
    order by due_at, id limit 1
)
when g.paused_at is null then (select greatest(due_at, (select s.held_until from mailing_standings s where s.mailing_id = g.id)) from (
        select due_at from lanes cross join lateral (
            select * from messages m
            where part = :part and mailing_id = g.id and lane = lanes.number and status in ('pending', 'retrying') and true
            order by due_at, id limit 1
        ) m
        order by due_at, id limit 1
    ) next)
end as hint
from mailings g cross join lateral (
    select coalesce(sum(c.sent + c.failed + c.unknown + c.expired + c.cancelled + c.skipped), 0) as final, min(due_at) as hint
    from mailing_counters c where c.mailing_id = g.id
) counted cross join lateral (
    select g.cancelled_at is not null or g.ends_at <= now() as has_ended,
    g.finished_at is null and (g.launched_at is not null or g.cancelled_at is not null)
    and g.audience = counted.final as is_complete
) s
where g.id = any(:mailing_ids);

-- shared.messages.hints._SETTLE
update mailing_counters c set due_at = settled.hint
from unnest(cast(:mailing_ids as bigint[]), cast(:slots as smallint[]), cast(:hints as timestamptz[]))
as settled (mailing_id, slot, hint)
where c.mailing_id = settled.mailing_id and c.slot = settled.slot;

-- shared.messages.hints._UNFINISHED
select id from mailings where finished_at is null and not draft and id > :after order by id limit :limit;

-- shared.messages.hints._LOST
select look.id from (
    select g.id, g.audience, counted.hint as known, s.is_complete, case
    when g.finished_at is not null or s.has_ended and g.closed_at is null then null
    when s.is_complete then now() + interval '5 s'
    when s.has_ended then (
        select due_at from lanes cross join lateral (
            select * from messages m
            where part = :part and mailing_id = g.id and lane = lanes.number and status in ('pending', 'retrying') and true
            order by due_at, id limit 1
        ) m
        order by due_at, id limit 1
    )
    when g.paused_at is null then (select greatest(due_at, (select s.held_until from mailing_standings s where s.mailing_id = g.id)) from (
            select due_at from lanes cross join lateral (
                select * from messages m
                where part = :part and mailing_id = g.id and lane = lanes.number and status in ('pending', 'retrying') and true
                order by due_at, id limit 1
            ) m
            order by due_at, id limit 1
        ) next)
    end as hint
    from mailings g cross join lateral (
        select coalesce(sum(c.sent + c.failed + c.unknown + c.expired + c.cancelled + c.skipped), 0) as final, min(due_at) as hint
        from mailing_counters c where c.mailing_id = g.id
    ) counted cross join lateral (
        select g.cancelled_at is not null or g.ends_at <= now() as has_ended,
        g.finished_at is null and (g.launched_at is not null or g.cancelled_at is not null)
        and g.audience = counted.final as is_complete
    ) s
    where g.finished_at is null and g.id = any(:mailing_ids) offset 0) look
where look.hint is not null and greatest(look.hint, now()) < coalesce(look.known, 'infinity');

-- shared.messages.overlap._OVERLAP
with found as materialized (
    select client.id, m.mailing_id from unnest(cast(:ids as bigint[])) as client (id) cross join lateral (
        select mailing_id, status from messages where part = any(cast(:parts as int[])) and client_id = client.id
        offset 0) m
    where m.status::text in ('pending', 'sending', 'retrying')
), running as (
    select found.id, found.mailing_id from found
    join mailings on mailings.id = found.mailing_id and deleted_at is null and finished_at is null
    and cancelled_at is null and paused_at is null and ends_at > now() and test = :is_test and trial_of is null
)
select mailing_id, count(distinct id) as people from running group by grouping sets ((mailing_id), ())
order by people desc, mailing_id limit 101;

-- shared.messages.parts._OF
select id, part from mailings where id = any(:mailing_ids) order by id;

-- shared.messages.parts._END_OF_SPAN
select max(id) from (
    select id from messages where part = :part and id between :first and :last order by id limit :span
) ids;

-- shared.messages.parts._OPEN
with recursive parts as (
    (select part from mailings where finished_at is null and part is not null order by part limit 1)
    union all
    select (select part from mailings where finished_at is null and part > parts.part order by part limit 1)
    from parts where parts.part is not null
)
select part from parts where part is not null;

-- shared.messages.personal._LOCK
select m.id, m.mailing_id, m.status, m.client_id, m.calls, m.attempts, m.maybe_delivered,
m.first_called_at, m.last_called_at, m.phone, c.timezone, 0 as provider, m.text, (m.calls > 0 or m.maybe_delivered) as is_called,
case when m.text is null then c.attributes::text end as attributes
from unnest(cast(:ids as bigint[])) as job (id)
cross join lateral (select * from messages where part = :part and id = job.id limit 1 for update skip locked) m
left join lateral (select * from clients where id = m.client_id limit 1) c on true
where m.mailing_id = any(cast(:mailing_ids as bigint[])) and m.status in ('pending', 'retrying') and m.due_at <= now() and c.timezone is not null and (cast(:zones as text[]) is null or c.timezone = any(cast(:zones as text[]))) and not (c.suppression_id is not null or m.phone <> c.phone and exists (
        select from former_phones f
        where f.client_id = m.client_id and f.phone = m.phone and f.suppression_id is not null)) and (m.phone = c.phone or m.phone is not null and (m.calls > 0 or m.maybe_delivered));

-- shared.messages.personal._LOCK_AS_ASSIGNED
select m.id, m.mailing_id, m.status, m.client_id, m.calls, m.attempts, m.maybe_delivered,
m.first_called_at, m.last_called_at, m.phone, c.timezone, job.provider, m.text, (m.calls > 0 or m.maybe_delivered) as is_called,
case when m.text is null then c.attributes::text end as attributes
from unnest(cast(:ids as bigint[]), cast(:lanes as smallint[]), cast(:providers as smallint[]))
as job (id, lane, provider)
cross join lateral (select * from messages where part = :part and id = job.id limit 1 for update skip locked) m
left join lateral (select * from clients where id = m.client_id limit 1) c on true
where
m.mailing_id = any(cast(:mailing_ids as bigint[])) and m.status in ('pending', 'retrying') and m.due_at <= now() and m.lane = job.lane and (not m.maybe_delivered or job.provider = coalesce(m.provider, 1))
and c.timezone is not null and (cast(:zones as text[]) is null or c.timezone = any(cast(:zones as text[]))) and not (c.suppression_id is not null or m.phone <> c.phone and exists (
        select from former_phones f
        where f.client_id = m.client_id and f.phone = m.phone and f.suppression_id is not null)) and (m.phone = c.phone or m.phone is not null and (m.calls > 0 or m.maybe_delivered));

-- shared.messages.personal._MOVE
update messages m set status = 'sending', claim_id = :claim_id, due_at = now() + :lease, text = job.text
from unnest(cast(:ids as bigint[]), cast(:texts as text[])) as job (id, text)
where m.part = :part and m.id = job.id;

-- shared.messages.personal._MOVE_AS_ASSIGNED
update messages m set status = 'sending', claim_id = :claim_id, due_at = now() + :lease, text = job.text,
provider = job.provider
from unnest(cast(:ids as bigint[]), cast(:texts as text[]), cast(:providers as smallint[]))
as job (id, text, provider)
where m.part = :part and m.id = job.id;

-- shared.messages.probe._MAILINGS
select m.id from (
    select mailing_id, min(due_at) as due_at from (
        select mailing_id, due_at from mailing_counters where due_at <= now() order by due_at limit :hints
    ) nearest
    group by mailing_id
) hinted
cross join lateral (select * from mailings where id = hinted.mailing_id limit 1) m
where m.part is not null and m.paused_at is null and m.cancelled_at is null and m.ends_at > now()
and not m.test
and not coalesce((
        select s.held_until > now()
        or s.proven_at is null and s.refusals >= 50 and m.halted_at is null
        from mailing_standings s where s.mailing_id = m.id), false)
order by m.id = :last, hinted.due_at limit :limit;

-- shared.messages.probe._TRIED_LEAST
select next.calls, job.id, next.id, next.lane
from unnest(cast(:mailing_ids as bigint[])) as job (id)
cross join unnest(cast(:lanes as smallint[])) as wanted (lane)
cross join lateral (
    select id, calls, lane from (
        select id, calls, lane from messages m
        where part = :part and mailing_id = job.id and lane = wanted.lane and status in ('pending', 'retrying') and due_at <= now()
        order by due_at, id limit :look
    ) due order by calls, id limit 1
) next;

-- shared.messages.receipts._PARTS
select part, array_agg(distinct job.id) as ids from unnest(cast(:ids as bigint[])) as job (id)
cross join lateral (
    select part from mailings
    where int8range(first_message_id, last_message_id, '[]') @> job.id and first_message_id is not null
) g
group by part order by part;

-- shared.messages.receipts._TAKE
with job as materialized (
    select job.id, job.state, job.reason, m.mailing_id, m.status, m.phone,
    case when job.at between now() - interval '400 days' and now() + interval '1 days'
    then job.at else now() end as at
    from unnest(cast(:ids as bigint[]), cast(:states as receipt_state[]), cast(:moments as timestamptz[]),
        cast(:reasons as text[])) as job (id, state, at, reason)
    cross join lateral (
        select mailing_id, status, phone from messages where part = :part and id = job.id limit 1) m
    where (select test from mailings where id = m.mailing_id) = :test
), taken as (
    insert into receipts as r (message_id, part, mailing_id, status, state, at, reason)
    select id, :part, mailing_id, status, state, at, case when phone is not null then reason end
    from job where status in ('sent', 'failed', 'unknown', 'expired', 'cancelled', 'skipped') order by id
    on conflict (message_id, part) do update
    set previous = r.state, state = excluded.state, at = excluded.at, reason = excluded.reason
    where excluded.state > r.state
    returning mailing_id, status, previous, state
)
select mailing_id, status, previous, state, count(*) as number,
cast(null as bigint[]) as found, cast(null as bigint[]) as unfinished
from taken group by mailing_id, status, previous, state
union all
select null, null, null, null, null, array_agg(id), array_agg(id) filter (where not status in ('sent', 'failed', 'unknown', 'expired', 'cancelled', 'skipped'))
from job having count(*) > 0;

-- shared.messages.receipts._KEEP_BY_ID
insert into waiting_receipts as w (provider, message_id, state, at, reason)
select :provider, id, state, coalesce(at, now()), reason from unnest(cast(:ids as bigint[]), cast(:states as receipt_state[]), cast(:moments as timestamptz[]),
    cast(:reasons as text[])) as job (id, state, at, reason) order by id
on conflict (message_id) where message_id is not null
do update set state = excluded.state, at = excluded.at, reason = excluded.reason where excluded.state > w.state;

-- shared.messages.receipts._KEEP_BY_REFERENCE
insert into waiting_receipts as w (provider, reference, state, at, reason)
select :provider, reference, state, coalesce(at, now()), reason
from unnest(cast(:references as text[]), cast(:states as receipt_state[]), cast(:moments as timestamptz[]),
    cast(:reasons as text[])) as job (reference, state, at, reason)
where 20000 > (
    select count(*) from (select from waiting_receipts where reference is not null limit 20000) kept)
order by reference
on conflict (reference, provider) where reference is not null
do update set state = excluded.state, at = excluded.at, reason = excluded.reason where excluded.state > w.state;

-- shared.messages.receipts._KEPT
select id, provider, message_id, reference, state, at, reason, came_at < now() - :patience as is_old
from waiting_receipts where id > :after order by id limit :slice for update skip locked;

-- shared.messages.receipts._FORGET
delete from waiting_receipts where id = any(cast(:ids as bigint[]));

-- shared.messages.receipts._FIND
select r.* from unnest(cast(:ids as bigint[])) as job (id) cross join lateral (
    select message_id, state, at, reason from receipts where part = :part and message_id = job.id limit 1) r;

-- shared.messages.receipts._FIND_EARLY
select message_id, state, at, reason from waiting_receipts where message_id = :id;

-- shared.messages.record._FINISH
with moved as (
    update messages m set claim_id = null,
    calls = m.calls + 1, attempts = m.attempts + :spent, error = :shown,
    maybe_delivered = m.maybe_delivered or :ambiguous
    , status = cast(:after as message_state), due_at = null,
    sent_at = case when :after = 'sent' then job.moment end
    from (
        select id, claim_id, coalesce(moment, now()) as moment
        from unnest(
            cast(:ids as bigint[]), cast(:claims as bigint[]), cast(:moments as timestamptz[])
        ) as job (id, claim_id, moment)
    ) job
    where m.part = :part and m.id = job.id and m.claim_id = job.claim_id
    returning m.mailing_id, m.id, m.attempts, job.moment
)
select mailing_id, date_bin('15 minutes', moment, timestamptz '2000-01-01 00:00:00+00') as quarter, count(*) as number, min(moment) as first, max(moment) as last
from moved group by mailing_id, quarter;

-- shared.messages.record._FINISH_IN_VAIN
with moved as (
    update messages m set claim_id = null,
    calls = m.calls + 1, attempts = m.attempts + :spent, error = :shown,
    maybe_delivered = m.maybe_delivered or :ambiguous
    , status = cast(:after as message_state), due_at = null,
    sent_at = case when :after = 'sent' then job.moment end
    from (
        select id, claim_id, coalesce(moment, now()) as moment, words
        from unnest(
            cast(:ids as bigint[]), cast(:claims as bigint[]), cast(:moments as timestamptz[]), cast(:words as text[])
        ) as job (id, claim_id, moment, words)
    ) job
    where m.part = :part and m.id = job.id and m.claim_id = job.claim_id
    returning m.mailing_id, m.id, m.attempts, job.moment, words
), attempted as (
    insert into attempts (message_id, part, number, at, error, words)
    select id, :part, attempts + 1 - :spent, moment, :error, words from moved
    on conflict do nothing
)
select mailing_id, date_bin('15 minutes', moment, timestamptz '2000-01-01 00:00:00+00') as quarter, count(*) as number, min(moment) as first, max(moment) as last
from moved group by mailing_id, quarter;

-- shared.messages.record._RETRY
with moved as (
    update messages m set claim_id = null,
    calls = m.calls + 1, attempts = m.attempts + :spent, error = :shown,
    maybe_delivered = m.maybe_delivered or :ambiguous
    , lane = case when :ambiguous then coalesce((select number from lanes where number = coalesce(m.provider, 1)), m.lane) else m.lane end,
    first_called_at = coalesce(m.first_called_at, job.moment), last_called_at = job.moment
    , status = 'retrying', due_at = now() + :delay
    from (
        select id, claim_id, coalesce(moment, now()) as moment, words
        from unnest(
            cast(:ids as bigint[]), cast(:claims as bigint[]), cast(:moments as timestamptz[]), cast(:words as text[])
        ) as job (id, claim_id, moment, words)
    ) job
    where m.part = :part and m.id = job.id and m.claim_id = job.claim_id
    returning m.mailing_id, m.id, m.attempts, job.moment, words
), attempted as (
    insert into attempts (message_id, part, number, at, error, words)
    select id, :part, attempts + 1 - :spent, moment, :error, words from moved
    on conflict do nothing
)
select mailing_id, date_bin('15 minutes', moment, timestamptz '2000-01-01 00:00:00+00') as quarter, count(*) as number, min(moment) as first, max(moment) as last
from moved group by mailing_id, quarter;

-- shared.messages.record._SPARE
with moved as (
    update messages m set claim_id = null,
    calls = m.calls + 1, attempts = m.attempts + :spent, error = :shown,
    maybe_delivered = m.maybe_delivered or :ambiguous
    , lane = case when :ambiguous then coalesce((select number from lanes where number = coalesce(m.provider, 1)), m.lane) else m.lane end,
    first_called_at = coalesce(m.first_called_at, job.moment), last_called_at = job.moment
    , status = 'retrying', due_at = now() + :delay
    from (
        select id, claim_id, coalesce(moment, now()) as moment
        from unnest(
            cast(:ids as bigint[]), cast(:claims as bigint[]), cast(:moments as timestamptz[])
        ) as job (id, claim_id, moment)
    ) job
    where m.part = :part and m.id = job.id and m.claim_id = job.claim_id
    returning m.mailing_id, m.id, m.attempts, job.moment
)
select mailing_id, date_bin('15 minutes', moment, timestamptz '2000-01-01 00:00:00+00') as quarter, count(*) as number, min(moment) as first, max(moment) as last
from moved group by mailing_id, quarter;

-- shared.messages.record._RETURN
with moved as (
    update messages m set claim_id = null,
    calls = m.calls + 1, attempts = m.attempts + :spent, error = :shown,
    maybe_delivered = m.maybe_delivered or :ambiguous
    , lane = case when :ambiguous then coalesce((select number from lanes where number = coalesce(m.provider, 1)), m.lane) else m.lane end,
    first_called_at = coalesce(m.first_called_at, job.moment), last_called_at = job.moment
    , status = 'pending', due_at = now() + :pause
    from (
        select id, claim_id, coalesce(moment, now()) as moment
        from unnest(
            cast(:ids as bigint[]), cast(:claims as bigint[]), cast(:moments as timestamptz[])
        ) as job (id, claim_id, moment)
    ) job
    where m.part = :part and m.id = job.id and m.claim_id = job.claim_id
    returning m.mailing_id, m.id, m.attempts, job.moment
)
select mailing_id, date_bin('15 minutes', moment, timestamptz '2000-01-01 00:00:00+00') as quarter, count(*) as number, min(moment) as first, max(moment) as last
from moved group by mailing_id, quarter;

-- shared.messages.record._UNCALLED
with moved as (
    update messages m set claim_id = null,
    status = 'pending', due_at = now() + :pause,
    phone = case when (m.calls > 0 or m.maybe_delivered) then m.phone
    else coalesce((select phone from clients where id = m.client_id limit 1), m.phone) end,
    text = case when (m.calls > 0 or m.maybe_delivered) then m.text end
    from (
        select id, claim_id, coalesce(moment, now()) as moment
        from unnest(
            cast(:ids as bigint[]), cast(:claims as bigint[]), cast(:moments as timestamptz[])
        ) as job (id, claim_id, moment)
    ) job
    where m.part = :part and m.id = job.id and m.claim_id = job.claim_id
    returning m.mailing_id, m.id, m.attempts, job.moment
)
select mailing_id, date_bin('15 minutes', moment, timestamptz '2000-01-01 00:00:00+00') as quarter, count(*) as number, min(moment) as first, max(moment) as last
from moved group by mailing_id, quarter;

-- shared.messages.references._KEEP
insert into message_references (message_id, part, provider, reference)
select * from unnest(cast(:ids as bigint[]), cast(:parts as integer[]), cast(:providers as text[]),
    cast(:references as text[]))
on conflict do nothing;

-- shared.messages.references._PARTS
select number from parts
where (closed_at is null or closed_at > now() - :looked_back)
and to_regclass('message_references_' || number) is not null
order by number desc;

-- shared.messages.references._FIND
select job.reference, r.message_id from unnest(cast(:references as text[])) as job (reference)
cross join lateral (
    select message_id from message_references
    where part = :part and reference = job.reference and provider = :provider limit 1
) r;

-- shared.messages.remember._CLAIM_ANEW
with job as materialized (
    select m.id, m.status, job.claim_id, job.text, nullif(job.provider, 0) as provider
    from unnest(
        cast(:ids as bigint[]), cast(:claims as bigint[]), cast(:calls as integer[]), cast(:texts as text[]),
        cast(:providers as smallint[])
    ) as job (id, claim_id, calls, text, provider)
    cross join lateral (
        select id, status from messages
        where part = :part and id = job.id and calls <= job.calls and status::text in ('pending', 'retrying')
        limit 1 for update skip locked
    ) m
)
update messages m set status = 'sending', claim_id = job.claim_id, due_at = now(),
text = coalesce(m.text, job.text), provider = coalesce(job.provider, m.provider)
from job where m.part = :part and m.id = job.id
returning m.mailing_id, m.id, job.status as before;

-- shared.messages.reroute._ROUTING
select routing from lanes where number = 0;

-- shared.messages.reroute._UNROUTED
select id from mailings
where finished_at is null and audience_limit is not null and part is not null
and routing < (select max(routing) from lanes)
order by id limit :limit;

-- shared.messages.reroute._LOCK
select part, first_message_id, last_message_id, provider, sender, test from mailings
where id = :mailing_id and part is not null for update;

-- shared.messages.reroute._REROUTE
with job as materialized (
    select m.id, case
    when m.maybe_delivered then coalesce((select number from lanes where number = coalesce(m.provider, 1)), m.lane)
    else coalesce(
        (cast(:lanes as smallint[]))[array_position(
            cast(:codes as text[]),
            (select operator_code::text from clients where id = m.client_id limit 1))],
        :lane)
    end as lane, m.lane as before
    from messages m
    where part = :part and id between :first and :last and mailing_id = :mailing_id
    and status::text in ('pending', 'sending', 'retrying')
    order by id for update of m
)
update messages m set lane = job.lane from job
where m.part = :part and m.id = job.id and job.lane <> job.before;

-- shared.messages.reroute._IS_ROUTED
update mailings set routing = :routing where id = :mailing_id;

-- shared.messages.rescue._IN_ORDER
set local enable_bitmapscan = off;

-- shared.messages.rescue._LOST
with lost as materialized (
    select part, id, mailing_id from messages
    where part = any(cast(:parts as integer[])) and status in ('sending') and due_at <= now()
    and mailing_id <> all(cast(:left_out as bigint[]))
    order by due_at limit :limit
)
select part, mailing_id, array_agg(id) as ids from lost group by part, mailing_id order by mailing_id;

-- shared.messages.rescue._RESCUE
with job as materialized (
    select m.id, m.status, m.attempts + 1 >= :attempts or (
        select cancelled_at is not null or ends_at <= now() from mailings where id = m.mailing_id) as last
    from unnest(cast(:ids as bigint[])) as job (id)
    cross join lateral (select * from messages where part = :part and id = job.id limit 1 for update skip locked) m
    where m.status = 'sending' and m.due_at <= now()
), moved as (
    update messages m set claim_id = null, attempts = m.attempts + 1, calls = m.calls + 1, error = 'lease_lost',
    maybe_delivered = true, lane = coalesce((select number from lanes where number = coalesce(m.provider, 1)), m.lane),
    first_called_at = coalesce(m.first_called_at, now()), last_called_at = now(),
    status = case when job.last then 'unknown'::message_state else 'pending' end,
    due_at = case when job.last then null else now() end from job where m.part = :part and m.id = job.id
    returning m.mailing_id, m.id, m.attempts, job.status as before, m.status as after
), done as (insert into attempts (message_id, part, number, at, error)
    select id, :part, attempts, now(), 'lease_lost' from moved on conflict do nothing)
select mailing_id, before, after, count(*) as number from moved group by mailing_id, before, after;

-- shared.messages.retime._LOCK
select part, first_message_id, last_message_id, window_from, window_until, now() as now
from mailings where id = :mailing_id for update;

-- shared.messages.retime._WAIT_FOR_OPENING
select m.id, m.due_at, (select timezone from clients where id = m.client_id limit 1) as timezone
from messages m
where part = :part and id between :first and :last and mailing_id = :mailing_id
and status::text = 'pending' and due_at > now()
for update skip locked;

-- shared.messages.retime._RETIME
update messages m set due_at = job.due_at
from unnest(cast(:ids as bigint[]), cast(:times as timestamptz[])) as job (id, due_at)
where m.part = :part and m.id = job.id;

-- shared.messages.retime._WITH_WINDOWS
select distinct part from mailings
where finished_at is null and part is not null and window_from is not null order by part;

-- shared.messages.retime._OF_CLIENTS
select m.id, m.mailing_id, m.due_at, c.timezone, g.window_from, g.window_until, now() as now
from unnest(cast(:client_ids as bigint[])) as client (id)
cross join lateral (
    select id, mailing_id, due_at from messages
    where part = :part and client_id = client.id and status::text = 'pending' and due_at > now()
    for update skip locked
) m
cross join lateral (select * from mailings where id = m.mailing_id and window_from is not null limit 1) g
cross join lateral (select timezone from clients where id = client.id limit 1) c;

-- shared.messages.skip._SKIP_CLIENTS
with job as materialized (
    select m.id, m.status from unnest(cast(:client_ids as bigint[])) as client (id) cross join lateral (
        select * from messages where part = :part and client_id = client.id
        and status::text in ('pending', 'retrying')
        for update skip locked) m
), moved as (
    update messages m set due_at = null,
    status = case when m.maybe_delivered then 'unknown'::message_state else 'skipped' end,
    error = case when m.maybe_delivered then m.error else :reason end from job where m.part = :part and m.id = job.id
    returning m.mailing_id, m.id, m.attempts, job.status as before, m.status as after
)
select mailing_id, before, after, count(*) as number from moved group by mailing_id, before, after;

-- shared.messages.skip._SKIP_LOCKED
with job as materialized (select id, status from messages where part = :part and id = any(cast(:ids as bigint[]))), moved as (
    update messages m set due_at = null,
    status = case when m.maybe_delivered then 'unknown'::message_state else 'skipped' end,
    error = case when m.maybe_delivered then m.error else :reason end from job where m.part = :part and m.id = job.id
    returning m.mailing_id, m.id, m.attempts, job.status as before, m.status as after
)
select mailing_id, before, after, count(*) as number from moved group by mailing_id, before, after;

-- shared.messages.stop._LOCK_JOB
select m.id, m.mailing_id, m.status, c.timezone as timezone, (c.suppression_id is not null or m.phone <> c.phone and exists (
        select from former_phones f
        where f.client_id = m.client_id and f.phone = m.phone and f.suppression_id is not null)) as is_suppressed, (m.phone = c.phone or m.phone is not null and (m.calls > 0 or m.maybe_delivered)) as is_addressed from unnest(cast(:ids as bigint[])) as job (id)
cross join lateral (select * from messages where part = :part and id = job.id limit 1 for update skip locked) m
left join lateral (select * from clients where id = m.client_id limit 1) c on true
where m.mailing_id = any(cast(:mailing_ids as bigint[])) and m.status in ('pending', 'retrying') and m.due_at <= now();

-- shared.messages.stop._LOCK_AS_ASSIGNED
select m.id, m.mailing_id, m.status, c.timezone as timezone, (c.suppression_id is not null or m.phone <> c.phone and exists (
        select from former_phones f
        where f.client_id = m.client_id and f.phone = m.phone and f.suppression_id is not null)) as is_suppressed, (m.phone = c.phone or m.phone is not null and (m.calls > 0 or m.maybe_delivered)) as is_addressed
from unnest(cast(:ids as bigint[]), cast(:lanes as smallint[]), cast(:providers as smallint[]))
as job (id, lane, provider)
cross join lateral (select * from messages where part = :part and id = job.id limit 1 for update skip locked) m
left join lateral (select * from clients where id = m.client_id limit 1) c on true
where
m.mailing_id = any(cast(:mailing_ids as bigint[])) and m.status in ('pending', 'retrying') and m.due_at <= now() and m.lane = job.lane and (not m.maybe_delivered or job.provider = coalesce(m.provider, 1));

-- shared.messages.stop._READDRESS
update messages m set phone = (select phone from clients where id = m.client_id limit 1)
where part = :part and id = any(cast(:ids as bigint[]));

-- shared.messages.stop._HOLD_WINDOW
select id from mailings where id = :id and window_from = :window_from and window_until = :window_until
for share skip locked;

-- shared.messages.stop._PUT_BACK
update messages set status = 'pending', due_at = now() + :due_in
where part = :part and id = any(cast(:ids as bigint[]));

-- shared.messages.try_out._MAILING
select provider, sender, test from mailings where id = :mailing_id;

-- shared.messages.try_out._CREATE
insert into messages (part, mailing_id, client_id, phone, lane, status, due_at, error)
select place.part, :mailing_id, id, phone,
coalesce((cast(:routes as smallint[]))[array_position(cast(:routed as text[]), operator_code::text)], :lane),
cast(case when suppression_id is null then 'pending' else 'skipped' end as message_state),
case when suppression_id is null then now() end, case when suppression_id is not null then :reason end
from clients cross join (select min(number) as part from parts where closed_at is null) place
where id = any(cast(:ids as bigint[])) order by id
returning part, id, status;

-- shared.messages.try_out._LAUNCHED
update mailings set launched_at = now(), audience_limit = 0, audience = :number, part = :part,
first_message_id = :first_id, last_message_id = :last_id, routing = :routing
where id = :mailing_id;

-- shared.messages.try_out._READ
select m.id, m.mailing_id, m.client_id, m.phone, m.status, m.error, m.sent_at
from unnest(cast(:mailing_ids as bigint[]), cast(:firsts as bigint[]), cast(:lasts as bigint[]))
as tried (mailing_id, first, last)
cross join lateral (
    select * from messages where part = :part and id >= tried.first and id <= tried.last order by id
) m
where m.mailing_id = tried.mailing_id order by m.id;

-- shared.messages.waiting._WAITING
select job.id, array_agg(next.lane order by next.lane) filter (where next.due_at <= now())
from unnest(cast(:mailing_ids as bigint[])) as job (id)
cross join lanes
cross join lateral (
    select lane, due_at from messages m
    where part = :part and mailing_id = job.id and lane = lanes.number and status in ('pending', 'retrying')
    order by due_at, id limit 1
) next
group by job.id;

-- shared.messages.waiting._LAST
select job.id, max(last.due_at) as due_at from unnest(cast(:mailing_ids as bigint[])) as job (id)
cross join lanes
cross join lateral (
    select due_at from messages
    where part = :part and mailing_id = job.id and lane = lanes.number and status in ('pending', 'retrying')
    order by due_at desc, id desc limit 1
) last
where last.due_at > now() group by job.id;

-- shared.messages.waiting._LONGEST_DUE
select mailings.priority, extract(epoch from now() - min(next.due_at))::float as seconds
from unnest(cast(:mailing_ids as bigint[])) as job (id)
join mailings on mailings.id = job.id
cross join lanes
cross join lateral (
    select due_at from messages m
    where part = :part and mailing_id = job.id and lane = lanes.number and status in ('pending', 'retrying')
    order by due_at, id limit 1
) next
where lanes.number <> all(cast(:closed as smallint[]))
group by mailings.priority having min(next.due_at) <= now();

-- shared.messages.wake._WAKE
with job as materialized (
    select id, due_at from lanes cross join lateral (
        select * from messages m
        where part = :part and mailing_id = :mailing_id and lane = lanes.number and status in ('pending', 'retrying') and due_at > now() and due_at >= coalesce(cast(:after as timestamptz), now())
        and due_at <= now() + :within * interval '1 second' and error = 'provider_down'
        order by due_at, id limit :limit for update skip locked
    ) m
    order by due_at, id limit :limit
), moved as (
    update messages m set due_at = now() from job where m.part = :part and m.id = job.id
)
select count(*), max(due_at) from job;

-- shared.messages.zones._HOLD
select pg_advisory_xact_lock_shared(2054123109);

-- shared.messages.zones._HOLD_ALONE
select pg_advisory_xact_lock(2054123109);

-- shared.ledger.breakdown._PLACES
select id, part, first_message_id, last_message_id from mailings
where id = any(:mailing_ids) and part is not null and first_message_id is not null and messages_removed_at is null;

-- shared.ledger.breakdown._COUNT
with rows as materialized (
    select job.id as asked, m.* from
    unnest(cast(:ids as bigint[]), cast(:afters as bigint[]), cast(:lasts as bigint[]), cast(:mosts as bigint[]))
    as job (id, after, last, most)
    cross join lateral (
        select id, mailing_id, client_id, phone, status, error from messages where part = :part and id > job.after and id <= job.last
        order by id limit job.most
    ) m
)
select asked as id, sum(read)::bigint as read, max(last) as last, cast(jsonb_agg(
        jsonb_build_object('code', code, 'status', status, 'error', error, 'number', number)
        order by code, status::text, error) filter (where number > 0) as text) as counts
from (
    select m.asked, coalesce(c.operator_code, substr(cast(m.phone as text), 2, 3), '') as code, m.status,
    case when m.status = 'sent' then '' else coalesce(m.error, '') end as error,
    count(*) filter (where m.mailing_id = m.asked) as number, count(*) as read, max(m.id) as last
    from rows m left join lateral (
        select operator_code from clients where id = m.client_id and m.mailing_id = m.asked limit 1) c on true
    group by 1, 2, 3, 4
) groups
group by asked;

-- shared.ledger.breakdown._KEEP
insert into mailing_breakdowns (mailing_id, counts)
select id, counts from unnest(cast(:mailing_ids as bigint[]), cast(:counts as jsonb[])) as counted (id, counts)
on conflict (mailing_id) do update set counts = excluded.counts;

-- shared.ledger.breakdown._READ
select counts, counted_at from mailing_breakdowns where mailing_id = :mailing_id;

-- shared.ledger.breakdown._FINISHED
select g.code, g.status, g.error, sum(g.number)::bigint as number
from mailing_breakdowns b
cross join lateral jsonb_to_recordset(b.counts) as g (code text, status text, error text, number bigint)
where b.counted_at >= :start and b.counted_at < :end and mailing_id not in (select id from mailings where (test or trial_of is not null))
group by g.code, g.status, g.error;

-- shared.ledger.check._BY_INDEX
select set_config('enable_seqscan', 'off', false), set_config('enable_bitmapscan', 'off', false), set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false);

-- shared.ledger.check._SNAPSHOT
set transaction isolation level repeatable read, read only;

-- shared.ledger.check._MAILINGS
select id, part, first_message_id, last_message_id, launched_at is not null or cancelled_at is not null
as is_complete
from mailings where id = any(:ids);

-- shared.ledger.check._COUNT
select job.id, m.status, count(*) as read, count(*) filter (where m.mailing_id = job.id) as number,
max(m.id) as last
from
unnest(cast(:ids as bigint[]), cast(:afters as bigint[]), cast(:lasts as bigint[]), cast(:mosts as bigint[]))
as job (id, after, last, most)
cross join lateral (
    select id, mailing_id, status from messages where part = :part and id > job.after and id <= job.last
    order by id limit job.most
) m
group by job.id, m.status;

-- shared.ledger.check._COUNT_RECEIPTS
select job.id, case when status = 'sent' and state = 'undelivered' then 'undelivered' when status = 'sent' and state = 'delivered' then 'delivered' when status = 'unknown' and state = 'undelivered' then 'unknown_undelivered' when status = 'unknown' and state = 'delivered' then 'unknown_delivered' end as name, count(*) as read,
count(*) filter (where m.mailing_id = job.id) as number, max(m.message_id) as last
from
unnest(cast(:ids as bigint[]), cast(:afters as bigint[]), cast(:lasts as bigint[]), cast(:mosts as bigint[]))
as job (id, after, last, most)
cross join lateral (
    select message_id, mailing_id, status, state from receipts where part = :part and message_id > job.after and message_id <= job.last
    order by message_id limit job.most
) m
group by job.id, name;

-- shared.ledger.day._QUARTERS
select quarter, coalesce(sum(count) filter (where name = 'sent'), 0)::bigint as accepted,
coalesce(sum(count) filter (where name <> 'sent'), 0)::bigint as others
from tallies where quarter >= :start and quarter < :end and name in ('sent', 'failed', 'unknown', 'expired', 'cancelled', 'skipped') and mailing_id not in (select id from mailings where (test or trial_of is not null))
group by quarter order by quarter;

-- shared.ledger.day._REPEATS
select coalesce(sum(count), 0)::bigint from tallies
where quarter >= :start and quarter < :end and name = 'repeated' and mailing_id not in (select id from mailings where (test or trial_of is not null));

-- shared.ledger.day._FAILED
select mailing_id, count(*) over () as all_of_them
from (
    select mailing_id, sum(count) as number from tallies
    where quarter >= :start and quarter < :end and name in ('failed', 'unknown', 'expired') and mailing_id not in (select id from mailings where (test or trial_of is not null)) group by mailing_id
) lost
where number > 0
and 0 = (select coalesce(sum(c.sent), 0) from mailing_counters c where c.mailing_id = lost.mailing_id)
order by number desc, mailing_id limit :limit;

-- shared.ledger.entries._COUNT
insert into mailing_counters as c (mailing_id, slot, pending, sending, retrying, sent, failed, unknown, expired, cancelled, skipped, first_sent_at, last_sent_at, due_at,
    pace_count, paced_at)
select mailing_id, :slot, pending, sending, retrying, sent, failed, unknown, expired, cancelled, skipped,
case when sent > 0 then coalesce(first, now()) end, case when sent > 0 then coalesce(last, now()) end,
now() + look * interval '1 microsecond', settled, case when settled > 0 then now() end
from unnest(cast(:mailing_ids as bigint[]), cast(:looks as bigint[]), cast(:settled as bigint[]),
    cast(:firsts as timestamptz[]), cast(:lasts as timestamptz[]),
    cast(:pending as bigint[]), cast(:sending as bigint[]), cast(:retrying as bigint[]), cast(:sent as bigint[]), cast(:failed as bigint[]), cast(:unknown as bigint[]), cast(:expired as bigint[]), cast(:cancelled as bigint[]), cast(:skipped as bigint[]))
as moved (mailing_id, look, settled, first, last, pending, sending, retrying, sent, failed, unknown, expired, cancelled, skipped)
on conflict (mailing_id, slot) do update
set pending = c.pending + excluded.pending, sending = c.sending + excluded.sending, retrying = c.retrying + excluded.retrying, sent = c.sent + excluded.sent, failed = c.failed + excluded.failed, unknown = c.unknown + excluded.unknown, expired = c.expired + excluded.expired, cancelled = c.cancelled + excluded.cancelled, skipped = c.skipped + excluded.skipped,
first_sent_at = least(c.first_sent_at, excluded.first_sent_at),
last_sent_at = greatest(c.last_sent_at, excluded.last_sent_at),
due_at = least(c.due_at, excluded.due_at),
(pace_count, pace_seconds, paced_at) = (
    select case when settled = 0 then c.pace_count when is_new then settled else c.pace_count * kept + settled end,
    case when settled = 0 then c.pace_seconds when is_new then 0 else c.pace_seconds * kept + gap end,
    case when settled = 0 then c.paced_at else now() end
    from (
        select excluded.pace_count as settled,
        greatest(0, extract(epoch from now() - c.paced_at)::float) as gap,
        greatest(5, least(300, extract(epoch from now() - c.first_sent_at)::float
                / 8)) as memory
    ) seen cross join lateral (
        select gap is null or gap > 10 and c.pace_seconds > 0
        and gap * c.pace_count > 20 * c.pace_seconds as is_new,
        case when c.pace_seconds > 0 then exp(-least(gap / memory, 50)) else 0 end as kept
    ) held
);

-- shared.ledger.entries._OPEN
insert into mailing_openings as o (mailing_id, slot, opens_at, messages)
select mailing_id, :slot, opens_at, messages
from unnest(cast(:opened as bigint[]), cast(:opening_moments as timestamptz[]), cast(:opening_counts as bigint[]))
as waiting (mailing_id, opens_at, messages)
on conflict (mailing_id, slot, opens_at) do update set messages = o.messages + excluded.messages;

-- shared.ledger.entries._COUNT_RECEIPTS
insert into receipt_counters as c (mailing_id, slot, moved_at, delivered, undelivered, unknown_delivered, unknown_undelivered)
select mailing_id, :slot, date_bin('15 minutes', moment, timestamptz '2000-01-01 00:00:00+00'), delivered, undelivered, unknown_delivered, unknown_undelivered from
unnest(cast(:received as bigint[]), cast(:delivered as bigint[]), cast(:undelivered as bigint[]), cast(:unknown_delivered as bigint[]), cast(:unknown_undelivered as bigint[]))
as moved (mailing_id, delivered, undelivered, unknown_delivered, unknown_undelivered)
, (select now() as moment) clock
on conflict (mailing_id, slot) do update
set moved_at = excluded.moved_at, delivered = c.delivered + excluded.delivered, undelivered = c.undelivered + excluded.undelivered, unknown_delivered = c.unknown_delivered + excluded.unknown_delivered, unknown_undelivered = c.unknown_undelivered + excluded.unknown_undelivered;

-- shared.ledger.entries._TOTAL_RECEIPTS
insert into ledger_totals as t (slot, delivered, undelivered, unknown_delivered, unknown_undelivered)
select :slot, sum(delivered), sum(undelivered), sum(unknown_delivered), sum(unknown_undelivered)
from
unnest(cast(:received as bigint[]), cast(:delivered as bigint[]), cast(:undelivered as bigint[]), cast(:unknown_delivered as bigint[]), cast(:unknown_undelivered as bigint[]))
as moved (mailing_id, delivered, undelivered, unknown_delivered, unknown_undelivered)
cross join lateral (
    select from mailings where id = mailing_id and (finished_at is null or not (deleted_at is not null or (test or trial_of is not null))) limit 1
) g
having count(*) > 0
on conflict (slot) do update set delivered = t.delivered + excluded.delivered, undelivered = t.undelivered + excluded.undelivered, unknown_delivered = t.unknown_delivered + excluded.unknown_delivered, unknown_undelivered = t.unknown_undelivered + excluded.unknown_undelivered;

-- shared.ledger.entries._TALLY
insert into tallies as t (mailing_id, quarter, slot, name, count)
select mailing_id, date_bin('15 minutes', moment, timestamptz '2000-01-01 00:00:00+00') as quarter, :slot, name, sum(count)
from (
    select mailing_id, name, coalesce(moment, now()) as moment, count
    from unnest(cast(:tallied as bigint[]), cast(:tally_names as text[]), cast(:tally_moments as timestamptz[]),
        cast(:tally_counts as bigint[])) as happened (mailing_id, name, moment, count)
) happened
group by mailing_id, quarter, name order by mailing_id, quarter, name
on conflict (mailing_id, quarter, slot, name) do update set count = t.count + excluded.count;

-- shared.ledger.entries._TOTAL
insert into ledger_totals as t (slot, mailings, audience, pending, sending, retrying, sent, failed, unknown, expired, cancelled, skipped)
values (:slot, :total_mailings, :total_audience, :total_pending, :total_sending, :total_retrying, :total_sent, :total_failed, :total_unknown, :total_expired, :total_cancelled, :total_skipped)
on conflict (slot) do update set mailings = t.mailings + excluded.mailings, audience = t.audience + excluded.audience, pending = t.pending + excluded.pending, sending = t.sending + excluded.sending, retrying = t.retrying + excluded.retrying, sent = t.sent + excluded.sent, failed = t.failed + excluded.failed, unknown = t.unknown + excluded.unknown, expired = t.expired + excluded.expired, cancelled = t.cancelled + excluded.cancelled, skipped = t.skipped + excluded.skipped;

-- shared.ledger.entries._TOTAL_WITH_RECEIPTS
insert into ledger_totals as t (slot, mailings, audience, pending, sending, retrying, sent, failed, unknown, expired, cancelled, skipped, delivered, undelivered, unknown_delivered, unknown_undelivered)
values (:slot, :total_mailings, :total_audience, :total_pending, :total_sending, :total_retrying, :total_sent, :total_failed, :total_unknown, :total_expired, :total_cancelled, :total_skipped, :total_delivered, :total_undelivered, :total_unknown_delivered, :total_unknown_undelivered)
on conflict (slot) do update set mailings = t.mailings + excluded.mailings, audience = t.audience + excluded.audience, pending = t.pending + excluded.pending, sending = t.sending + excluded.sending, retrying = t.retrying + excluded.retrying, sent = t.sent + excluded.sent, failed = t.failed + excluded.failed, unknown = t.unknown + excluded.unknown, expired = t.expired + excluded.expired, cancelled = t.cancelled + excluded.cancelled, skipped = t.skipped + excluded.skipped, delivered = t.delivered + excluded.delivered, undelivered = t.undelivered + excluded.undelivered, unknown_delivered = t.unknown_delivered + excluded.unknown_delivered, unknown_undelivered = t.unknown_undelivered + excluded.unknown_undelivered;

-- shared.ledger.figures._TOTALS
with hidden as (select id, audience from mailings where finished_at is null and (deleted_at is not null or (test or trial_of is not null))),
counted as (
    select coalesce(sum(c.pending), 0)::bigint as pending, coalesce(sum(c.sending), 0)::bigint as sending, coalesce(sum(c.retrying), 0)::bigint as retrying, coalesce(sum(c.sent), 0)::bigint as sent, coalesce(sum(c.failed), 0)::bigint as failed, coalesce(sum(c.unknown), 0)::bigint as unknown, coalesce(sum(c.expired), 0)::bigint as expired, coalesce(sum(c.cancelled), 0)::bigint as cancelled, coalesce(sum(c.skipped), 0)::bigint as skipped, (select coalesce(sum(audience), 0)::bigint from hidden) as audience
    from hidden cross join lateral (select * from mailing_counters where mailing_id = hidden.id) c
), received as (
    select coalesce(sum(r.delivered), 0)::bigint as delivered, coalesce(sum(r.undelivered), 0)::bigint as undelivered, coalesce(sum(r.unknown_delivered), 0)::bigint as unknown_delivered, coalesce(sum(r.unknown_undelivered), 0)::bigint as unknown_undelivered
    from hidden cross join lateral (select * from receipt_counters where mailing_id = hidden.id) r
), total as (
    select coalesce(sum(c.pending), 0)::bigint as pending, coalesce(sum(c.sending), 0)::bigint as sending, coalesce(sum(c.retrying), 0)::bigint as retrying, coalesce(sum(c.sent), 0)::bigint as sent, coalesce(sum(c.failed), 0)::bigint as failed, coalesce(sum(c.unknown), 0)::bigint as unknown, coalesce(sum(c.expired), 0)::bigint as expired, coalesce(sum(c.cancelled), 0)::bigint as cancelled, coalesce(sum(c.skipped), 0)::bigint as skipped, coalesce(sum(audience), 0)::bigint as audience,
    coalesce(sum(c.delivered), 0)::bigint as delivered, coalesce(sum(c.undelivered), 0)::bigint as undelivered, coalesce(sum(c.unknown_delivered), 0)::bigint as unknown_delivered, coalesce(sum(c.unknown_undelivered), 0)::bigint as unknown_undelivered from ledger_totals c
)
select total.audience - counted.audience as audience, total.pending - counted.pending as pending, total.sending - counted.sending as sending, total.retrying - counted.retrying as retrying, total.sent - counted.sent as sent, total.failed - counted.failed as failed, total.unknown - counted.unknown as unknown, total.expired - counted.expired as expired, total.cancelled - counted.cancelled as cancelled, total.skipped - counted.skipped as skipped,
total.delivered - received.delivered as delivered, total.undelivered - received.undelivered as undelivered, total.unknown_delivered - received.unknown_delivered as unknown_delivered, total.unknown_undelivered - received.unknown_undelivered as unknown_undelivered,
null as first_sent_at, null as last_sent_at
from total, counted, received;

-- shared.ledger.figures._LIVE
with hidden as (select id, audience from mailings where finished_at is null and (test or trial_of is not null)),
counted as (
    select coalesce(sum(c.pending), 0)::bigint as pending, coalesce(sum(c.sending), 0)::bigint as sending, coalesce(sum(c.retrying), 0)::bigint as retrying, coalesce(sum(c.sent), 0)::bigint as sent, coalesce(sum(c.failed), 0)::bigint as failed, coalesce(sum(c.unknown), 0)::bigint as unknown, coalesce(sum(c.expired), 0)::bigint as expired, coalesce(sum(c.cancelled), 0)::bigint as cancelled, coalesce(sum(c.skipped), 0)::bigint as skipped, (select coalesce(sum(audience), 0)::bigint from hidden) as audience
    from hidden cross join lateral (select * from mailing_counters where mailing_id = hidden.id) c
), received as (
    select coalesce(sum(r.delivered), 0)::bigint as delivered, coalesce(sum(r.undelivered), 0)::bigint as undelivered, coalesce(sum(r.unknown_delivered), 0)::bigint as unknown_delivered, coalesce(sum(r.unknown_undelivered), 0)::bigint as unknown_undelivered
    from hidden cross join lateral (select * from receipt_counters where mailing_id = hidden.id) r
), total as (
    select coalesce(sum(c.pending), 0)::bigint as pending, coalesce(sum(c.sending), 0)::bigint as sending, coalesce(sum(c.retrying), 0)::bigint as retrying, coalesce(sum(c.sent), 0)::bigint as sent, coalesce(sum(c.failed), 0)::bigint as failed, coalesce(sum(c.unknown), 0)::bigint as unknown, coalesce(sum(c.expired), 0)::bigint as expired, coalesce(sum(c.cancelled), 0)::bigint as cancelled, coalesce(sum(c.skipped), 0)::bigint as skipped, coalesce(sum(audience), 0)::bigint as audience,
    coalesce(sum(c.delivered), 0)::bigint as delivered, coalesce(sum(c.undelivered), 0)::bigint as undelivered, coalesce(sum(c.unknown_delivered), 0)::bigint as unknown_delivered, coalesce(sum(c.unknown_undelivered), 0)::bigint as unknown_undelivered from ledger_totals c
)
select total.audience - counted.audience as audience, total.pending - counted.pending as pending, total.sending - counted.sending as sending, total.retrying - counted.retrying as retrying, total.sent - counted.sent as sent, total.failed - counted.failed as failed, total.unknown - counted.unknown as unknown, total.expired - counted.expired as expired, total.cancelled - counted.cancelled as cancelled, total.skipped - counted.skipped as skipped,
total.delivered - received.delivered as delivered, total.undelivered - received.undelivered as undelivered, total.unknown_delivered - received.unknown_delivered as unknown_delivered, total.unknown_undelivered - received.unknown_undelivered as unknown_undelivered,
null as first_sent_at, null as last_sent_at
from total, counted, received;

-- shared.ledger.figures._ALL
select coalesce(sum(audience), 0)::bigint as audience, coalesce(sum(c.pending), 0)::bigint as pending, coalesce(sum(c.sending), 0)::bigint as sending, coalesce(sum(c.retrying), 0)::bigint as retrying, coalesce(sum(c.sent), 0)::bigint as sent, coalesce(sum(c.failed), 0)::bigint as failed, coalesce(sum(c.unknown), 0)::bigint as unknown, coalesce(sum(c.expired), 0)::bigint as expired, coalesce(sum(c.cancelled), 0)::bigint as cancelled, coalesce(sum(c.skipped), 0)::bigint as skipped, coalesce(sum(c.delivered), 0)::bigint as delivered, coalesce(sum(c.undelivered), 0)::bigint as undelivered, coalesce(sum(c.unknown_delivered), 0)::bigint as unknown_delivered, coalesce(sum(c.unknown_undelivered), 0)::bigint as unknown_undelivered,
null as first_sent_at, null as last_sent_at
from ledger_totals c;

-- shared.ledger.figures._TEST_TOTALS
with tests as (
    select id, audience from mailings where test and trial_of is null and deleted_at is null
), counted as (
    select coalesce(sum(c.pending), 0)::bigint as pending, coalesce(sum(c.sending), 0)::bigint as sending, coalesce(sum(c.retrying), 0)::bigint as retrying, coalesce(sum(c.sent), 0)::bigint as sent, coalesce(sum(c.failed), 0)::bigint as failed, coalesce(sum(c.unknown), 0)::bigint as unknown, coalesce(sum(c.expired), 0)::bigint as expired, coalesce(sum(c.cancelled), 0)::bigint as cancelled, coalesce(sum(c.skipped), 0)::bigint as skipped from tests cross join lateral (select * from mailing_counters where mailing_id = tests.id) c
), received as (
    select coalesce(sum(r.delivered), 0)::bigint as delivered, coalesce(sum(r.undelivered), 0)::bigint as undelivered, coalesce(sum(r.unknown_delivered), 0)::bigint as unknown_delivered, coalesce(sum(r.unknown_undelivered), 0)::bigint as unknown_undelivered from tests cross join lateral (select * from receipt_counters where mailing_id = tests.id) r
)
select (select coalesce(sum(audience), 0)::bigint from tests) as audience, counted.*, received.*,
null as first_sent_at, null as last_sent_at
from counted, received;

-- shared.ledger.figures._MAILINGS
select coalesce(sum(mailings), 0)::bigint from ledger_totals;

-- shared.ledger.figures._BY_MAILING
select counted.*, received.* from (
    select m.id, m.audience, coalesce(sum(c.pending), 0)::bigint as pending, coalesce(sum(c.sending), 0)::bigint as sending, coalesce(sum(c.retrying), 0)::bigint as retrying, coalesce(sum(c.sent), 0)::bigint as sent, coalesce(sum(c.failed), 0)::bigint as failed, coalesce(sum(c.unknown), 0)::bigint as unknown, coalesce(sum(c.expired), 0)::bigint as expired, coalesce(sum(c.cancelled), 0)::bigint as cancelled, coalesce(sum(c.skipped), 0)::bigint as skipped, min(c.first_sent_at) as first_sent_at, max(c.last_sent_at) as last_sent_at
    from mailings m left join mailing_counters c on c.mailing_id = m.id
    where m.id = any(:ids) group by m.id
) counted cross join lateral (select coalesce(sum(r.delivered), 0)::bigint as delivered, coalesce(sum(r.undelivered), 0)::bigint as undelivered, coalesce(sum(r.unknown_delivered), 0)::bigint as unknown_delivered, coalesce(sum(r.unknown_undelivered), 0)::bigint as unknown_undelivered from receipt_counters r where mailing_id = counted.id) received;

-- shared.ledger.figures._ERRORS
select name, sum(count)::bigint as number from tallies
where mailing_id = :mailing_id and name like 'error.%' group by name order by name;

-- shared.ledger.figures._REASONS
select name, sum(count)::bigint as number from tallies
where mailing_id = :mailing_id and name like 'skipped.%' group by name order by name;

-- shared.ledger.figures._REPEATED
select coalesce(sum(count), 0)::bigint from tallies where mailing_id = :mailing_id and name = 'repeated';

-- shared.ledger.figures._DAY
select name, sum(count)::bigint as number from tallies
where quarter >= :start and quarter < :end and mailing_id not in (select id from mailings where (test or trial_of is not null)) group by name;

-- shared.ledger.figures._DAY_MAILINGS
select count(distinct mailing_id) from tallies
where quarter >= :start and quarter < :end and name in ('sent', 'failed', 'unknown', 'expired', 'cancelled', 'skipped') and mailing_id not in (select id from mailings where (test or trial_of is not null));

-- shared.ledger.figures._DAY_LARGEST
with counts as (
    select mailing_id, name, sum(count)::bigint as number from tallies
    where quarter >= :start and quarter < :end and name in ('sent', 'failed', 'unknown', 'expired', 'cancelled', 'skipped') and mailing_id not in (select id from mailings where (test or trial_of is not null)) group by mailing_id, name
), largest as (
    select mailing_id, sum(number) as total from counts
    group by mailing_id order by total desc, mailing_id limit :limit
)
select m.id, left(m.text, 200) as text, m.audience, m.deleted_at is not null as is_deleted,
json_object_agg(counts.name, counts.number) as counts
from largest join mailings m on m.id = largest.mailing_id join counts on counts.mailing_id = m.id
group by m.id, largest.total order by largest.total desc, m.id;

-- shared.ledger.figures._UNBALANCED
select mailing_id as id from ledger_findings
union
select m.id from mailings m
where finished_at is null and not draft and audience <> (
    select coalesce(sum(c.pending + c.sending + c.retrying + c.sent + c.failed + c.unknown + c.expired + c.cancelled + c.skipped), 0) from mailing_counters c where c.mailing_id = m.id)
order by id;

-- shared.ledger.findings._KEEP
insert into ledger_findings (mailing_id, difference) values (:mailing_id, :difference)
on conflict (mailing_id) do update set difference = excluded.difference, found_at = now();

-- shared.ledger.findings._DROP
delete from ledger_findings where mailing_id = :mailing_id;

-- shared.ledger.fold._HOLD
insert into receipt_counters as c (mailing_id, slot, moved_at)
select id, slot, '-infinity'
from unnest(cast(:mailing_ids as bigint[])) id
cross join generate_series(0, (select count(*) + 1 from ledger_slots)) slot
order by id, slot
on conflict (mailing_id, slot) do update set moved_at = c.moved_at;

-- shared.ledger.fold._LET_GO
delete from receipt_counters where mailing_id = any(:mailing_ids) and moved_at = '-infinity';

-- shared.ledger.fold._FOLD
with gone as (delete from mailing_counters where mailing_id = any(:mailing_ids) returning *)
insert into mailing_counters (mailing_id, slot, pending, sending, retrying, sent, failed, unknown, expired, cancelled, skipped, first_sent_at, last_sent_at)
select mailing_id, -1, sum(pending), sum(sending), sum(retrying), sum(sent), sum(failed), sum(unknown), sum(expired), sum(cancelled), sum(skipped), min(first_sent_at), max(last_sent_at)
from gone group by mailing_id;

-- shared.ledger.fold._NO_OPENINGS
delete from mailing_openings where mailing_id = any(:mailing_ids);

-- shared.ledger.fold._FOLD_TALLIES
with gone as (
    delete from tallies where mailing_id = any(:mailing_ids) and slot <> :slot returning *
)
insert into tallies as t (mailing_id, quarter, slot, name, count)
select mailing_id, quarter, :slot, name, sum(count) from gone group by mailing_id, quarter, name
having sum(count) <> 0
on conflict (mailing_id, quarter, slot, name) do update set count = t.count + excluded.count;

-- shared.ledger.moments._NOTE
with page as materialized (
    select id from mailings where finished_at is null and audience_limit is not null and id > :after
    order by id limit :limit
), noted as (
    insert into mailing_moments (mailing_id, at, accepted, failed)
    select page.id, now(), counted.accepted, counted.failed
    from page
    cross join lateral (
        select coalesce(sum(sent), 0)::bigint as accepted, coalesce(sum(failed + unknown), 0)::bigint as failed
        from mailing_counters where mailing_id = page.id
    ) counted
    left join lateral (
        select at from mailing_moments where mailing_id = page.id order by at limit 1
    ) first on true
    left join lateral (
        select at, accepted, failed from mailing_moments where mailing_id = page.id order by at desc limit 1
    ) last on true
    where (counted.accepted, counted.failed) <> (coalesce(last.accepted, 0), coalesce(last.failed, 0))
    and (last.at is null or now() - last.at >= case when now() - coalesce(first.at, now()) <= interval '1000 s' then interval '10 s' when now() - coalesce(first.at, now()) <= interval '3000 s' then interval '30 s' when now() - coalesce(first.at, now()) <= interval '6000 s' then interval '60 s' when now() - coalesce(first.at, now()) <= interval '30000 s' then interval '300 s' when now() - coalesce(first.at, now()) <= interval '90000 s' then interval '900 s' when now() - coalesce(first.at, now()) <= interval '360000 s' then interval '3600 s' when now() - coalesce(first.at, now()) <= interval '2160000 s' then interval '21600 s' when now() - coalesce(first.at, now()) <= interval '8640000 s' then interval '86400 s' else interval '604800 s' end)
)
select count(*) as number, max(id) as last from page;

-- shared.ledger.moments._READ
select at, accepted, failed from mailing_moments where mailing_id = :mailing_id order by at;

-- shared.ledger.repair._TO_BE_LOOKED_AT
select id from mailings m
where finished_at is null and audience_limit is not null or audience <> (
    select coalesce(sum(c.pending + c.sending + c.retrying + c.sent + c.failed + c.unknown + c.expired + c.cancelled + c.skipped), 0) from mailing_counters c where c.mailing_id = m.id)
or exists (select from receipt_counters r where r.mailing_id = m.id and r.moved_at > now() - interval '7 days')
order by id;

-- shared.ledger.repair._WITH_ROWS
select id from mailings where id = any(:ids) and messages_removed_at is null order by id;

-- shared.ledger.repair._LOCK_ROWS
select id from mailings where id = :mailing_id and messages_removed_at is null for share;

-- shared.ledger.repair._MEND_COUNTERS
insert into mailing_counters as c (mailing_id, slot, pending, sending, retrying, sent, failed, unknown, expired, cancelled, skipped)
values (:mailing_id, :slot, :pending, :sending, :retrying, :sent, :failed, :unknown, :expired, :cancelled, :skipped)
on conflict (mailing_id, slot) do update set pending = c.pending + excluded.pending, sending = c.sending + excluded.sending, retrying = c.retrying + excluded.retrying, sent = c.sent + excluded.sent, failed = c.failed + excluded.failed, unknown = c.unknown + excluded.unknown, expired = c.expired + excluded.expired, cancelled = c.cancelled + excluded.cancelled, skipped = c.skipped + excluded.skipped;

-- shared.ledger.repair._MEND_RECEIPTS
insert into receipt_counters as c (mailing_id, slot, moved_at, delivered, undelivered, unknown_delivered, unknown_undelivered)
select :mailing_id, :slot, date_bin('15 minutes', moment, timestamptz '2000-01-01 00:00:00+00'), :delivered, :undelivered, :unknown_delivered, :unknown_undelivered
from (select now() as moment) clock
on conflict (mailing_id, slot) do update
set delivered = c.delivered + excluded.delivered, undelivered = c.undelivered + excluded.undelivered, unknown_delivered = c.unknown_delivered + excluded.unknown_delivered, unknown_undelivered = c.unknown_undelivered + excluded.unknown_undelivered;

-- shared.ledger.repair._MEND_AUDIENCE
update mailings set audience = audience - :more where id = :mailing_id;

-- shared.ledger.slot._RENEW
update ledger_slots set until = now() + :lease
where slot = :slot and holder = :holder and slot is distinct from :left returning slot;

-- shared.ledger.slot._TAKE
insert into ledger_slots as s (slot, holder, until)
select slot, :holder, now() + :lease
from generate_series(0, (select count(*) + 1 from ledger_slots)) slot
where slot is distinct from :left
and not exists (select from ledger_slots taken where taken.slot = slot.slot and taken.until > now())
order by slot limit 1
on conflict (slot) do update set holder = excluded.holder, until = excluded.until where s.until <= now()
returning s.slot;

-- shared.ledger.totals._DIFFERENCE
with kept as (select * from mailings where finished_at is null or not (deleted_at is not null or (test or trial_of is not null))),
counted as (
    select (select count(*) from kept where not (deleted_at is not null or (test or trial_of is not null))) as mailings,
    (select coalesce(sum(audience), 0) from kept) as audience,
    coalesce(sum(c.pending), 0) as pending, coalesce(sum(c.sending), 0) as sending, coalesce(sum(c.retrying), 0) as retrying, coalesce(sum(c.sent), 0) as sent, coalesce(sum(c.failed), 0) as failed, coalesce(sum(c.unknown), 0) as unknown, coalesce(sum(c.expired), 0) as expired, coalesce(sum(c.cancelled), 0) as cancelled, coalesce(sum(c.skipped), 0) as skipped
    from kept join mailing_counters c on c.mailing_id = kept.id
), received as (
    select coalesce(sum(delivered), 0) as delivered, coalesce(sum(undelivered), 0) as undelivered, coalesce(sum(unknown_delivered), 0) as unknown_delivered, coalesce(sum(unknown_undelivered), 0) as unknown_undelivered
    from kept join receipt_counters r on r.mailing_id = kept.id
), total as (select coalesce(sum(mailings), 0) as mailings, coalesce(sum(audience), 0) as audience, coalesce(sum(pending), 0) as pending, coalesce(sum(sending), 0) as sending, coalesce(sum(retrying), 0) as retrying, coalesce(sum(sent), 0) as sent, coalesce(sum(failed), 0) as failed, coalesce(sum(unknown), 0) as unknown, coalesce(sum(expired), 0) as expired, coalesce(sum(cancelled), 0) as cancelled, coalesce(sum(skipped), 0) as skipped, coalesce(sum(delivered), 0) as delivered, coalesce(sum(undelivered), 0) as undelivered, coalesce(sum(unknown_delivered), 0) as unknown_delivered, coalesce(sum(unknown_undelivered), 0) as unknown_undelivered from ledger_totals)
select (total.mailings - counted.mailings)::bigint as mailings, (total.audience - counted.audience)::bigint as audience, (total.pending - counted.pending)::bigint as pending, (total.sending - counted.sending)::bigint as sending, (total.retrying - counted.retrying)::bigint as retrying, (total.sent - counted.sent)::bigint as sent, (total.failed - counted.failed)::bigint as failed, (total.unknown - counted.unknown)::bigint as unknown, (total.expired - counted.expired)::bigint as expired, (total.cancelled - counted.cancelled)::bigint as cancelled, (total.skipped - counted.skipped)::bigint as skipped,
(total.delivered - received.delivered)::bigint as delivered, (total.undelivered - received.undelivered)::bigint as undelivered, (total.unknown_delivered - received.unknown_delivered)::bigint as unknown_delivered, (total.unknown_undelivered - received.unknown_undelivered)::bigint as unknown_undelivered
from total, counted, received;

-- shared.ledger.totals._MEND
insert into ledger_totals as t (slot, mailings, audience, pending, sending, retrying, sent, failed, unknown, expired, cancelled, skipped, delivered, undelivered, unknown_delivered, unknown_undelivered)
values (0, :mailings, :audience, :pending, :sending, :retrying, :sent, :failed, :unknown, :expired, :cancelled, :skipped, :delivered, :undelivered, :unknown_delivered, :unknown_undelivered)
on conflict (slot) do update set mailings = t.mailings + excluded.mailings, audience = t.audience + excluded.audience, pending = t.pending + excluded.pending, sending = t.sending + excluded.sending, retrying = t.retrying + excluded.retrying, sent = t.sent + excluded.sent, failed = t.failed + excluded.failed, unknown = t.unknown + excluded.unknown, expired = t.expired + excluded.expired, cancelled = t.cancelled + excluded.cancelled, skipped = t.skipped + excluded.skipped, delivered = t.delivered + excluded.delivered, undelivered = t.undelivered + excluded.undelivered, unknown_delivered = t.unknown_delivered + excluded.unknown_delivered, unknown_undelivered = t.unknown_undelivered + excluded.unknown_undelivered;

-- shared.rates.demands._UNSENT
select m.id, m.part, m.window_from, m.window_until, extract(epoch from m.ends_at - now())::float as seconds,
m.part is not null and m.paused_at is null and m.cancelled_at is null and m.ends_at > now() and not m.test
and not coalesce((
        select s.held_until > now()
        or s.proven_at is null and s.refusals >= 50 and m.halted_at is null
        from mailing_standings s where s.mailing_id = m.id), false) as is_running,
(counted.messages - ahead.messages)::bigint as messages
from mailings m
cross join lateral (
    select coalesce(sum(c.pending + c.sending + c.retrying), 0) as messages from mailing_counters c where c.mailing_id = m.id
) counted
cross join lateral (
    select coalesce(sum(messages), 0) as messages from mailing_openings o
    where o.mailing_id = m.id and o.opens_at > now()
) ahead
where m.finished_at is null and m.audience_limit is not null and m.id > :after
order by m.id limit :limit;

-- shared.rates.demands._KEEP
insert into scaling (id, wanted, oldest_due) values (1, :wanted, :oldest_due)
on conflict (id) do update
set wanted = excluded.wanted, oldest_due = excluded.oldest_due, reckoned_at = now();

-- shared.rates.limits._RESERVE
with limited as materialized (
    select name, next_at, rate
    from limits join unnest(cast(:names as text[]), cast(:rates as float[])) asked (name, rate) using (name)
    where set_config('synchronous_commit', 'off', true) = 'off'
    order by name for update of limits
), seen as materialized (
    select name, next_at, rate, clock_timestamp() as now from limited
), free as (
    select name, rate, now, greatest(1, floor(rate * extract(epoch from cast(:soon as interval)))) as most,
    case when next_at <= now + 2 * cast(:soon as interval) + make_interval(secs => 1 / rate)
    then greatest(next_at, now) else now end as at
    from seen
), decided as materialized (
    select count(*) as found, max(now) as now, max(at) as at, max(1 / rate) as gap,
    case when max(at) > max(now) + cast(:soon as interval) then 0
    else least(min(most), cast(:wanted as int)) end as messages
    from free
), taken as (
    update limits set next_at = decided.at + make_interval(secs => decided.messages / free.rate)
    from free cross join decided where limits.name = free.name and decided.messages > 0
)
select found, cast(coalesce(messages, 0) as int) as messages, gap,
cast(extract(epoch from at - now - case when messages > 0 then interval '0' else :soon end) as float) as wait
from decided;

-- shared.rates.limits._USED_UP
select name from limits where next_at > clock_timestamp() - cast(:soon as interval);

-- shared.rates.limits._MAKE
insert into limits (name, next_at) select unnest(cast(:names as text[])), now() on conflict do nothing;

-- shared.rates.paces._NOTES
select noted_at, pace, providers from dispatcher_paces where noted_at > now() - cast(:alive as interval);

-- shared.rates.paces._NOTE
insert into dispatcher_paces (dispatcher, pace, providers, noted_at)
values (:dispatcher, :pace, cast(:providers as jsonb), now())
on conflict (dispatcher) do update
set pace = excluded.pace, providers = excluded.providers, noted_at = excluded.noted_at;

-- shared.rates.paces._PACES
select pace from dispatcher_paces where noted_at > now() - cast(:alive as interval);

-- shared.rates.paces._LEAVE
delete from dispatcher_paces where dispatcher = :dispatcher;

-- shared.rates.paces._FORGET_GONE
delete from dispatcher_paces where noted_at < now() - cast(:age as interval);

-- dispatcher_service.leading.chores.check_ledger._NEXT
select id, audience from mailings where finished_at is null and audience_limit is not null and id > :after
order by id limit :most;

-- dispatcher_service.leading.chores.close_ended._CLOSE
update mailings set closed_at = now()
where id = :mailing_id and closed_at is null and finished_at is null
and (launched_at is not null or cancelled_at is not null);

-- dispatcher_service.leading.chores.finish_mailings._FINISH
with free as materialized (
    select id from mailings
    where id = any(:mailing_ids) and finished_at is null
    and (launched_at is not null or cancelled_at is not null)
    order by id for no key update skip locked
)
update mailings m set finished_at = now() from free where m.id = free.id
and audience = (select coalesce(sum(c.sent + c.failed + c.unknown + c.expired + c.cancelled + c.skipped), 0)
    from mailing_counters c where c.mailing_id = m.id)
and 0 = (select coalesce(sum(c.pending + c.sending + c.retrying), 0) from mailing_counters c where c.mailing_id = m.id)
returning m.id, (deleted_at is not null or (test or trial_of is not null)) as is_hidden;

-- dispatcher_service.leading.chores.retime_windows._WINDOW_IS_KNOWN
update mailings set window_changed = false where id = :mailing_id;

-- dispatcher_service.leading.chores.show_figures._COUNT
select count(*) as number, max(id) as last,
count(*) filter (where not ended and paused_at is not null) as paused,
count(*) filter (where not ended and paused_at is null and starts_at <= now()) as running,
count(*) filter (where not ended and paused_at is null and starts_at > now()) as scheduled
from (
    select id, starts_at, paused_at, cancelled_at is not null or ends_at <= now() as ended
    from mailings where finished_at is null and not draft and id > :after and not (test or trial_of is not null)
    order by id limit :limit
) part;

-- dispatcher_service.leading.chores.wake_waiting._RETURNED
select returned_at from provider_returns where lane = 0;

-- dispatcher_service.leading.chores.wake_waiting._HINTED
select m.id from (select distinct mailing_id from mailing_counters
    where due_at <= now() + (:within + 60) * interval '1 second') hinted
cross join lateral (select id, ends_at from mailings where id = hinted.mailing_id and finished_at is null limit 1) m
order by m.ends_at, m.id;

-- dispatcher_service.leading.isolation._WAIT_BRIEFLY
select set_config('lock_timeout', :lock, true);

-- dispatcher_service.leading.lease_guard._NOW
select now();

-- dispatcher_service.leading.session._SESSION
select pg_backend_pid();

-- dispatcher_service.leading.session._SETTINGS
select pg_backend_pid(),
set_config('synchronous_commit', 'off', false), set_config('idle_session_timeout', :silence, false),
set_config('lock_timeout', :lock, false), set_config('statement_timeout', :statement, false),
set_config('jit', 'off', false);

-- dispatcher_service.leading.settled_ids._PLACE
select cast(pg_current_wal_insert_lsn() as text) as now,
coalesce(pg_current_wal_flush_lsn() >= cast(:before as pg_lsn), false) as is_written;

-- dispatcher_service.leading.walk.WALK
with found as (
    select mailing_id as id from mailing_counters where due_at <= now()
    union
    select id from mailings where starts_at <= now()
    and launched_at is null and paused_at is null and cancelled_at is null and finished_at is null
    union
    select id from mailings where ends_at <= now() and closed_at is null and finished_at is null
    union
    select id from mailings where cancelled_at is not null and closed_at is null and finished_at is null
    union
    select id from mailings where window_changed and paused_at is null and finished_at is null
    and cancelled_at is null and ends_at > now()
)
select not over and not cancelled and paused_at is null and not coalesce((
        select s.held_until > now()
        or s.proven_at is null and s.refusals >= 50 and m.halted_at is null
        from mailing_standings s where s.mailing_id = m.id), false) as may_be_fed,
m.id, m.part, m.audience, m.ends_at, m.priority,
case when launched_at is not null then version::text::bigint end as version,
m.test, over, cancelled, closed_at is not null as closed,
window_changed and starts_at <= now() and not over and not cancelled and paused_at is null as window_changed,
launched_at is null and not cancelled and (over or starts_at <= now() and paused_at is null) as unlaunched
from found
cross join lateral (select *, xmin as version from mailings where id = found.id limit 1) m
cross join lateral (select m.ends_at <= now() as over, m.cancelled_at is not null as cancelled) state
order by m.ends_at, m.id;

-- dispatcher_service.leading.walk._NEXT_START
select extract(epoch from min(starts_at) - clock_timestamp())::float from mailings
where starts_at > now()
and launched_at is null and finished_at is null and cancelled_at is null and paused_at is null;

-- shared.erasing._DUE
select id, client_id, phone from erasures where at <= now() - :later order by id limit :limit;

-- shared.erasing._BATCHES
select id, lines from refused_lines where id > :after order by id limit :limit for update;

-- shared.erasing._SET_LINES
update refused_lines set lines = cast(:lines as json) where id = :id;

-- shared.erasing._DROP_LINES
delete from refused_lines where id = :id and cast(:lines as text) is not null;

-- shared.erasing._IMPORTS
select id, errors from imports where id > :after and errors <> '[]' order by id limit :limit for update;

-- shared.erasing._SET_ERRORS
update imports set errors = cast(:errors as jsonb) where id = :id;

-- shared.erasing._FORGET
delete from erasures where id = any(:ids);

-- shared.lanes._GIVEN
select name, given_weight from providers where is_there;

-- shared.lanes._ALONE
select pg_advisory_xact_lock(hashtext('lanes'));

-- shared.lanes._REGISTER
with mine as (
    select * from unnest(cast(:numbers as smallint[]), cast(:names as text[]), cast(:weights as integer[]))
    as mine (number, name, weight)
), gone as (
    update providers set is_there = false where is_there and name <> all(cast(:names as text[]))
)
insert into providers as p (number, name, given_weight) select number, name, weight from mine
on conflict (name) do update set is_there = true, given_weight = excluded.given_weight
where not p.is_there or p.given_weight <> excluded.given_weight;

-- shared.lanes._SET
insert into lanes as l (number, providers, operator_codes, senders) values (:number, :providers, :codes, :senders)
on conflict (number) do update
set providers = excluded.providers, operator_codes = excluded.operator_codes, senders = excluded.senders
where (l.providers, l.operator_codes, l.senders)
is distinct from (excluded.providers, excluded.operator_codes, excluded.senders);

-- shared.lanes._EMPTY_OTHERS
update lanes set providers = '{}', operator_codes = '{}', senders = '{}'
where number <> all(:numbers) and providers <> '{}';

-- shared.lanes._ROUTE_ANEW
update lanes set routing = routing + 1 where number = 0;

-- shared.lanes._READ
select number, name, is_there, paused_at, coalesce(weight, given_weight) as weight, share,
null as members, null as codes, null as senders, null as routing
from providers
union all
select number, null, null, null, null, null, providers, operator_codes, senders, routing from lanes
order by number;

-- shared.lanes._IS_KNOWN
select exists (select from providers where name = :name and is_there);

-- shared.lanes._SHARE_OUT
update providers p set share = given.share
from unnest(cast(:names as text[]), cast(:shares as smallint[])) as given (name, share) where p.name = given.name;

-- shared.standing._TURNS
select id from unnest(cast(:mailing_ids as bigint[])) as asked (id)
where pg_try_advisory_xact_lock(hashtext('standing'), hashint8(id));

-- shared.standing._PROVE
with before as materialized (select * from mailing_standings where mailing_id = any(:mailing_ids)),
proven as (
    insert into mailing_standings as s (mailing_id, proven_at)
    select id, now() from unnest(cast(:mailing_ids as bigint[])) as accepted (id)
    where id not in (select mailing_id from before where proven_at is not null and holds = 0)
    on conflict (mailing_id) do update
    set proven_at = coalesce(s.proven_at, excluded.proven_at), holds = 0, held_until = null
)
select mailing_id from before where holds > 0;

-- shared.standing._REFUSE
insert into mailing_standings as s (mailing_id, words, refusals)
select id, words, number + greatest(
    (
        select cast(coalesce(sum(count), 0) as integer) from tallies
        where mailing_id = refused.id and name = 'error.rejected'
    ), (select refusals from mailing_standings where mailing_id = refused.id))
from unnest(cast(:mailing_ids as bigint[]), cast(:numbers as integer[]), cast(:words as text[]))
as refused (id, number, words)
on conflict (mailing_id) do update set refusals = excluded.refusals, words = excluded.words
where s.proven_at is null;

-- shared.standing._HOLD
insert into mailing_standings as s (mailing_id, holds, held_until)
select id, 1, now() + :first * interval '1 second' from unnest(cast(:mailing_ids as bigint[])) as stuck (id)
on conflict (mailing_id) do update set holds = least(s.holds + 1, 30),
held_until = now() + least(:first * power(2, s.holds), :longest) * interval '1 second'
where coalesce(s.held_until <= now(), true)
returning s.mailing_id, cast(extract(epoch from s.held_until - now()) as float) as seconds;

-- shared.standing._ASK
with asked as materialized (
    select id, coalesce((
            select proven_at is not null and holds = 0 from mailing_standings where mailing_id = id
        ), false) as is_trusted
    from unnest(cast(:mailing_ids as bigint[])) as asked (id)
)
select id, is_trusted,
case when not is_trusted then pg_try_advisory_xact_lock(hashtext('standing'), hashint8(id)) end as is_ours
from asked;

-- shared.standing._ROOM
with refused as (
    select id, (
        select cast(coalesce(sum(count), 0) as integer) from tallies
        where mailing_id = refused.id and name = 'error.rejected'
    ) as number from mailings refused where id = any(:mailing_ids) and halted_at is null
), counted as (
    insert into mailing_standings as s (mailing_id, refusals) select id, number from refused where number > 0
    on conflict (mailing_id) do update set refusals = excluded.refusals
    where s.proven_at is null and s.refusals < excluded.refusals
    returning mailing_id, refusals
)
select m.id, coalesce(counted.refusals >= 50, false) or coalesce((
        select s.held_until > now()
        or s.proven_at is null and s.refusals >= 50 and m.halted_at is null
        from mailing_standings s where s.mailing_id = m.id), false) as is_blocked, (
    select cast(coalesce(sum(sending), 0) as bigint) from mailing_counters where mailing_id = m.id) as open_calls
from mailings m left join counted on counted.mailing_id = m.id where m.id = any(:mailing_ids);

-- shared.standing._REFUSED
select m.id, s.words from mailing_standings s
cross join lateral (
    select id from mailings where id = s.mailing_id and halted_at is null and paused_at is null
    and cancelled_at is null and finished_at is null limit 1) m
where s.proven_at is null and s.refusals >= 50 order by s.mailing_id limit :limit;

-- shared.standing._HALT
update mailings set paused_at = now(), halted_at = now(), provider_words = :words
where id = :mailing_id and halted_at is null and paused_at is null and cancelled_at is null and finished_at is null;

-- shared.standing._FORGET
delete from mailing_standings where mailing_id = any(:mailing_ids);

-- shared.standing._RETURNED
update provider_returns set returned_at = now()
where lane in (select lane from provider_returns where lane = 0 for update skip locked);

-- shared.suppression._MARKS
select version, mark from suppression_keys;

-- shared.suppression._HOLD
select pg_advisory_xact_lock_shared(1668247155);

-- shared.suppression._HOLD_ALONE
select pg_advisory_xact_lock(1668247155);

-- shared.suppression._ROW_BY_ROW
select set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true);

-- shared.suppression._FLAG
update clients c set suppression_id = given.id
from unnest(cast(:phones as bigint[]), cast(:ids as bigint[])) as given (phone, id)
where c.phone = given.phone and c.suppression_id is distinct from given.id
returning c.id;

-- shared.suppression._FLAG_FORMER
update former_phones f set suppression_id = given.id
from unnest(cast(:phones as bigint[]), cast(:ids as bigint[])) as given (phone, id)
where f.phone = given.phone;

-- shared.suppression._REMEMBER
insert into former_phones as f (client_id, phone, suppression_id) values (:client_id, :phone, :suppression_id)
on conflict (client_id, phone) do update set suppression_id = excluded.suppression_id, until = now();

-- shared.suppression._HAVE_AGAIN
delete from former_phones where client_id = :client_id and phone = :phone;

-- shared.suppression._FORGET_PHONES
delete from former_phones where client_id = :client_id;

-- shared.suppression._UNFLAG
update clients set suppression_id = null where suppression_id = :id;

-- shared.suppression._UNFLAG_FORMER
update former_phones set suppression_id = null where suppression_id = :id;

-- shared.suppression._AGAIN
select id, phone from suppressions
where phone is not null and since <= now() - :after * interval '1 second'
order by id limit :limit for update skip locked;

-- shared.suppression._FORGET
update suppressions set phone = null where id = any(:ids);

-- shared.retention.leftovers._NEXT
select id, part, first_message_id, last_message_id from mailings
where messages_removed_at is not null and first_message_id is not null
order by id limit 1;

-- shared.retention.leftovers._BY_INDEX
select set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true);

-- shared.retention.leftovers._DELETE
with looked as materialized (
    select id, mailing_id from messages where part = :part and id >= :first and id <= :last
    order by id limit :slice
), own as materialized (
    select id from looked where mailing_id = :mailing_id
), attempts_gone as (
    delete from attempts where part = :part and message_id = any(array(select id from own))
), receipts_gone as (
    delete from receipts where part = :part and message_id = any(array(select id from own))
), references_gone as (
    delete from message_references where part = :part and message_id = any(array(select id from own))
), gone as (
    delete from messages where part = :part and id = any(array(select id from own)) returning 1
)
select (select count(*) from gone) as deleted, (select count(*) from looked) as looked_at,
(select max(id) from looked) as reached;

-- shared.retention.leftovers._ADVANCE
update mailings set first_message_id = cast(:first as bigint),
last_message_id = case when cast(:first as bigint) is null then null else last_message_id end
where id = :mailing_id;

-- shared.retention.parts._IN_TURN
lock table parts in share row exclusive mode;

-- shared.retention.parts._OPEN
select number from parts where closed_at is null order by number;

-- shared.retention.parts._CLOSE
update parts set closed_at = now() where number = :number;

-- shared.retention.parts._FILLED
select coalesce(last.id - first.id + 1, 0) as messages, coalesce(now() - g.launched_at, interval '0') as lasted
from (select 1) one
left join lateral (select id, mailing_id from messages where part = :number order by id limit 1) first on true
left join lateral (select id from messages where part = :number order by id desc limit 1) last on true
left join lateral (select launched_at from mailings where id = first.mailing_id limit 1) g on true;

-- shared.retention.parts._PARTS
with named (id) as materialized (
    select unnest(named_mailings) from mailings where finished_at is null and launched_at is null and cancelled_at is null
    union all
    select family.id from (
        select retry_root as root from mailings where finished_at is null and launched_at is null and cancelled_at is null and retry_root is not null
    ) retry cross join lateral (
        select retry.root as id union all select id from mailings where retry_root = retry.root
    ) family
)
select p.number, p.closed_at, coalesce(unfinished.id, held.id) is not null as is_running,
first.finished_at as first_finished_at, last.finished_at as last_finished_at
from parts p
left join lateral (
    select id from mailings where part = p.number and messages_removed_at is null and finished_at is null
    limit 1) unfinished on true
left join lateral (
    select id from mailings
    where id = any(array(select id from named)) and part = p.number and messages_removed_at is null
    limit 1) held on true
left join lateral (
    select finished_at from mailings
    where part = p.number and messages_removed_at is null and finished_at is not null
    order by finished_at limit 1) first on true
left join lateral (
    select finished_at from mailings
    where part = p.number and messages_removed_at is null and finished_at is not null
    order by finished_at desc limit 1) last on true
order by p.number;

-- shared.retention.parts._NOW
select now();

-- shared.retention.parts._LOCK_OLD
select id from mailings
where part = :number and messages_removed_at is null and finished_at <= now() - :kept
and id not in (
    select unnest(named_mailings) from mailings where finished_at is null and launched_at is null and cancelled_at is null
    union all
    select family.id from (
        select retry_root as root from mailings where finished_at is null and launched_at is null and cancelled_at is null and retry_root is not null
    ) retry cross join lateral (
        select retry.root as id union all select id from mailings where retry_root = retry.root
    ) family
)
order by finished_at limit :slice for no key update skip locked;

-- shared.retention.parts._GIVE_UP
update mailings set messages_removed_at = now(),
first_message_id = case when :with_part then null else first_message_id end,
last_message_id = case when :with_part then null else last_message_id end
where id = any(:ids) and id not in (
    select unnest(named_mailings) from mailings where finished_at is null and launched_at is null and cancelled_at is null
    union all
    select family.id from (
        select retry_root as root from mailings where finished_at is null and launched_at is null and cancelled_at is null and retry_root is not null
    ) retry cross join lateral (
        select retry.root as id union all select id from mailings where retry_root = retry.root
    ) family
)
returning id, audience;

-- shared.retention.parts._NO_FINDINGS
delete from ledger_findings where mailing_id = any(:ids);

-- shared.retention.parts._IS_GIVEN_UP
select closed_at is not null
and not exists (select from mailings where part = :number and messages_removed_at is null)
from parts where number = :number;

-- shared.retention.parts._SIZE
select sum(pg_total_relation_size(to_regclass(name)))::bigint from unnest(cast(:tables as text[])) name;

-- shared.retention.parts._NOTHING_LEFT
update mailings set first_message_id = null, last_message_id = null
where part = :number and messages_removed_at is not null and first_message_id is not null;

-- shared.retention.parts._FORGET
delete from parts where number = :number;
