// Verifies transaction tokens with panva's jose, which was not written for them.
//
// Usage: node verify.mjs MODULES KEYS AUDIENCE   (stdin, stdout: as main.go)
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [modules, keys, audience] = process.argv.slice(2);
const jose = await import(pathToFileURL(`${modules}/jose/dist/webapi/index.js`));
const published = jose.createLocalJWKSet(JSON.parse(readFileSync(keys, 'utf8')));
const rules = {
  typ: 'txntoken+jwt', audience, algorithms: ['ES256', 'EdDSA', 'Ed25519'],
  requiredClaims: ['iat', 'exp', 'txn', 'sub', 'scope', 'req_wl'],
};
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await jose.jwtVerify(line, published, rules).then(({ payload }) => ({ claims: payload }), (error) => ({ error: error.message }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
