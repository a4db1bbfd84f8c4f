// Asks for a transaction token with openid-client, which was not written for it.
//
// Usage: node client.mjs MODULES CONFIG   CONFIG: a JSON file
//   issuer, client_id, certificate, key, ca (files), parameters (of the form, but for grant_type)
//   stdout: the response, or {"error", "error_description", "status"}
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { pathToFileURL } from 'node:url';

const [modules, configFile] = process.argv.slice(2);
const client = await import(pathToFileURL(`${modules}/openid-client/build/index.js`));
const config = JSON.parse(readFileSync(configFile, 'utf8'));
const tls = { cert: readFileSync(config.certificate), key: readFileSync(config.key), ca: readFileSync(config.ca) };

// The library leaves client certificates to the caller.
const fetchWithCertificate = (url, { body, headers, method }) => new Promise((done, failed) => {
  const sent = request(url, { ...tls, method, headers }, (answer) => {
    const parts = [];
    answer.on('data', (part) => parts.push(part));
    answer.on('end', () => done(new Response(Buffer.concat(parts), { status: answer.statusCode, headers: answer.headers })));
  });
  sent.on('error', failed);
  sent.end(body == null ? undefined : body.toString());
});

try {
  const server = await client.discovery(new URL(config.issuer), config.client_id, undefined, client.TlsClientAuth(), {
    algorithm: 'oauth2', [client.customFetch]: fetchWithCertificate,
  });
  const answer = await client.genericGrantRequest(server, 'urn:ietf:params:oauth:grant-type:token-exchange', config.parameters);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
} catch ({ error, error_description, status, message, code }) {
  process.stdout.write(`${JSON.stringify({ error: error ?? code, error_description: error_description ?? message, status })}\n`);
}
