// Transaction tokens, good and hostile.
#pragma once

#include <fmt/format.h>

#include "common/base64url.hpp"
#include "common/jose/signing_key.hpp"
#include "notp-client/decision/log_mask.hpp"

namespace notp::txn_samples {

using jose::Algorithm;
using jose::SigningKey;

inline int64_t now_s() { return read_clock().wall_ms / 1000; }

struct Signer {
  std::string kid;
  SigningKey key;
};

inline std::vector<Signer> signers(const std::string& name) {
  std::vector<Signer> out;
  for (const Algorithm algorithm :
       {Algorithm::kEs256, Algorithm::kEs384, Algorithm::kEs512, Algorithm::kEdDsa})
    out.push_back({fmt::format("{}-{}", name, jose::algorithm_name(algorithm)),
                   SigningKey::generate(algorithm).value()});
  return out;
}

inline json::object key_document(const std::vector<Signer>& all) {
  json::array keys;
  for (const Signer& one : all) keys.push_back(one.key.public_jwk(one.kid).canonical());
  return {{"issuer", "https://tts.example"}, {"keys", keys}};
}

inline std::string signed_text(std::string_view header, std::string_view claims,
                               const SigningKey& key) {
  const std::string input = to_base64url(header) + "." + to_base64url(claims);
  return input + "." + to_base64url(key.sign(input).value());
}

inline json::object header_of(const Signer& signer) {
  return {{"typ", "txntoken+jwt"},
          {"alg", jose::algorithm_name(signer.key.algorithm())},
          {"kid", signer.kid}};
}

// The draft's example, but for its domain.
inline json::object good_claims() {
  return {{"iss", "https://tts.example"},
          {"iat", now_s() - 10},
          {"exp", now_s() + 200},
          {"aud", "domain.example"},
          {"txn", "97053963-771d-49cc-a4e3-20aad399c312"},
          {"sub", "d084sdrt234fsaw34tr23t"},
          {"scope", "trade.stocks"},
          {"req_wl", "spiffe://domain.example/ns/shop/sa/gateway"},
          {"tctx", {{"action", "BUY"}, {"ticker", "MSFT"}, {"quantity", 100.25}}},
          {"rctx", {{"req_ip", "69.151.72.123"}, {"authn", "urn:ietf:rfc:6749"}}}};
}

inline std::string token_of(const Signer& signer, const json::object& claims) {
  return signed_text(json::serialize(header_of(signer)), json::serialize(claims), signer.key);
}

struct Case {
  std::string name, token;
};

// One fault each, signed by the service's own key where a signature is no part of it: what io.jwt
// takes of it, this package must not.
inline std::vector<Case> hostile(const Signer& signer) {
  std::vector<Case> out;
  const json::object header = header_of(signer);
  const std::string head = json::serialize(header), body = json::serialize(good_claims());
  const std::string good = signed_text(head, body, signer.key);
  const auto add = [&](std::string name, std::string token) {
    out.push_back({std::move(name), std::move(token)});
  };
  const auto with_header = [&](std::string name, std::string_view member, json::value value) {
    json::object changed = header;
    changed[member] = std::move(value);
    add(std::move(name), signed_text(json::serialize(changed), body, signer.key));
  };
  const auto with_claim = [&](std::string name, std::string_view member, json::value value) {
    json::object changed = good_claims();
    changed[member] = std::move(value);
    add(std::move(name), signed_text(head, json::serialize(changed), signer.key));
  };
  const auto with_texts = [&](std::string name, std::string header_text, std::string claims_text) {
    add(std::move(name), signed_text(header_text, claims_text, signer.key));
  };

  for (const char* typ : {"at+jwt", "secevent+jwt", "JWT", "txn_token", "N_A", "", "TXNTOKEN+JWT",
                          "application/txntoken+jwt", "logout+jwt", "txntoken+jwt "})
    with_header(fmt::format("typ {}", typ), "typ", typ);
  with_header("typ is a list", "typ", json::array{"txntoken+jwt"});
  for (const char* name : {"typ", "alg", "kid"}) {
    json::object changed = header;
    changed.erase(name);
    with_texts(fmt::format("no {}", name), json::serialize(changed), body);
  }
  add("alg none",
      to_base64url(R"({"typ":"txntoken+jwt","alg":"none","kid":")" + signer.kid + "\"}") + "." +
          to_base64url(body) + ".");
  add("alg none with a signature",
      signed_text(R"({"typ":"txntoken+jwt","alg":"none","kid":")" + signer.kid + "\"}", body,
                  signer.key));
  for (const char* alg : {"HS256", "RS256", "PS256", "Ed25519", "es256", "ES256K"})
    if (alg != jose::algorithm_name(signer.key.algorithm()))
      with_header(fmt::format("alg {}", alg), "alg", alg);
  {  // a shared secret that everybody has: the public key
    json::object changed = header;
    changed["alg"] = "HS256";
    const std::string input = to_base64url(json::serialize(changed)) + "." + to_base64url(body);
    const std::string secret = json::serialize(signer.key.public_jwk(signer.kid).canonical());
    add("HS256 with the public key",
        input + "." + to_base64url(decision::hmac_sha256(secret, input)));
  }
  with_header("a kid of nobody", "kid", "nobody");
  with_header("an empty kid", "kid", "");
  with_header("a number for a kid", "kid", 7);
  with_header("crit of its own", "crit", json::array{"x"});
  with_header("crit that OPA knows", "crit", json::array{"kid"});
  with_header("b64", "b64", true);
  with_header("zip", "zip", "DEF");
  with_header("enc", "enc", "A128GCM");
  with_header("cty", "cty", "txt");
  {  // a token in a token
    json::object outer = header;
    outer["cty"] = "JWT";
    with_texts("nested", json::serialize(outer), good);
    outer["typ"] = "JWT";
    with_texts("nested in another type", json::serialize(outer), good);
    outer["cty"] = "jwt";
    with_texts("nested, in small letters", json::serialize(outer), good);
  }
  for (const char* name : {"aud", "iat", "exp", "txn", "sub", "scope", "req_wl"}) {
    json::object changed = good_claims();
    changed.erase(name);
    with_texts(fmt::format("without {}", name), head, json::serialize(changed));
    with_claim(fmt::format("{} null", name), name, nullptr);
    with_claim(fmt::format("{} true", name), name, true);
    with_claim(fmt::format("{} an object", name), name, json::object{{"a", 1}});
    with_claim(fmt::format("{} empty", name), name, "");
    with_claim(fmt::format("{} a list", name), name, json::array{"domain.example"});
  }
  for (const char* name : {"tctx", "rctx"}) {
    with_claim(fmt::format("{} a text", name), name, "x");
    with_claim(fmt::format("{} a list", name), name, json::array());
    with_claim(fmt::format("{} null", name), name, nullptr);
  }
  with_claim("iss a number", "iss", 1);
  with_claim("iss empty", "iss", "");
  with_claim("jti a number", "jti", 1);
  with_claim("nbf a text", "nbf", "1");
  with_claim("nbf null", "nbf", nullptr);
  with_claim("not yet", "nbf", now_s() + 100);
  with_claim("nbf before 1970", "nbf", -1);
  with_claim("another domain", "aud", "other.example");
  with_claim("two domains", "aud", json::array{"domain.example", "other.example"});
  with_claim("expired", "exp", now_s() - 5);
  with_claim("issued too far ahead", "iat", now_s() + 100);
  with_claim("lives too long", "exp", now_s() + 600);
  with_claim("iat before 1970", "iat", -1);
  with_claim("exp a text", "exp", "9999999999");
  {
    json::object far = good_claims();
    far["iat"] = 253'402'300'700;
    far["exp"] = 253'402'300'900;
    with_texts("after the year 9999", head, json::serialize(far));
  }
  // JSON that readers see differently; the last member counts for OPA.
  const auto in_claims = [&](std::string name, std::string_view more) {
    with_texts(std::move(name), head,
               fmt::format("{},{}}}", body.substr(0, body.size() - 1), more));
  };
  in_claims("sub twice", R"("sub":"root")");
  in_claims("sub twice, once escaped", R"("\u0073ub":"root")");
  in_claims("a name twice deep inside", R"("x":{"a":[{"b":1,"b":2}]})");
  in_claims("an exponent of four digits", R"("x":1e4000)");
  in_claims("an exponent beyond all", R"("x":1e99999999999)");
  in_claims("a small exponent of many digits", R"("x":1e-00001)");
  in_claims("a number beyond a double", R"("x":1e999)");
  in_claims("a number beyond 64 bits", R"("x":18446744073709551616)");
  in_claims("a negative number beyond 64 bits", R"("x":-9223372036854775809)");
  in_claims("half a surrogate pair", R"("x":"\ud800")");
  in_claims("the replacement character", "\"x\":\"\xEF\xBF\xBD\"");
  in_claims("the replacement character, escaped", R"("x":"\uFffD")");
  in_claims("not UTF-8", "\"x\":\"\xFF\"");
  in_claims("17 levels", "\"x\":" + std::string(16, '[') + std::string(16, ']'));
  in_claims("1,000 levels", "\"x\":" + std::string(1'000, '[') + std::string(1'000, ']'));
  in_claims("10,000 levels", "\"x\":" + std::string(10'000, '[') + std::string(10'000, ']'));
  with_texts("alg twice", fmt::format(R"({{"alg":"none",{})", head.substr(1)), body);
  with_texts("kid twice", fmt::format(R"({{"kid":"x",{})", head.substr(1)), body);
  with_texts("text behind the claims", head, body + " x");
  with_texts("two claims sets", head, body + body);
  with_texts("a list for claims", head, "[" + body + "]");
  with_texts("a byte order mark", head, "\xEF\xBB\xBF" + body);
  with_texts("a header that is a list", "[" + head + "]", body);
  in_claims("8 KiB", fmt::format("\"x\":\"{}\"", std::string(8'192, 'x')));
  // The compact form.
  const size_t first = good.find('.'), second = good.rfind('.');
  add("empty", "");
  add("dots", "..");
  add("two parts", good.substr(0, second));
  add("four parts", good + ".x");
  add("no signature", good.substr(0, second + 1));
  add("padded signature", good + "==");
  add("a newline in the signature", good.substr(0, second + 5) + "\n" + good.substr(second + 5));
  add("a space behind it", good + " ");
  add("a newline before it", "\n" + good);
  {
    const auto padded = [](std::string part) {
      while (part.size() % 4 != 0) part += '=';
      return part;
    };
    const std::string input = to_base64url(head + " ") + "=." + to_base64url(body);
    add("a padded header", padded(to_base64url(head + " ")) + "." + to_base64url(body) + "." +
                               to_base64url(signer.key.sign(input).value()));
    const std::string folded = to_base64url(head).insert(4, "\r\n") + "." + to_base64url(body);
    add("a folded header", folded + "." + to_base64url(signer.key.sign(folded).value()));
    const std::string standard = to_base64url(head) + "." + to_base64url(body + "  ") + "+";
    add("the other alphabet", standard + "." + to_base64url(signer.key.sign(standard).value()));
  }
  if (signer.key.algorithm() != Algorithm::kEs384) {  // its signatures fill whole characters
    std::string changed = good;                       // bits that no byte has
    const std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    changed.back() = alphabet[alphabet.find(changed.back()) ^ 1];
    add("spare bits of the signature", changed);
  }
  {
    std::string changed = good;
    changed[first + 8] = changed[first + 8] == 'A' ? 'B' : 'A';
    add("changed claims", changed);
  }
  return out;
}

}  // namespace notp::txn_samples
