"""The provider simulator: a real HTTP server with the provider's contract and every fault the product must survive.

`POST /v1/send/{id}` with `{"id": int, "phone": int, "text": str}` answers `{"code": 0, "message": "OK"}`. Whatever
breaks the contract gets a 4xx that says what is wrong: 400, 401 where a token is configured, 404, 405, 411, 413, 431.

It speaks the dialects of the presets, too (`dialects`), each at its own address and all at once; a secret is compared
with the token. Where a dialect has no id of ours (Twilio, SMS Aero, Kannel) the phone stands for it in the records. Of
the faults below, those that mean a refusal come in the dialect's own words.

Faults (`faults.Fault`) hit a share of the requests, their rate. Which request is hit depends on the seed, the id and on
how many requests came for that id before, and on nothing else: the same seed gives the same fates in whatever order the
ids come. Latency delays every answer; what is accepted is accepted when the request arrives.

A provider that delivers and does not say so is a rate of `no_code`, `created` or, for ever silent, `accept_hang`; one
that serves one in ten is `server_error=0.9`. `poison`: a text that it cannot stand. `status`: what it answers to all,
as where an account is closed (402, 400) or a path is wrong (404).

Outages (`outage.Mode`) hit all requests for a while, instead of the faults. `refuse`: as if the process had died, what
is connected is reset and nothing connects; `503`: that is every answer; `hang`: there are no answers.

Every id is recorded (`records.Record`): how often and when it was received and accepted, how many of its requests were
open at the same time, and whether it came again after a clean answer.

The control API has a port of its own, so that it can be reached while the provider refuses connections; errors are
`{"code": 400, "message": ...}`. `control.Simulator` is its client.

GET /control/health       {"status": "ok"}
GET /control/faults       {"rates": {"hang": 0.01}, "latency_ms": 0, "jitter_ms": 0, "retry_after": 1,
                          "max_faults_per_id": null, "refuse_ids_modulo": null, "poison": null, "status": null,
                          "takes_per_second": null}
PUT /control/faults       replaces them all; what is left out gets its default
PUT /control/token        {"token": "..."}: what it asks for from now on, as when the one that it knew has run out
POST /control/outage      {"mode": "refuse", "seconds": 5, "after": 0}; without seconds: until it is ended
DELETE /control/outage    ends it, and forgets those that were to come
GET /control/summary      counts, see `control.Summary`
GET /control/accepted     one line per accepted id: {"id": 1, "count": 1, "first_at": 1.5, "last_at": 1.5}; Unix time, s
GET /control/received     the same for every id that came, and "most_open", "after_ok", "phone", "sender", "validity"
DELETE /control/accepted  forgets all ids and counts
"""
