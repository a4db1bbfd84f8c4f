// What a broken or hostile provider may answer, and the rule that each answer breaks.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/base64url.hpp"
#include "common/bytes.hpp"
#include "common/jose/jose_limits.hpp"

namespace notp::sources {

// Public keys of RFC 8037 A.2, RFC 7515 A.3 and RFC 7517 A.1, without braces.
inline constexpr std::string_view kEd =
    R"("kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")";
inline constexpr std::string_view kEc =
    R"("kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
    R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")";

// Modulus and exponent in base64url.
inline std::string modulus(size_t bytes, bool odd = true) {
  Bytes n(bytes, '\xa5');
  n.front() = '\xc1';
  n.back() = odd ? '\x35' : '\x34';
  return to_base64url(n);
}
inline std::string rsa(size_t bytes = 256, std::string_view e = "AQAB", bool odd = true) {
  return fmt::format(R"("kty":"RSA","n":"{}","e":"{}")", modulus(bytes, odd), e);
}

inline std::string key(std::string_view members, std::string_view more = "") {
  return fmt::format("{{{}{}{}}}", members, more.empty() ? "" : ",", more);
}
inline std::string set_of(std::string_view keys) { return fmt::format(R"({{"keys":[{}]}})", keys); }
inline std::string nested(size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

struct HostileAnswer {
  std::string what;
  std::string document;
  std::string rule;
};

inline std::vector<HostileAnswer> hostile_documents(const std::string& front,
                                                    const std::string& member) {
  std::vector<HostileAnswer> out{
      {"nothing", "", "not-json"},
      {"a page", "<html><body>Log in</body></html>", "not-json"},
      {"cut short", fmt::format(R"({{"{}":)", member), "not-json"},
      {"two documents", "{}{}", "not-json"},
      {"a name twice", fmt::format(R"({{"{0}":[],"{0}":[]}})", member), "not-json"},
      {"not UTF-8", "{\"a\":\"\xff\"}", "not-json"},
      {"UTF-16", std::string("\xff\xfe{\0}\0", 6), "not-json"},
      {"a number beyond all", R"({"a":1e999})", "not-json"},
      {"deeper than any", nested(20'000), "not-json"},
      {"deep", fmt::format(R"({{"a":{}}})", nested(jose::kJsonDepthMax)), "too-deep"},
      {"an array", "[]", "not-an-object"},
      {"a text", R"("keys")", "not-an-object"},
      {"null", "null", "not-an-object"},
      {"large", fmt::format(R"({{"a":"{}"}})", std::string(jose::kKeySetBytesMax, 'a')),
       "too-large"}};
  for (HostileAnswer& answer : out) answer.rule = front + "." + answer.rule;
  return out;
}

inline std::vector<HostileAnswer> hostile_key_sets() {
  std::vector<HostileAnswer> out = hostile_documents("key-set", "keys");
  const auto add = [&](std::string what, std::string document, const std::string& rule) {
    out.push_back({std::move(what), std::move(document), "key-set." + rule});
  };
  const std::string good = key(kEd, R"("kid":"good")");
  const auto one = [&](std::string what, const std::string& only, const std::string& rule) {
    add(std::move(what), set_of(good + "," + only), rule);
  };
  add("no keys", "{}", "no-keys");
  add("keys as an object", R"({"keys":{}})", "no-keys");
  add("keys as a text", R"({"keys":"a"})", "no-keys");
  add("keys as null", R"({"keys":null})", "no-keys");
  std::string many;
  for (int i = 0; i < 33; ++i)
    many += fmt::format("{}{}", i == 0 ? "" : ",", key(kEd, fmt::format(R"("kid":"{}")", i)));
  add("33 keys", set_of(many), "too-many-keys");
  one("a key as a text", R"("key")", "not-a-key");
  one("a key as an array", "[]", "not-a-key");
  one("a key as null", "null", "not-a-key");

  one("a secret", R"({"kty":"oct","k":"c2VjcmV0LXRoYXQtbm9ib2R5LXNlZXM"})", "symmetric-key");
  one("a secret for encryption", R"({"kty":"oct","use":"enc","k":"c2VjcmV0"})", "symmetric-key");
  one("oct without k", R"({"kty":"oct"})", "symmetric-key");
  one("an RSA key with d", key(rsa(), R"("d":"c2VjcmV0")"), "private-member");
  one("an RSA key with p", key(rsa(), R"("p":"c2VjcmV0")"), "private-member");
  one("an RSA key with q", key(rsa(), R"("q":"c2VjcmV0")"), "private-member");
  one("an RSA key with dp", key(rsa(), R"("dp":"c2VjcmV0")"), "private-member");
  one("an RSA key with dq", key(rsa(), R"("dq":"c2VjcmV0")"), "private-member");
  one("an RSA key with qi", key(rsa(), R"("qi":"c2VjcmV0")"), "private-member");
  one("an RSA key with oth", key(rsa(), R"("oth":[{"r":"c2VjcmV0"}])"), "private-member");
  one("an RSA key with k", key(rsa(), R"("k":"c2VjcmV0")"), "private-member");
  one("an EC key with d", key(kEc, R"("d":"c2VjcmV0")"), "private-member");
  one("an Ed25519 key with d", key(kEd, R"("d":"c2VjcmV0")"), "private-member");
  one("a private key for encryption", key(rsa(), R"("use":"enc","d":"c2VjcmV0")"),
      "private-member");
  one("a private key that is none", R"({"d":7})", "private-member");

  one("RSA of 1024 bits", key(rsa(128)), "bad-key");
  one("RSA of 2040 bits", key(rsa(255)), "bad-key");
  one("RSA of 8200 bits", key(rsa(1'025)), "bad-key");
  one("an even exponent", key(rsa(256, "AQAA")), "bad-key");
  one("the exponent 3", key(rsa(256, "Aw")), "bad-key");
  one("the exponent 1", key(rsa(256, "AQ")), "bad-key");
  one("an exponent of 33 bits", key(rsa(256, "AQAAAAE")), "bad-key");
  one("an even modulus", key(rsa(256, "AQAB", false)), "bad-key");
  one("no modulus", R"({"kty":"RSA","e":"AQAB"})", "bad-key");
  one("a modulus as a number", R"({"kty":"RSA","n":7,"e":"AQAB"})", "bad-key");
  one("padding", fmt::format(R"({{"kty":"RSA","n":"{}==","e":"AQAB"}})", modulus(256)), "bad-key");
  one("a zero in front", R"({"kty":"RSA","n":"AMGlpaU","e":"AQAB"})", "bad-key");
  one("a certificate alone", R"({"kty":"RSA","x5c":["MIIB"],"x5u":"https://evil.example/"})",
      "bad-key");
  one("a curve of coins",
      R"({"kty":"EC","crv":"secp256k1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
      R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})",
      "bad-key");
  one("a small curve", R"({"kty":"EC","crv":"P-192","x":"AA","y":"AA"})", "bad-key");
  one("a point off its curve",
      R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
      R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1"})",
      "bad-key");
  one("no y", R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"})",
      "bad-key");
  one("a short coordinate", R"({"kty":"EC","crv":"P-256","x":"f83O","y":"x_FE"})", "bad-key");
  one("a key exchange for signatures",
      R"({"kty":"OKP","crv":"X25519","x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"})",
      "bad-key");
  one("a short x", R"({"kty":"OKP","crv":"Ed25519","x":"11qY"})", "bad-key");
  one("a point of small order",
      R"({"kty":"OKP","crv":"Ed25519","x":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})",
      "bad-key");
  one("no kty", R"({"crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})",
      "bad-key");
  one("a kty as a number", R"({"kty":7})", "bad-key");
  add("an unknown kty alone", set_of(R"({"kty":"AKP","pub":"AA"})"), "empty");
  one("a private key of an unknown kty", R"({"kty":"AKP","use":"enc","priv":"c2VjcmV0"})",
      "private-member");
  one("HS256 for RSA", key(rsa(), R"("alg":"HS256")"), "bad-key");
  one("ES256 for RSA", key(rsa(), R"("alg":"ES256")"), "bad-key");
  one("RS256 for EC", key(kEc, R"("alg":"RS256")"), "bad-key");
  one("ES384 for P-256", key(kEc, R"("alg":"ES384")"), "bad-key");
  one("an algorithm as a number", key(kEc, R"("alg":256)"), "bad-key");
  one("a kid as a number", key(kEc, R"("kid":1)"), "bad-key");
  one("a long kid", key(kEc, fmt::format(R"("kid":"{}")", std::string(257, 'k'))), "bad-key");
  one("a use as a number", key(kEc, R"("use":1)"), "bad-key");
  one("key_ops as a text", key(kEc, R"("key_ops":"verify")"), "bad-key");
  one("an operation twice", key(kEc, R"("key_ops":["verify","verify"])"), "bad-key");

  one("a kid of two keys", key(kEc, R"("kid":"good")"), "same-kid");
  one("a key twice", good, "same-kid");
  add("a key twice without a kid", set_of(key(kEc) + "," + key(kEc)), "same-key");
  add("no key", set_of(""), "empty");
  add("keys for encryption alone", set_of(key(rsa(), R"("use":"enc","alg":"RSA-OAEP")")), "empty");
  add("keys for wrapping alone", set_of(key(rsa(), R"("key_ops":["wrapKey"])")), "empty");
  return out;
}

// Of a provider whose issuer is `issuer`, without a slash at its end.
inline std::vector<HostileAnswer> hostile_discoveries(const std::string& issuer) {
  std::vector<HostileAnswer> out = hostile_documents("discovery", "issuer");
  const auto add = [&](std::string what, std::string document, const std::string& rule) {
    out.push_back({std::move(what), std::move(document), "discovery." + rule});
  };
  const std::string keys = fmt::format(R"("jwks_uri":"{}/keys")", issuer);
  const auto of_issuer = [&](std::string what, std::string_view value, const std::string& rule) {
    add(std::move(what), fmt::format(R"({{"issuer":{},{}}})", value, keys), rule);
  };
  const auto keys_at = [&](std::string what, std::string_view value, const std::string& rule) {
    add(std::move(what), fmt::format(R"({{"issuer":"{}","jwks_uri":{}}})", issuer, value), rule);
  };
  const std::string rest = issuer.substr(issuer.find("://") + 3);
  add("no issuer", fmt::format("{{{}}}", keys), "no-issuer");
  of_issuer("an issuer as a number", "1", "no-issuer");
  of_issuer("an empty issuer", R"("")", "no-issuer");
  of_issuer("issuers", fmt::format(R"(["{}"])", issuer), "no-issuer");
  of_issuer("another issuer", R"("https://evil.example")", "other-issuer");
  of_issuer("a slash behind it", fmt::format(R"("{}/")", issuer), "other-issuer");
  of_issuer("another case", fmt::format(R"("HTTPS://{}")", rest), "other-issuer");
  of_issuer("without TLS", fmt::format(R"("http://{}")", rest), "other-issuer");
  of_issuer("a tenant below it", fmt::format(R"("{}/tenant")", issuer), "other-issuer");
  of_issuer("a query", fmt::format(R"("{}?tenant=a")", issuer), "other-issuer");
  of_issuer("a user in it", fmt::format(R"("https://a@{}")", rest), "other-issuer");
  of_issuer("a template", R"("https://login.example/{tenantid}/v2.0")", "other-issuer");
  of_issuer("a NUL behind it", fmt::format(R"("{}\u0000")", issuer), "other-issuer");

  add("no jwks_uri", fmt::format(R"({{"issuer":"{}"}})", issuer), "no-jwks-uri");
  keys_at("a number", "1", "no-jwks-uri");
  keys_at("an empty text", R"("")", "no-jwks-uri");
  keys_at("null", "null", "no-jwks-uri");
  keys_at("an array", fmt::format(R"(["{}/keys"])", issuer), "no-jwks-uri");
  keys_at("without TLS", fmt::format(R"("http://{}/keys")", rest), "jwks-uri-scheme");
  keys_at("without TLS, this machine", R"("http://127.0.0.1/keys")", "jwks-uri-scheme");
  keys_at("a file", R"("file:///etc/notp/source.key")", "jwks-uri-scheme");
  keys_at("another protocol", R"("ftp://login.example/keys")", "jwks-uri-scheme");
  keys_at("a script", "\"javascript:alert(1)\"", "jwks-uri-scheme");
  keys_at("inline data", R"("data:application/json,{}")", "jwks-uri-scheme");
  keys_at("a path", R"("/keys")", "jwks-uri-scheme");
  keys_at("the issuer's scheme", R"("//evil.example/keys")", "jwks-uri-scheme");
  keys_at("a scheme in capitals", fmt::format(R"("HTTPS://{}/keys")", rest), "jwks-uri-scheme");
  keys_at("a user that looks like the host", R"("https://login.example@evil.example/keys")",
          "jwks-uri-userinfo");
  keys_at("a password", fmt::format(R"("https://a:secret@{}/keys")", rest), "jwks-uri-userinfo");
  keys_at("a fragment", fmt::format(R"("{}/keys#a")", issuer), "jwks-uri-fragment");
  keys_at("another host", R"("https://evil.example/keys")", "jwks-uri-host");
  keys_at("a host below another", fmt::format(R"("https://{}.evil.example/keys")", "login.example"),
          "jwks-uri-host");
  keys_at("a host with more in front", R"("https://evil-login.example/keys")", "jwks-uri-host");
  keys_at("metadata of a cloud", R"("https://169.254.169.254/latest")", "jwks-uri-host");
  keys_at("this machine", R"("https://[::1]/keys")", "jwks-uri-host");
  keys_at("a dot behind the host", R"("https://login.example./keys")", "jwks-uri-host");
  keys_at("no host", R"("https:///keys")", "jwks-uri-malformed");
  keys_at("blanks", fmt::format(R"("{}/keys set")", issuer), "jwks-uri-malformed");
  keys_at("a second line", fmt::format(R"("{}/keys\r\nHost: evil.example")", issuer),
          "jwks-uri-malformed");
  keys_at("a host in letters of others", R"("https://logіn.example/keys")", "jwks-uri-malformed");
  keys_at("a port beyond all", R"("https://login.example:99999/keys")", "jwks-uri-malformed");
  keys_at("a backslash", R"("https://login.example\\@evil.example/keys")", "jwks-uri-userinfo");
  keys_at("a long one", fmt::format(R"("{}/{}")", issuer, std::string(2'048, 'k')),
          "jwks-uri-too-long");
  return out;
}

}  // namespace notp::sources
