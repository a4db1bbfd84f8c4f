// Tokens and keys: the examples of the standards, what is signed here, and the rules of claims.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "common/base64url.hpp"
#include "common/jose/signing_key.hpp"
#include "common/jose/token.hpp"
#include "common/jose/verified_signatures.hpp"
#include "common/storage/files.hpp"
#include "tests/support/jose/signed_examples.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::jose {
namespace {

constexpr TimeMs kNow = 1'800'000'000'000;
constexpr int64_t kNowSeconds = kNow / 1'000;

PublicJwk key_of(std::string_view text) {
  auto key = PublicJwk::parse(parse_json(text).value().as_object());
  REQUIRE_MESSAGE(key, key.error().message);
  return *std::move(key);
}

Algorithm algorithm_in(std::string_view signing_input) {
  const Bytes header = from_base64url(signing_input.substr(0, signing_input.find('.'))).value();
  return algorithm_of(parse_json(header).value().at("alg").as_string()).value();
}

KeySet set_of(const PublicJwk& key) {
  return KeySet::parse(json::object{{"keys", json::array{key.canonical()}}}).value();
}

const SigningKey& own_key() {
  static const SigningKey key = SigningKey::generate(Algorithm::kEdDsa).value();
  return key;
}

json::object good_claims() {
  return {{"iss", "https://id.example"},
          {"aud", "shop"},
          {"exp", kNowSeconds + 300},
          {"iat", kNowSeconds}};
}

TokenRules rules() {
  return {.algorithms = {Algorithm::kEdDsa},
          .typ = "at+jwt",
          .issuer = "https://id.example",
          .audience = "shop",
          .now_ms = kNow};
}

Token token_with(const json::object& claims, const json::object& header = {{"typ", "at+jwt"}}) {
  auto token = read_token(sign_token(header, claims, own_key()).value());
  REQUIRE_MESSAGE(token, token.error().message);
  return *std::move(token);
}

// "" for a token that passes.
std::string refusal(const Token& token, const TokenRules& by) {
  const auto checked = check_token(token, set_of(own_key().public_jwk("k1")), by);
  return checked ? "" : checked.error().context.at(0).second;
}

TEST_CASE("signatures in the standards verify, and no bit of them may differ") {
  for (const SignedExample& example : kSignedExamples) {
    CAPTURE(example.where);
    const PublicJwk key = key_of(example.key);
    const Algorithm algorithm = algorithm_in(example.signing_input);
    Bytes signature = from_base64url(example.signature).value();
    CHECK(key.verify(algorithm, example.signing_input, signature));
    CHECK_FALSE(key.verify(algorithm, std::string(example.signing_input) + "A", signature));
    CHECK_FALSE(key.verify(algorithm, example.signing_input, signature + '\0'));
    for (const Algorithm other : all_algorithms())
      if (other != algorithm) CHECK_FALSE(key.verify(other, example.signing_input, signature));
    for (const size_t at : {size_t{0}, signature.size() / 2, signature.size() - 1}) {
      signature[at] = static_cast<char>(signature[at] ^ 1);
      CHECK_FALSE(key.verify(algorithm, example.signing_input, signature));
      signature[at] = static_cast<char>(signature[at] ^ 1);
    }
    signature.pop_back();
    CHECK_FALSE(key.verify(algorithm, example.signing_input, signature));
  }
}

TEST_CASE("a signature of Ed448 verifies (RFC 8032 §7.4)") {
  const auto encoded = [](std::string_view hex) { return to_base64url(from_hex(hex).value()); };
  const PublicJwk key =
      PublicJwk::parse({{"kty", "OKP"},
                        {"crv", "Ed448"},
                        {"x", encoded("5fd7449b59b461fd2ce787ec616ad46a1da1342485a7"
                                      "0e1f8a0ea75d80e96778edf124769b46c7061bd6783d"
                                      "f1e50f6cd1fa1abeafe8256180")}})
          .value();
  const Bytes signature =
      from_hex(
          "533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281f2fd7"
          "a22ddd47d7828c59bd0a21bfd3980ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99a"
          "c5c7cdda8530a113a0f4dbb61149f05a7363268c71d95808ff2e652600")
          .value();
  CHECK(key.verify(Algorithm::kEdDsa, "", signature));
  CHECK_FALSE(key.verify(Algorithm::kEdDsa, "a", signature));
}

TEST_CASE("a thumbprint depends on the required members alone (RFC 7638, RFC 8037 A.3)") {
  CHECK(key_of(kThumbprintKey).thumbprint() == kThumbprint);
  CHECK(key_of(kSignedExamples[3].key).thumbprint() ==
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

TEST_CASE("every algorithm signs what it verifies, and keys survive PEM and JSON") {
  for (const Algorithm algorithm : all_algorithms()) {
    CAPTURE(algorithm_name(algorithm));
    const SigningKey made = SigningKey::generate(algorithm).value();
    const SigningKey key = SigningKey::parse(made.pem().value(), algorithm).value();
    CHECK(key.algorithm() == algorithm);
    CHECK(key.public_jwk().thumbprint() == made.public_jwk().thumbprint());
    const std::string text = sign_token({{"kid", "k1"}}, good_claims(), key).value();
    const Token token = read_token(text).value();
    CHECK(token.algorithm == algorithm);
    CHECK(token.kid == "k1");
    CHECK(token.claims == good_claims());
    TokenRules by = rules();
    by.typ.clear();
    by.algorithms = {algorithm};
    CHECK(check_token(token, set_of(key.public_jwk("k1")), by));
    const auto unknown = check_token(token, set_of(key.public_jwk("k2")), by);
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().context.at(0).second == "token.key");
    const auto forged =
        check_token(token, set_of(SigningKey::generate(algorithm).value().public_jwk("k1")), by);
    REQUIRE_FALSE(forged);
    CHECK(forged.error().code == ErrorCode::kSignature);
    CHECK(forged.error().context.at(0).second == "token.signature");
  }
}

TEST_CASE("ECDSA signatures have their fixed length, whatever zeros begin their numbers") {
  const SigningKey key = SigningKey::generate(Algorithm::kEs512).value();
  for (int i = 0; i < 300; ++i) {
    const Bytes signature = key.sign("input").value();
    REQUIRE(signature.size() == 132);
    REQUIRE(key.public_jwk().verify(Algorithm::kEs512, "input", signature));
  }
}

TEST_CASE("an RSA key signs with the algorithm that is asked for, and no key with another's") {
  const std::string rsa = SigningKey::generate(Algorithm::kPs512).value().pem().value();
  CHECK(SigningKey::parse(rsa).value().algorithm() == Algorithm::kRs256);
  CHECK(SigningKey::parse(rsa, Algorithm::kPs384).value().algorithm() == Algorithm::kPs384);
  CHECK(SigningKey::parse(rsa, Algorithm::kEs256).error().code == ErrorCode::kConfig);
  const std::string ec = SigningKey::generate(Algorithm::kEs384).value().pem().value();
  CHECK(SigningKey::parse(ec).value().algorithm() == Algorithm::kEs384);
  CHECK_FALSE(SigningKey::parse(ec, Algorithm::kEs256));
  CHECK_FALSE(sign_token({{"alg", "ES256"}}, {}, own_key()));
  CHECK(sign_token({{"alg", "EdDSA"}}, {}, own_key()));
}

TEST_CASE("a private key is read only from a file that others cannot read") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "key.pem";
  REQUIRE(write_file(file, own_key().pem().value(), 0644));
  const auto refused = SigningKey::load(file);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kConfig);
  CHECK(refused.error().message.find("chmod 600") != std::string::npos);
  REQUIRE(::chmod(file.c_str(), 0600) == 0);
  CHECK(SigningKey::load(file).value().public_jwk().thumbprint() ==
        own_key().public_jwk().thumbprint());
  REQUIRE(write_file(file, "-----BEGIN PRIVATE KEY-----\nsecret\n", 0600));
  const auto broken = SigningKey::load(file);
  REQUIRE_FALSE(broken);
  CHECK(broken.error().message.find("secret") == std::string::npos);
  CHECK(SigningKey::load(folder.path() / "none").error().code == ErrorCode::kConfig);
}

TEST_CASE("a key set keeps what is known of its keys, in one order") {
  const std::string text =
      fmt::format(R"({{"issuer": "x", "keys": [{{"x5c": ["MII"], "key_ops": ["verify", "sign"],)"
                  R"("alg": "EdDSA", "kid": "a", "x5u": "https://evil.example/", {}]}})",
                  std::string_view(kSignedExamples[3].key).substr(1));
  const KeySet set = KeySet::parse_text(text).value();
  REQUIRE(set.keys().size() == 1);
  CHECK(json::serialize(set.keys()[0].canonical()) ==
        R"({"kty":"OKP","kid":"a","alg":"EdDSA","key_ops":["sign","verify"],"crv":"Ed25519",)"
        R"("x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})");
  CHECK(set.candidates("a", Algorithm::kEdDsa).size() == 1);
  CHECK(set.candidates("", Algorithm::kEdDsa).size() == 1);
  CHECK(set.candidates("b", Algorithm::kEdDsa).empty());
  CHECK(set.candidates("a", Algorithm::kEs256).empty());
}

TEST_CASE("what a key is for decides whether it verifies") {
  const auto with = [](json::object more) {
    json::object members = parse_json(kThumbprintKey).value().as_object();
    members.erase("alg");
    for (const auto& [name, value] : more) members.insert_or_assign(name, value);
    return PublicJwk::parse(members).value();
  };
  CHECK(with({}).fits(Algorithm::kRs256));
  CHECK(with({}).fits(Algorithm::kPs512));
  CHECK_FALSE(with({}).fits(Algorithm::kEs256));
  CHECK(with({{"alg", "PS256"}}).fits(Algorithm::kPs256));
  CHECK_FALSE(with({{"alg", "PS256"}}).fits(Algorithm::kRs256));
  CHECK(with({{"use", "sig"}}).is_for_signatures());
  CHECK_FALSE(with({{"use", "enc"}}).is_for_signatures());
  CHECK_FALSE(with({{"use", "enc"}, {"alg", "RSA-OAEP"}}).is_for_signatures());
  CHECK_FALSE(with({{"alg", "RSA-OAEP"}}).fits(Algorithm::kRs256));
  CHECK_FALSE(with({{"key_ops", json::array{"encrypt"}}}).is_for_signatures());
  CHECK(with({{"key_ops", json::array{"verify"}}}).is_for_signatures());
}

TEST_CASE("a token passes only by its rules, and each refusal has its name") {
  struct Row {
    const char* name;
    json::object claims;  // over the good ones; null removes one
    std::string refused;
  };
  const auto after = [](double seconds) { return static_cast<double>(kNowSeconds) + seconds; };
  for (const Row& row : {
           Row{"as it is", {}, ""},
           Row{"aud as one of an array", {{"aud", json::array{"bank", "shop"}}}, ""},
           Row{"aud of others", {{"aud", json::array{"bank", "shop2"}}}, "token.aud"},
           Row{"aud is a prefix", {{"aud", "sho"}}, "token.aud"},
           Row{"no aud", {{"aud", nullptr}}, "token.aud"},
           Row{"another issuer", {{"iss", "https://id.example/"}}, "token.iss"},
           Row{"no issuer", {{"iss", nullptr}}, "token.iss"},
           Row{"expired", {{"exp", kNowSeconds - 60}}, "token.exp"},
           Row{"expired within the leeway", {{"exp", kNowSeconds - 59}}, ""},
           Row{"expired by a fraction", {{"exp", after(-60.001)}}, "token.exp"},
           Row{"expires in a fraction", {{"exp", after(-59.5)}}, ""},
           Row{"no expiry", {{"exp", nullptr}}, "token.exp"},
           Row{"not yet valid", {{"nbf", kNowSeconds + 61}}, "token.nbf"},
           Row{"not yet valid, within the leeway", {{"nbf", kNowSeconds + 60}}, ""},
           Row{"issued in the future", {{"iat", after(60.5)}}, "token.iat"},
           Row{"too old", {{"iat", kNowSeconds - 661}}, "token.age"},
           Row{"old enough", {{"iat", kNowSeconds - 660}}, ""},
           Row{"no time of issue", {{"iat", nullptr}}, "token.iat"},
       }) {
    CAPTURE(row.name);
    json::object claims = good_claims();
    for (const auto& [name, value] : row.claims)
      if (value.is_null())
        claims.erase(name);
      else
        claims.insert_or_assign(name, value);
    TokenRules by = rules();
    by.age_ms_max = 600'000;
    CHECK(refusal(token_with(claims), by) == row.refused);
  }
}

TEST_CASE("types are compared as media types, and a token of one type is none of another") {
  const auto typed = [](const char* typ, const char* wanted) {
    TokenRules by = rules();
    by.typ = wanted;
    return refusal(token_with(good_claims(), typ ? json::object{{"typ", typ}} : json::object{}),
                   by);
  };
  CHECK(typed("at+jwt", "at+jwt").empty());
  CHECK(typed("AT+JWT", "at+jwt").empty());
  CHECK(typed("application/at+jwt", "at+jwt").empty());
  CHECK(typed("JWT", "").empty());
  CHECK(typed(nullptr, "").empty());
  CHECK(typed("logout+jwt", "") == "token.typ");
  CHECK(typed("secevent+jwt", "at+jwt") == "token.typ");
  CHECK(typed(nullptr, "at+jwt") == "token.typ");
}

TEST_CASE("a rule that was forgotten refuses") {
  const Token token = token_with(good_claims());
  TokenRules by = rules();
  CHECK(refusal(token, by).empty());
  by.algorithms.clear();
  CHECK(refusal(token, by) == "token.alg");
  by = rules();
  by.issuer.clear();
  CHECK(refusal(token, by) == "token.iss");
  by = rules();
  by.audience.clear();
  CHECK(refusal(token, by) == "token.aud");
  by = rules();
  by.typ.clear();
  CHECK(refusal(token, by) == "token.typ");
}

TEST_CASE("a token without a kid is tried with a few keys, not with many") {
  json::array keys;
  for (size_t i = 0; i + 1 < kKeysTriedMax; ++i)
    keys.push_back(
        SigningKey::generate(Algorithm::kEdDsa).value().public_jwk(std::to_string(i)).canonical());
  keys.push_back(own_key().public_jwk("own").canonical());
  const Token token = token_with(good_claims());
  CHECK(check_token(token, KeySet::parse(json::object{{"keys", keys}}).value(), rules()));
  keys.push_back(SigningKey::generate(Algorithm::kEdDsa).value().public_jwk("x").canonical());
  const auto many =
      check_token(token, KeySet::parse(json::object{{"keys", keys}}).value(), rules());
  REQUIRE_FALSE(many);
  CHECK(many.error().context.at(0).second == "token.key");
}

TEST_CASE("what a key remembers of good signatures lets no other one in") {
  const SigningKey key = SigningKey::generate(Algorithm::kEs256).value();
  const Bytes input = "header.claims";
  const Bytes signature = key.sign(input).value();
  const PublicJwk& jwk = key.public_jwk();
  for (int again = 0; again < 2; ++again) {
    CHECK(jwk.verify(Algorithm::kEs256, input, signature));
    CHECK(jwk.with_kid("other").verify(Algorithm::kEs256, input, signature));
    for (size_t i = 0; i < signature.size(); ++i) {
      Bytes changed = signature;
      changed[i] = static_cast<char>(changed[i] ^ 1);
      CHECK_FALSE(jwk.verify(Algorithm::kEs256, input, changed));
    }
    // The same bytes, cut elsewhere.
    const Bytes all = input + signature;
    for (const size_t cut : {input.size() - 1, input.size() + 1})
      CHECK_FALSE(jwk.verify(Algorithm::kEs256, all.substr(0, cut), all.substr(cut)));
    CHECK_FALSE(jwk.verify(Algorithm::kEs384, input, signature));
    CHECK_FALSE(SigningKey::generate(Algorithm::kEs256)
                    .value()
                    .public_jwk()
                    .verify(Algorithm::kEs256, input, signature));
  }
}

TEST_CASE("a key remembers so many good signatures, and forgets the oldest") {
  VerifiedSignatures verified;
  const auto id = [](size_t number) {
    return VerifiedSignatures::id_of(Algorithm::kEs256, std::to_string(number), "signature");
  };
  for (size_t i = 0; i < 2 * kSignaturesRemembered; ++i) {
    CHECK_FALSE(verified.has(id(i)));
    verified.add(id(i));
  }
  CHECK(verified.has(id(0)));
  CHECK(verified.has(id(2 * kSignaturesRemembered - 1)));
  verified.add(id(2 * kSignaturesRemembered));
  CHECK_FALSE(verified.has(id(0)));
  CHECK_FALSE(verified.has(id(kSignaturesRemembered - 1)));
  CHECK(verified.has(id(kSignaturesRemembered)));
  CHECK(verified.has(id(2 * kSignaturesRemembered)));
}

TEST_CASE("base64url has one form for one value") {
  CHECK(to_base64url("\xfb\xff\xbf") == "-_-_");
  CHECK(from_base64url("-_-_").value() == "\xfb\xff\xbf");
  for (size_t size = 0; size < 70; ++size) {
    const Bytes bytes(size, '\xa5');
    const std::string text = to_base64url(bytes);
    CHECK(text.find('=') == std::string::npos);
    CHECK(from_base64url(text).value() == bytes);
  }
  for (const char* bad :
       {"A", "AAAAA", "QQ==", "QR", "QUJ", "Q Q", "QQ\n", "+_AA", "/AAA", "QQ=", "Ä"})
    CHECK_MESSAGE(!from_base64url(bad), bad);
}

}  // namespace
}  // namespace notp::jose
