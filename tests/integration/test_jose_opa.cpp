// Tokens and key sets beside an implementation that nobody here wrote: the functions io.jwt.* of an
// unmodified OPA verify what is signed here, and what OPA signs is verified here.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include <cstdlib>

#include "common/base64url.hpp"
#include "common/jose/signing_key.hpp"
#include "common/jose/token.hpp"
#include "common/storage/files.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::jose {
namespace {

constexpr TimeMs kNow = 1'800'000'000'000;

// One function of OPA for each algorithm, and the one for all.
constexpr std::string_view kPolicy = R"(package jose

verified(c) := io.jwt.verify_rs256(c.token, c.keys) if c.alg == "RS256"
verified(c) := io.jwt.verify_rs384(c.token, c.keys) if c.alg == "RS384"
verified(c) := io.jwt.verify_rs512(c.token, c.keys) if c.alg == "RS512"
verified(c) := io.jwt.verify_ps256(c.token, c.keys) if c.alg == "PS256"
verified(c) := io.jwt.verify_ps384(c.token, c.keys) if c.alg == "PS384"
verified(c) := io.jwt.verify_ps512(c.token, c.keys) if c.alg == "PS512"
verified(c) := io.jwt.verify_es256(c.token, c.keys) if c.alg == "ES256"
verified(c) := io.jwt.verify_es384(c.token, c.keys) if c.alg == "ES384"
verified(c) := io.jwt.verify_es512(c.token, c.keys) if c.alg == "ES512"
verified(c) := io.jwt.verify_eddsa(c.token, c.keys) if c.alg == "EdDSA"

results := [[v, d] |
	some c in data.cases
	v := object.get({"v": x | x := verified(c)}, "v", "undefined")
	d := object.get({"d": x[0] | x := io.jwt.decode_verify(c.token, {
		"cert": c.keys, "iss": "https://id.example", "aud": "shop", "time": 1800000000000000000,
	})}, "d", "undefined")
]

signed := [io.jwt.encode_sign(s.header, s.claims, s.key) | some s in data.signers]
)";

json::value ask(const json::object& data, const char* rule) {
  const char* opa = std::getenv("NOTP_OPA");
  if (opa == nullptr)
    FAIL("NOTP_OPA is not set: export NOTP_OPA=$(tools/build-opa), or run tools/test");
  const TemporaryFolder folder;
  REQUIRE(write_file(folder.path() / "policy.rego", kPolicy));
  REQUIRE(write_file(folder.path() / "data.json", json::serialize(data)));
  const CommandResult answer =
      run_command({opa, "eval", "--format", "raw", "--data", folder.path() / "policy.rego",
                   "--data", folder.path() / "data.json", std::string("data.jose.") + rule});
  REQUIRE_MESSAGE(answer.status == 0, answer.output);
  auto value = parse_json(answer.output);
  REQUIRE_MESSAGE(value, answer.output);
  return *std::move(value);
}

std::string set_text(const json::array& keys) {
  return json::serialize(json::object{{"keys", keys}});
}

json::object claims() {
  return {{"iss", "https://id.example"},
          {"aud", json::array{"bank", "shop"}},
          {"exp", 1'800'000'300.5},
          {"nbf", 1'799'999'999}};
}

TokenRules rules(Algorithm algorithm) {
  return {.algorithms = {algorithm},
          .issuer = "https://id.example",
          .audience = "shop",
          .now_ms = kNow};
}

struct Signer {
  Algorithm algorithm;
  std::string kid;
  SigningKey key;
};

std::vector<Signer> signers() {
  std::vector<Signer> out;
  for (const Algorithm algorithm : all_algorithms())
    out.push_back({algorithm, fmt::format("k-{}", algorithm_name(algorithm)),
                   SigningKey::generate(algorithm).value()});
  return out;
}

json::array key_list(const std::vector<Signer>& all) {
  json::array keys;
  for (const Signer& one : all) keys.push_back(one.key.public_jwk(one.kid).canonical());
  return keys;
}

TEST_CASE("OPA verifies the tokens of every algorithm against the key set that is written here") {
  const std::vector<Signer> all = signers(), strangers = signers();
  const std::string keys = set_text(key_list(all)), others = set_text(key_list(strangers));
  json::array cases;
  for (const Signer& one : all) {
    const std::string token =
        sign_token({{"kid", one.kid}, {"typ", "JWT"}}, claims(), one.key).value();
    std::string cut = token;
    cut[cut.size() / 2] = cut[cut.size() / 2] == 'A' ? 'B' : 'A';
    for (const auto& [text, set] : {std::pair(token, keys), {token, others}, {cut, keys}})
      cases.push_back({{"alg", algorithm_name(one.algorithm)}, {"token", text}, {"keys", set}});
  }
  const json::value answer = ask({{"cases", cases}}, "results");
  const json::array& results = answer.as_array();
  REQUIRE(results.size() == cases.size());
  for (size_t i = 0; i < results.size(); ++i) {
    CAPTURE(json::serialize(cases[i].at("alg")));
    const bool is_good = i % 3 == 0;
    CHECK_MESSAGE((results[i].at(0) == json::value(true)) == is_good, json::serialize(results[i]));
    CHECK_MESSAGE((results[i].at(1) == json::value(true)) == is_good, json::serialize(results[i]));
    // The same answers here.
    const auto token = read_token(cases[i].at("token").as_string());
    const KeySet set = KeySet::parse_text(cases[i].at("keys").as_string()).value();
    CHECK((token && check_token(*token, set, rules(all[i / 3].algorithm))) == is_good);
  }
}

// Numbers of a private key, which nothing but this test writes into JSON.
json::object private_jwk(const SigningKey& key) {
  const x509::Key handle = x509::read_key(key.pem().value()).value();
  json::object out = key.public_jwk().canonical();
  const auto put = [&](const char* name, const char* parameter, size_t bytes) {
    BIGNUM* number = nullptr;
    if (EVP_PKEY_get_bn_param(handle.get(), parameter, &number) != 1) return;
    Bytes text(bytes == 0 ? static_cast<size_t>(BN_num_bytes(number)) : bytes, '\0');
    BN_bn2binpad(number, reinterpret_cast<unsigned char*>(text.data()),
                 static_cast<int>(text.size()));
    BN_free(number);
    out[name] = to_base64url(text);
  };
  if (out.at("kty") == "RSA") {
    put("d", OSSL_PKEY_PARAM_RSA_D, 0);
    put("p", OSSL_PKEY_PARAM_RSA_FACTOR1, 0);
    put("q", OSSL_PKEY_PARAM_RSA_FACTOR2, 0);
    put("dp", OSSL_PKEY_PARAM_RSA_EXPONENT1, 0);
    put("dq", OSSL_PKEY_PARAM_RSA_EXPONENT2, 0);
    put("qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1, 0);
  } else if (out.at("kty") == "EC") {
    put("d", OSSL_PKEY_PARAM_PRIV_KEY, from_base64url(out.at("x").as_string()).value().size());
  } else {
    Bytes seed(32, '\0');
    size_t size = seed.size();
    REQUIRE(EVP_PKEY_get_raw_private_key(
                handle.get(), reinterpret_cast<unsigned char*>(seed.data()), &size) == 1);
    out["d"] = to_base64url(seed);
  }
  return out;
}

TEST_CASE("tokens that OPA signs are verified here") {
  const std::vector<Signer> all = signers(), strangers = signers();
  json::array asked;
  for (const Signer& one : all)
    asked.push_back({{"header", {{"alg", algorithm_name(one.algorithm)}, {"kid", one.kid}}},
                     {"claims", claims()},
                     {"key", private_jwk(one.key)}});
  const json::value answer = ask({{"signers", asked}}, "signed");
  REQUIRE(answer.as_array().size() == all.size());
  const KeySet keys = KeySet::parse_text(set_text(key_list(all))).value();
  const KeySet others = KeySet::parse_text(set_text(key_list(strangers))).value();
  for (size_t i = 0; i < all.size(); ++i) {
    CAPTURE(algorithm_name(all[i].algorithm));
    const auto token = read_token(answer.at(i).as_string());
    REQUIRE_MESSAGE(token, token.error().message);
    CHECK(token->claims.at("iss") == "https://id.example");
    CHECK(check_token(*token, keys, rules(all[i].algorithm)));
    CHECK_FALSE(check_token(*token, others, rules(all[i].algorithm)));
    // Keys in private form are refused, whatever OPA takes.
    CHECK(private_member_of(private_jwk(all[i].key)) == "d");
    CHECK_FALSE(PublicJwk::parse(private_jwk(all[i].key)));
  }
}

// Why what is published for engines must leave such keys out, though they are good ones.
TEST_CASE("OPA refuses a whole set for one key on a curve that it does not know") {
  const SigningKey key = SigningKey::generate(Algorithm::kEs256).value();
  const std::string token = sign_token({{"kid", "k"}}, claims(), key).value();
  const json::object good = key.public_jwk("k").canonical();
  // RFC 8032 §7.4.
  const json::object ed448{
      {"kty", "OKP"},
      {"kid", "e"},
      {"crv", "Ed448"},
      {"x", to_base64url(from_hex("5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778"
                                  "edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180")
                             .value())}};
  REQUIRE(PublicJwk::parse(ed448));
  json::array cases;
  for (const json::array& keys : {json::array{good}, json::array{good, ed448}}) {
    cases.push_back({{"alg", "ES256"}, {"token", token}, {"keys", set_text(keys)}});
    CHECK(check_token(read_token(token).value(), KeySet::parse_text(set_text(keys)).value(),
                      rules(Algorithm::kEs256)));
  }
  const json::value answer = ask({{"cases", cases}}, "results");
  CHECK(answer.at(0).at(0) == json::value(true));
  CHECK(answer.at(1).at(0) == "undefined");
  CHECK(answer.at(1).at(1) == "undefined");
}

}  // namespace
}  // namespace notp::jose
