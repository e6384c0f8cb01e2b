import jsonpatch from "fast-json-patch";

// Calls `show` with each result of a GET until `gone`; throws the problem that ends the stream. In a page of React:
//   useEffect(() => {
//     const gone = new AbortController();
//     follow<Jobs>(`${api}/api/workspaces/${id}/jobs?delta=json-patch`, token, setJobs, gone.signal).catch(setProblem);
//     return () => gone.abort();
//   }, [id]);
type Token = () => string | Promise<string>; // called for each connection, because a token may expire

export async function follow<T>(url: string, token: Token, show: (result: T) => void, gone: AbortSignal) {
  let [known, retry, failures, result] = ["", 2_000, 0, undefined as T | undefined];
  const take = (event: Record<string, string>) => {
    if (event.retry) retry = Number(event.retry);
    if (event.data === undefined) return; // a heartbeat
    const data = JSON.parse(event.data);
    if (event.event === "problem") throw data;
    known = ""; // if the patch fails, the next connection sends the whole result
    result = event.event === "patch" ? jsonpatch.applyPatch(result, data, true, false).newDocument : data;
    known = event.id ?? "";
    show(result as T);
  };
  while (!gone.aborted) {
    try {
      const headers = { Accept: "text/event-stream", Authorization: `Bearer ${await token()}`, "Last-Event-ID": known };
      const response = await fetch(url, { headers, signal: gone, cache: "no-store" });
      if (!response.ok || !response.body) throw await response.json();
      failures = 0;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = "", read = await reader.read(); !read.done; read = await reader.read()) {
        const events = (text + read.value).split("\n\n");
        text = events.pop() ?? ""; // the beginning of the next event
        for (const event of events) take(Object.fromEntries(event.split("\n").map((line) => line.split(/: (.*)/s, 2))));
      }
    } catch (error) {
      const { status = 503 } = error as { status?: number }; // none: the connection was interrupted or refused
      if (status < 500 && status !== 429 && !gone.aborted) throw error;
      failures += 1;
    }
    const pause = Math.min(retry * 2 ** failures, 60_000) * (0.75 + Math.random() / 2);
    if (!gone.aborted) await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
