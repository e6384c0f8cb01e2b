// What a front end does with the client that is generated from the API's contract: every line is checked by the
// compiler against the contract, and then run against the service.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Lead = components["schemas"]["LeadOut"];
type Problem = components["schemas"]["Problem"];

const [baseUrl, apiKey] = process.argv.slice(2);
assert(baseUrl && apiKey, "usage: client.js <base url> <api key>");
const api = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${apiKey}` } });

const me = await api.GET("/api/me");
assert(me.data, "the key is known");
const role: "admin" | "member" = me.data.user.role;
assert.equal(role, "admin");

const made = await api.POST("/api/workspaces", {
  body: { name: "From TypeScript", defaultFromName: "Ann", defaultFromEmail: "ann@acme.example" },
});
assert(made.data, made.error?.detail);
const workspaceId = made.data.id;
const list = await api.POST("/api/workspaces/{workspaceId}/lead-lists", {
  params: { path: { workspaceId } },
  body: { name: "Fair" },
});
assert(list.data, list.error?.detail);

// Sent twice under one key: done once.
const lead = { email: "thandi@lead.example", firstName: "Thandi", customFields: { seats: 12, vip: true } };
const listId = list.data.id;
const addLead = () =>
  api.POST("/api/workspaces/{workspaceId}/leads", {
    params: { path: { workspaceId }, header: { "Idempotency-Key": "first-lead" } },
    body: { ...lead, listId },
  });
const [added, again] = [await addLead(), await addLead()];
assert(added.data, added.error?.detail);
assert.deepEqual(again.data, added.data);
assert.equal(again.response.headers.get("Idempotency-Replayed"), "true");

// A business no is a typed problem.
const twice = await api.POST("/api/workspaces/{workspaceId}/leads", {
  params: { path: { workspaceId } },
  body: { email: "Thandi@Lead.example" },
});
const problem: Problem | undefined = twice.error;
assert.equal(problem?.code, "already_exists");

for (const email of ["b@lead.example", "c@lead.example"]) {
  await api.POST("/api/workspaces/{workspaceId}/leads", { params: { path: { workspaceId } }, body: { email } });
}

// All pages of a list, typed to the last field.
async function* leads(): AsyncGenerator<Lead> {
  let cursor: string | null | undefined;
  do {
    const page = await api.GET("/api/workspaces/{workspaceId}/leads", {
      params: { path: { workspaceId }, query: { limit: 2, sort: "email", ...(cursor ? { cursor } : {}) } },
    });
    assert(page.data, page.error?.detail);
    yield* page.data.items;
    cursor = page.data.nextCursor;
  } while (cursor);
}
const emails: string[] = [];
for await (const one of leads()) emails.push(one.email);
assert.deepEqual(emails, ["b@lead.example", "c@lead.example", "thandi@lead.example"]);

// A change is made to what was seen, or not at all.
const [first] = (await api.GET("/api/workspaces/{workspaceId}/leads", { params: { path: { workspaceId } } })).data!.items;
assert(first);
const path = { workspaceId, leadId: first.id };
const seen = await api.GET("/api/workspaces/{workspaceId}/leads/{leadId}", { params: { path } });
const etag = seen.response.headers.get("ETag");
assert(etag);
const change = (company: string) =>
  api.PATCH("/api/workspaces/{workspaceId}/leads/{leadId}", {
    params: { path, header: { "if-match": etag } },
    body: { company },
  });
assert.equal((await change("Acme")).data?.company, "Acme");
assert.equal((await change("Bell")).error?.code, "precondition_failed");

const sequence = await api.POST("/api/workspaces/{workspaceId}/sequences", {
  params: { path: { workspaceId } },
  body: { name: "Spring" },
});
assert(sequence.data, sequence.error?.detail);
const refused = await api.POST("/api/workspaces/{workspaceId}/sequences/{sequenceId}/activate", {
  params: { path: { workspaceId, sequenceId: sequence.data.id } },
});
assert.equal(refused.error?.code, "sequence_not_ready");
console.log("typescript: all of it holds");
