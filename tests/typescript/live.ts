// The live query of the documentation, run against the service on a bad line: it is cut again and again in the midst of
// what is sent, and streams end early. All the same what the page shows must become what a plain GET answers.
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import createClient from "openapi-fetch";
import { follow } from "./follow.js";
import type { components, paths } from "./schema.js";

type Leads = components["schemas"]["Page_LeadOut_"];
type Batch = components["schemas"]["LiveBatch"];
type Problem = components["schemas"]["Problem"];

const [baseUrl, apiKey] = process.argv.slice(2);
assert(baseUrl && apiKey, "usage: live.js <base url> <api key>");
const api = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${apiKey}` } });
const made = await api.POST("/api/workspaces", {
  body: { name: "Live", defaultFromName: "Ann", defaultFromEmail: "ann@acme.example" },
});
assert(made.data, made.error?.detail);
const workspaceId = made.data.id;
const leads = `/api/workspaces/${workspaceId}/leads`;
const queries = new URLSearchParams([leads, `/api/workspaces/${workspaceId}`].map((one) => ["query", one]));

const seen = { connections: 0, patches: 0, cuts: 0, repeated: 0 };
const plainFetch = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  const response = await plainFetch(input, init);
  if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) return response;
  seen.connections += 1;
  const isCut = seen.connections % 3 === 0;
  const line = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      const text = Buffer.from(chunk).toString().replace("retry: 2000", "retry: 20");
      if (text.includes("event: patch")) seen.patches += 1;
      if (isCut && text.includes("data: ")) {
        seen.cuts += 1;
        controller.enqueue(Buffer.from(text.slice(0, text.length / 2)));
        controller.error(new Error("the line was cut"));
      } else controller.enqueue(Buffer.from(text));
    },
  });
  return new Response(response.body?.pipeThrough(line) ?? null, response);
};

const gone = new AbortController();
const shown: Record<string, unknown> = {};
const watched = [leads, `${leads}?delta=json-patch`, `/api/workspaces/${workspaceId}/live?${queries}&delta=json-patch`];
const following = watched.map((path) =>
  follow<Leads | Batch>(`${baseUrl}${path}`, () => apiKey, (result) => {
    if (isDeepStrictEqual(result, shown[path])) seen.repeated += 1;
    shown[path] = result;
  }, gone.signal),
);

const settled = async (): Promise<void> => {
  const headers = { Authorization: `Bearer ${apiKey}` };
  const answers = await Promise.all(watched.map((path) => plainFetch(`${baseUrl}${path}`, { headers })));
  const plain = await Promise.all(answers.map((answer) => answer.json()));
  const deadline = Date.now() + 20_000;
  for (const [number, path] of watched.entries()) {
    while (!isDeepStrictEqual(shown[path], plain[number])) {
      assert(Date.now() < deadline, `${path} shows ${JSON.stringify(shown[path])}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
};

for (let number = 0; number < 12; number += 1) {
  const added = await api.POST("/api/workspaces/{workspaceId}/leads", {
    params: { path: { workspaceId } },
    body: { email: `l${number}@lead.example`, company: "Ünïted / ~1 🔑", customFields: { "a/b~c": number } },
  });
  assert(added.data, added.error?.detail);
  if (number % 2) await settled();
  const path = { workspaceId, leadId: added.data.id };
  await api.PATCH("/api/workspaces/{workspaceId}/leads/{leadId}", { params: { path }, body: { lastName: "Ngcobo" } });
  if (number % 3 === 0) await api.DELETE("/api/workspaces/{workspaceId}/leads/{leadId}", { params: { path } });
  await settled();
}
// Each comes back three times more, and is sent nothing that it has.
const enough = seen.connections + 9;
while (seen.connections < enough) await new Promise((resolve) => setTimeout(resolve, 5));
assert(seen.connections > 10 && seen.cuts > 3 && seen.patches > 5, JSON.stringify(seen));
assert.equal(seen.repeated, 0, "nothing is sent twice");

const nowhere = `${baseUrl}/api/workspaces/00000000-0000-7000-8000-000000000000`;
await assert.rejects(
  follow(nowhere, () => apiKey, () => assert.fail("there is nothing to show"), gone.signal),
  (problem: Problem) => problem.code === "not_found",
);
gone.abort();
await Promise.all(following);
console.log("live: all of it holds");
