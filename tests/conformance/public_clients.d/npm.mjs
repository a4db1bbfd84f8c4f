// OPA's SDK of npm asks the server that the first argument names; a line for each outcome.
import { OPAClient } from "@open-policy-agent/opa";
import { OpaApiClient } from "@open-policy-agent/opa/sdk/index.js";

const url = process.argv[2];
const opa = new OPAClient(url);
const low = new OpaApiClient({ serverURL: url });

async function tell(what, work) {
  let said;
  try {
    said = { result: await work() };
  } catch (error) {
    const status = error.httpMeta?.response?.status ?? error.statusCode;
    said = { error: error.constructor.name, status, code: error.code, message: error.message ?? String(error) };
    if (status === 501) Object.assign(said, { left_out: true, body: error.body ?? error.message });
  }
  console.log(JSON.stringify({ what, ...said }));
}

await tell("allowed", () => opa.evaluate("shop/allow", { user: "u-1" }));
await tell("denied", () => opa.evaluate("shop/allow", { user: "u-9" }));
await tell("without input", () => opa.evaluate("shop/users"));
await tell("a class as input", () => opa.evaluate("shop/echo", { toInput: () => ({ user: "ü" }) }));
await tell("fromResult", () => opa.evaluate("shop", { user: "u-1" }, { fromResult: (r) => r.allow }));
await tell("undefined", () => opa.evaluate("shop/none", { user: "u-1" }));
await tell("conflict", () => opa.evaluate("shop/clash", { clash: true }));
await tell("default", () => opa.evaluateDefault({ user: "u-1" }));
await tell("batch", () =>
  opa.evaluateBatch("shop/allow", { a: { user: "u-1" }, b: { user: "u-9" } }, { fallback: true }));
await tell("batch with a conflict", () =>
  opa.evaluateBatch("shop/clash", { a: { clash: true }, b: { clash: false } }, { fallback: true }));
await tell("health", () => low.health());
await tell("health of bundles and plugins", () => low.health(true, true, ["decision-logs"]));
await tell("metrics and packed", async () => {
  const answer = await low.executePolicyWithInput({
    path: "shop/allow", metrics: true, pretty: true, acceptEncoding: "gzip", requestBody: { input: { user: "u-1" } } });
  const { result, metrics, decisionId } = answer.successfulPolicyResponse;
  return { result, metrics: Object.keys(metrics).length > 0, id: decisionId?.length };
});
