// Transaction tokens at verifiers that were not written here: panva jose, PyJWT, golang-jwt, and
// the built-in functions of an unmodified OPA. All of them take every optional shape, and refuse
// what is not a transaction token of this domain.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <functional>

#include "common/base64url.hpp"
#include "common/jose/signing_key.hpp"
#include "common/storage/files.hpp"
#include "notp-client/txn/issue/token_answer.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::txn {
namespace {

using jose::Algorithm;
using jose::SigningKey;

constexpr std::string_view kDomain = "core-platform.internal";

constexpr std::string_view kPolicy = R"(package verifier

answers := [verify(token) | some token in data.tokens]

verify(token) := {"claims": claims} if {
	[header, _, _] := io.jwt.decode(token)
	header.typ == "txntoken+jwt"
	[valid, _, claims] := io.jwt.decode_verify(token, {"cert": json.marshal(data.set), "aud": data.audience})
	valid
	every name in ["iat", "exp", "txn", "sub", "scope", "req_wl"] {
		claims[name]
	}
} else := {"error": "refused"}
)";

template <typename T>
T got(Result<T> result) {
  REQUIRE_MESSAGE(result, result.error().message);
  return *std::move(result);
}

struct Case {
  std::string what, token;
  std::optional<json::object> claims;  // nullopt: to be refused
};

class Tokens {
 public:
  Tokens() {
    add_valid();
    add_refused();
  }

  json::object key_set() const {
    json::array keys;
    for (const auto& [kid, key] : keys_) keys.push_back(key.public_jwk(kid).canonical());
    return {{"keys", std::move(keys)}};
  }
  const std::vector<Case>& cases() const { return cases_; }

 private:
  static json::object claims() {
    const int64_t now_s = read_clock().wall_ms / 1000;
    return {{"iat", now_s},
            {"exp", now_s + 300},
            {"aud", kDomain},
            {"txn", "97053963-771d-49cc-a4e3-20aad399c312"},
            {"sub", "ana"},
            {"scope", "refund.request refund.pay"},
            {"req_wl", "spiffe://core-platform.internal/workload/shop"}};
  }
  std::string sign(const std::string& kid, const json::object& claims) const {
    auto token = sign_txn_token(claims, kid, keys_.at(kid));
    REQUIRE_MESSAGE(token, token.error().description);
    return *std::move(token);
  }
  // With and without each claim that may be left out.
  void add_valid() {
    for (const auto& [kid, key] : keys_)
      for (unsigned shape = 0; shape < 8; ++shape) {
        json::object all = claims();
        if ((shape & 1) != 0) all["iss"] = "https://tts.core-platform.internal";
        if ((shape & 2) != 0)
          all["tctx"] = json::object{{"amount", 120}, {"chain", json::array{"ä", true, nullptr}}};
        if ((shape & 4) != 0) all["rctx"] = json::object{{"channel", "web"}};
        cases_.push_back({fmt::format("{} shape {}", kid, shape), sign(kid, all), all});
      }
  }
  void refuse(std::string what, std::string token) {
    cases_.push_back({std::move(what), std::move(token), std::nullopt});
  }
  void add_refused() {
    for (const char* name : {"iat", "exp", "aud", "txn", "sub", "scope", "req_wl"}) {
      json::object less = claims();
      less.erase(name);
      refuse(fmt::format("without {}", name), sign("es", less));
    }
    const auto with = [&](const char* name, json::value value) {
      json::object other = claims();
      other[name] = std::move(value);
      return sign("es", other);
    };
    refuse("expired", with("exp", read_clock().wall_ms / 1000 - 3600));
    refuse("of another domain", with("aud", "other.internal"));
    for (const char* typ : {"at+jwt", "JWT", "secevent+jwt", ""})
      refuse(fmt::format("typ '{}'", typ),
             got(jose::sign_token({{"typ", typ}, {"kid", "es"}}, claims(), keys_.at("es"))));
    // Somebody else's key of the same name; a name that is not in the set.
    const SigningKey stranger = got(SigningKey::generate(Algorithm::kEs256));
    refuse("of a stranger", sign_txn_token(claims(), "es", stranger).value());
    refuse("kid", sign_txn_token(claims(), "unknown", stranger).value());
    refuse("no signature", unsigned_token());
    std::string altered = sign("ed", claims());
    altered[altered.find('.') + 20] ^= 1;
    refuse("altered", std::move(altered));
  }
  static std::string unsigned_token() {
    const json::object header{{"alg", "none"}, {"typ", kTxnTokenTyp}, {"kid", "es"}};
    return fmt::format("{}.{}.", to_base64url(json::serialize(header)),
                       to_base64url(json::serialize(claims())));
  }

  const std::map<std::string, SigningKey> keys_{
      {"es", got(SigningKey::generate(Algorithm::kEs256))},
      {"ed", got(SigningKey::generate(Algorithm::kEdDsa))}};
  std::vector<Case> cases_;
};

// The answers of a verifier, in the order of the tokens.
using Answers = std::vector<json::value>;

class Verifiers {
 public:
  explicit Verifiers(const Tokens& tokens) : tokens_(tokens) {
    REQUIRE(write_file(file("keys.json"), json::serialize(tokens.key_set())));
    std::string lines;
    for (const Case& each : tokens.cases()) lines += each.token + "\n";
    REQUIRE(write_file(file("tokens"), lines));
  }

  // A program that reads tokens, one a line, and prints an answer for each.
  Answers run(std::vector<std::string> command) const {
    command.insert(command.end(), {file("keys.json"), std::string(kDomain)});
    const CommandResult result = run_command(command, {}, file("tokens"));
    REQUIRE_MESSAGE(result.status == 0, result.output);
    Answers out;
    for (std::istringstream text(result.output); !text.eof();) {
      std::string line;
      if (!std::getline(text, line)) break;
      out.push_back(got(parse_json(line)));
    }
    return out;
  }
  Answers opa() const {
    const char* program = std::getenv("NOTP_OPA");
    if (program == nullptr)
      FAIL("NOTP_OPA is not set: export NOTP_OPA=$(tools/build-opa), or run tools/test");
    json::object data{{"set", tokens_.key_set()}, {"audience", kDomain}, {"tokens", json::array()}};
    for (const Case& each : tokens_.cases()) data["tokens"].as_array().emplace_back(each.token);
    REQUIRE(write_file(file("policy.rego"), kPolicy));
    REQUIRE(write_file(file("data.json"), json::serialize(data)));
    const CommandResult result =
        run_command({program, "eval", "--format", "raw", "--data", file("policy.rego"), "--data",
                     file("data.json"), "data.verifier.answers"});
    REQUIRE_MESSAGE(result.status == 0, result.output);
    const json::value answers = got(parse_json(result.output));
    return {answers.as_array().begin(), answers.as_array().end()};
  }

 private:
  std::string file(const char* name) const { return folder_.path() / name; }

  const Tokens& tokens_;
  const TemporaryFolder folder_;
};

void compare(const std::string& verifier, const Tokens& tokens, const Answers& answers) {
  CAPTURE(verifier);
  REQUIRE(answers.size() == tokens.cases().size());
  for (size_t i = 0; i < answers.size(); ++i) {
    const Case& each = tokens.cases()[i];
    CAPTURE(each.what);
    CAPTURE(json::serialize(answers[i]));
    const json::value* claims = answers[i].as_object().if_contains("claims");
    CHECK((claims != nullptr) == each.claims.has_value());
    if (claims != nullptr && each.claims) CHECK(*claims == json::value(*each.claims));
  }
}

TEST_CASE("transaction tokens at panva jose, PyJWT, golang-jwt and OPA") {
  const Tokens tokens;
  const Verifiers verifiers(tokens);
  const std::string others = NOTP_TXN_OTHERS, source = NOTP_TXN_SOURCE;
  compare("jose", tokens,
          verifiers.run({NOTP_OPENID "/node", source + "/verify.mjs", others + "/node_modules"}));
  compare("PyJWT", tokens, verifiers.run({"/usr/bin/python3", "-B", source + "/verify.py"}));
  compare("golang-jwt", tokens, verifiers.run({others + "/golang-jwt"}));
  compare("OPA", tokens, verifiers.opa());
}

}  // namespace
}  // namespace notp::txn
