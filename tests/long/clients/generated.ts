// Uses the types that openapi-typescript has made, by openapi-fetch: `node generated.js URL`.
import createClient from "openapi-fetch";
import type { components, paths } from "./api";

const api = createClient<paths>({ baseUrl: process.argv[2]! });

function check(holds: boolean, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

const phone = "79123456781";
const made = await api.POST("/clients/", {
  body: { phone, tag: "vip" },
  params: { header: { "Idempotency-Key": "ts" } },
});
check(made.response.status === 201 && made.data !== undefined, made);
const path = { client_id: made.data.id };

const again: components["schemas"]["ClientReplacement"] = made.data;
const replaced = await api.PUT("/clients/{client_id}/", {
  params: { path, header: { "If-Match": made.response.headers.get("ETag")! } },
  body: again,
});
check(replaced.data?.revision === made.data.revision, replaced);

const changed = await api.PATCH("/clients/{client_id}/", { params: { path }, body: { tag: "new" } });
check(changed.data?.tag === "new", changed);

const lost = await api.PATCH("/clients/{client_id}/", {
  params: { path, header: { "If-Match": '"1"' } },
  body: { tag: "old" },
});
check(lost.error?.type === "changed", lost);

const found = await api.GET("/clients/", { params: { query: { phone } } });
check(found.data?.length === 1, found);

const start = Date.now() + 3_600_000;
const mailing = await api.POST("/mailings/", {
  body: {
    text: "Hello",
    starts_at: new Date(start).toISOString(),
    ends_at: new Date(start + 3_600_000).toISOString(),
    filter: { tags: ["vip"] },
  },
});
const state: components["schemas"]["MailingState"] | undefined = mailing.data?.state;
check(state === "scheduled", mailing);

const messages = await api.GET("/mailings/{mailing_id}/detail_statistics/", {
  params: { path: { mailing_id: mailing.data!.id }, query: { status: "failed", after_id: 0 } },
});
check(messages.data?.messages.length === 0, messages);
