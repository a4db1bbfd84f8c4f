// An OpenID provider for tests: the library oidc-provider with clients, keys that can be rotated, and a count of what it
// was asked. Everything that NOTP asks of it is answered by the library, but for `protected`.
//
// Usage: node provider.mjs MODULES CONFIG
//   MODULES   the node_modules folder of tools/build-openid
//   CONFIG    a JSON file:
//     port          0: any
//     listen        an address, that the provider listens on alone; default: 127.0.0.1
//     port_file     written when it answers: {"issuer", "port", "control"}
//     host          in the issuer; default: 127.0.0.1
//     path          of the issuer, such as "/tenant"; default: none
//     tls           {certificate, key, client_ca?} files; absent: http
//     algorithm     of signatures: RS256 (default), PS256, ES256, EdDSA, …
//     audience      of access tokens; default: "orders"
//     token_format  of access tokens: "jwt" (default), "opaque"
//     token_life_s  of access tokens; default: 600
//     login_scope   of the access token of /login; default: "orders"
//     clients       metadata of clients (OpenID Connect Registration §2); default: client "app", secret "app-secret"
//     require_nonce of DPoP proofs at the token endpoint (RFC 9449 §8)
//     protected     true: the key set wants an access token of the scope "keys", and DPoP proofs a nonce (§9)
//
// Commands are HTTP requests to http://127.0.0.1:<control>:
//   POST /rotate   a new signing key, used at once; the earlier ones stay published
//   POST /retire   publishes nothing but the signing key
//   POST /login    {"access_token"} of the client "app" for the account "ada", as after a login
//   GET  /state    {"kid", "kids", "requests": {"<path>": <count>}}
import { createHash, generateKeyPair, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const [modules, configFile] = process.argv.slice(2);
const resolve = createRequire(`${modules}/oidc-provider/package.json`).resolve;
const { Provider } = await import(pathToFileURL(`${modules}/oidc-provider/lib/index.js`));
const jose = await import(pathToFileURL(resolve('jose')));

const config = {
  port: 0, listen: '127.0.0.1', host: '127.0.0.1', path: '', algorithm: 'RS256', audience: 'orders', token_format: 'jwt', token_life_s: 600, login_scope: 'orders',
  clients: [{ client_id: 'app', client_secret: 'app-secret', token_endpoint_auth_method: 'client_secret_basic' }],
  ...JSON.parse(readFileSync(configFile, 'utf8')),
};
const scheme = config.tls ? 'https' : 'http';
const requests = {};
const nonces = new Set();
let keys = [];
let provider;
let handler;

async function newKey() {
  const { algorithm } = config;
  const generate = promisify(generateKeyPair);
  const curves = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };
  const { privateKey } = await (curves[algorithm]
    ? generate('ec', { namedCurve: curves[algorithm] })
    : /^Ed/.test(algorithm) ? generate('ed25519') : generate('rsa', { modulusLength: 2048 }));
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: algorithm };
}

function certificateSubjectMatches(ctx, property, expected) {
  const certificate = ctx.socket.getPeerX509Certificate();
  switch (property) {
    case 'tls_client_auth_subject_dn': // RFC 4514: the last part first
      return certificate.subject.split('\n').reverse().join(',') === expected;
    case 'tls_client_auth_san_uri':
      return certificate.subjectAltName?.split(', ').includes(`URI:${expected}`) === true;
    default:
      return false;
  }
}

function resourceServer() {
  return {
    scope: 'keys orders', audience: config.audience, accessTokenFormat: config.token_format, accessTokenTTL: config.token_life_s,
    jwt: { sign: { alg: config.algorithm } },
  };
}

async function login() {
  const client = await provider.Client.find('app');
  const token = new provider.AccessToken({ client, accountId: 'ada', scope: config.login_scope, gty: 'authorization_code' });
  token.resourceServer = new provider.ResourceServer(`urn:${config.audience}`, resourceServer());
  return { access_token: await token.save() };
}

function settings() {
  return {
    jwks: { keys },
    clients: config.clients.map((client) => ({
      redirect_uris: [], response_types: [], grant_types: ['client_credentials'], ...client,
    })),
    clientDefaults: { id_token_signed_response_alg: config.algorithm },
    scopes: ['openid', 'keys', 'orders'],
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth', 'none'],
    enabledJWA: {
      idTokenSigningAlgValues: [config.algorithm],
      introspectionSigningAlgValues: [config.algorithm],
      clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519'],
      dPoPSigningAlgValues: ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519'],
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true },
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => config.require_nonce === true },
      mTLS: {
        enabled: true, tlsClientAuth: true, certificateBoundAccessTokens: true,
        getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.(),
        certificateAuthorized: (ctx) => ctx.socket.authorized === true,
        certificateSubjectMatches,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => `urn:${config.audience}`,
        getResourceServerInfo: () => resourceServer(),
      },
    },
  };
}

// The library takes its keys when it is made: a rotation makes a new one behind the same listener.
function install(issuer) {
  provider = new Provider(issuer, settings());
  handler = provider.callback();
}

// RFC 9449 §4.3 and RFC 6750, for what a resource behind the provider asks for.
async function refusal(request, issuer) {
  const [kind, token] = (request.headers.authorization ?? '').split(' ');
  if (!token) return ['Bearer', 'missing token'];
  try {
    const published = jose.createLocalJWKSet({ keys: keys.map(({ d, p, q, dp, dq, qi, ...key }) => key) });
    const { payload } = await jose.jwtVerify(token, published, { issuer, audience: config.audience, typ: 'at+jwt' });
    if (!(payload.scope ?? '').split(' ').includes('keys')) return [kind, 'insufficient_scope'];
    if (!payload.cnf?.jkt) return kind === 'Bearer' ? null : [kind, 'invalid_token'];
    if (kind !== 'DPoP') return ['DPoP', 'invalid_token'];
    const proof = await jose.jwtVerify(request.headers.dpop ?? '', jose.EmbeddedJWK, { typ: 'dpop+jwt', maxTokenAge: 60 });
    const ath = createHash('sha256').update(token).digest('base64url');
    const { htm, htu, nonce } = proof.payload;
    if (htm !== request.method || htu !== new URL(request.url, issuer).href.split(/[?#]/)[0] || proof.payload.ath !== ath
      || (await jose.calculateJwkThumbprint(proof.protectedHeader.jwk)) !== payload.cnf.jkt) {
      return ['DPoP', 'invalid_dpop_proof'];
    }
    return nonces.has(nonce) ? null : ['DPoP', 'use_dpop_nonce'];
  } catch (error) {
    return [kind, `invalid_token", error_description="${error.message.replaceAll('"', "'")}`];
  }
}

async function answer(request, response, issuer) {
  const path = request.url.split('?')[0];
  requests[path] = (requests[path] ?? 0) + 1;
  if (config.protected && path === `${config.path}/jwks`) {
    const refused = await refusal(request, issuer);
    if (refused) {
      const nonce = randomUUID();
      if (refused[1] === 'use_dpop_nonce') nonces.add(nonce);
      response.writeHead(401, {
        'WWW-Authenticate': `${refused[0]} error="${refused[1]}"`,
        ...(refused[1] === 'use_dpop_nonce' ? { 'DPoP-Nonce': nonce } : {}),
      }).end();
      return;
    }
  }
  if (config.path) {
    if (!request.url.startsWith(config.path)) {
      response.writeHead(404).end();
      return;
    }
    request.originalUrl = request.url; // as a mounting framework would
    request.url = request.url.slice(config.path.length);
  }
  await handler(request, response);
}

function listen(server, port, address = '127.0.0.1') {
  return new Promise((done, failed) => {
    server.once('error', failed);
    server.listen(port, address, () => done(server.address().port));
  });
}

keys = [await newKey()];
let nextKey = newKey(); // made before it is asked for: a rotation takes no time
const tls = config.tls && {
  cert: readFileSync(config.tls.certificate), key: readFileSync(config.tls.key), minVersion: 'TLSv1.2',
  ...(config.tls.client_ca ? { ca: readFileSync(config.tls.client_ca), requestCert: true, rejectUnauthorized: false } : {}),
};
let issuer;
const take = (request, response) => answer(request, response, issuer);
const server = tls ? createHttps(tls, take) : createHttp(take);
const port = await listen(server, config.port, config.listen);
issuer = `${scheme}://${config.host}:${port}${config.path}`;
install(issuer);

const commands = {
  'POST /rotate': async () => {
    keys = [await nextKey, ...keys];
    nextKey = newKey();
    install(issuer);
  },
  'POST /retire': () => { keys = keys.slice(0, 1); install(issuer); },
  'POST /login': login,
  'GET /state': () => {},
};
const control = await listen(createHttp(async (request, response) => {
  const command = commands[`${request.method} ${request.url}`];
  if (!command) {
    response.writeHead(404).end();
    return;
  }
  const answer = await command();
  response.writeHead(200, { 'Content-Type': 'application/json' })
    .end(JSON.stringify({ ...answer, kid: keys[0].kid, kids: keys.map(({ kid }) => kid), requests }));
}), 0);
writeFileSync(`${config.port_file}.new`, JSON.stringify({ issuer, port, control }));
renameSync(`${config.port_file}.new`, config.port_file);
