/** The only place that talks to the server. */

/** An answer of the server that says what is wrong; `status` is its HTTP status. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** No answer: the server is away. */
export class Away extends Error {}

/** Send a request; return the response, or throw `Refused` or `Away`. */
async function request(path, given) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...given });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Away("the server does not answer");
  }
  if (response.ok) return response;
  throw new Refused(await problem(response), response.status);
}

/** Return the line in which a response says what is wrong. */
async function problem(response) {
  try {
    return (await response.json()).error;
  } catch {
    return `the server answered with status ${response.status}`;
  }
}

/** Send a JSON body; return the response. */
function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return request(path, { method: "POST", headers, body: JSON.stringify(body), signal });
}

/** Send a JSON body; return the JSON of the answer. */
async function ask(path, body, signal) {
  return (await post(path, body, signal)).json();
}

/** Return the bytes that a base64 text stands for. */
function decoded(text) {
  return Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
}

export const api = {
  about: async () => (await request("/api/about")).json(),
  rows: (body, signal) => ask("/api/rows", body, signal),
  text: async (row, signal) => (await (await request(`/api/text/${row}`, { signal })).json()).text,
  counts: (body, signal) => ask("/api/counts", body, signal),
  tags: (body, signal) => ask("/api/tags", body, signal),
  labels: (body, signal) => ask("/api/labels", body, signal),
  yaml: (body) => ask("/api/yaml", body),
  learningCurve: (body, signal) => ask("/api/learning-curve", body, signal),
  topics: (body, signal) => ask("/api/topics", body, signal),
  thresholds: (body, signal) => ask("/api/thresholds", body, signal),
  changes: (body, signal) => ask("/api/changes", body, signal),
  report: (body, signal) => ask("/api/report", body, signal),
  advice: (body, signal) => ask("/api/advice", body, signal),
  doubts: (body, signal) => ask("/api/doubts", body, signal),
  duplicates: (body, signal) => ask("/api/duplicates", body, signal),
  compare: (body, signal) => ask("/api/compare", body, signal),
  ask: (body) => ask("/api/ask", body),
  answer: (body) => ask("/api/answer", body),
  answered: (body, signal) => ask("/api/answered", body, signal),
  carry: (body) => ask("/api/carry", body),
  undo: (body) => ask("/api/undo", body),
  command: (body, signal) => ask("/api/command", body, signal),
  mapAnew: () => ask("/api/map/anew", {}),
  download: async (body) => (await post("/api/download", body)).blob(),

  /** Return x and y of each row in turn, as Float32Array; NaN for a row without a text. */
  map: async (method) => new Float32Array(await (await request(`/api/map?method=${method}`)).arrayBuffer()),

  /** Return the names of the groups, and the number of each row's group as Int16Array; -1 for none. */
  colours: async (body, signal) => {
    const { groups, codes } = await ask("/api/colours", body, signal);
    return { groups, codes: new Int16Array(decoded(codes).buffer) };
  },

  /** Return one bit a row, least significant bit first. */
  mask: async (body, signal) => new Uint8Array(await (await post("/api/mask", body, signal)).arrayBuffer()),
};
