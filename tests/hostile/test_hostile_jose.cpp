// Tokens, keys and key sets that a hostile or careless provider could send: each is refused, and
// the refusal names what is wrong.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "common/base64url.hpp"
#include "common/jose/signing_key.hpp"
#include "common/jose/token.hpp"
#include "tests/support/jose/signed_examples.hpp"

namespace notp::jose {
namespace {

json::object example(size_t index) {
  return parse_json(kSignedExamples[index].key).value().as_object();
}
constexpr size_t kRsa = 0, kP256 = 1, kP521 = 2, kEd25519 = 3;

std::string number(size_t bytes, char first, char last) {
  Bytes out(bytes, '\x5a');
  out.front() = first;
  out.back() = last;
  return to_base64url(out);
}
// The y of its point with one bit changed.
std::string off_curve(size_t index) {
  Bytes y = from_base64url(example(index).at("y").as_string()).value();
  y.back() = static_cast<char>(y.back() ^ 1);
  return to_base64url(y);
}

struct BadKey {
  size_t base;
  json::object change;  // null removes a member
  const char* names;    // what the refusal says
};

const std::vector<BadKey>& bad_keys() {
  static const std::string kZeros(32, '\0');
  static const std::vector<BadKey> rows = {
      {kRsa, {{"kty", nullptr}}, "kty is missing"},
      {kRsa, {{"kty", "oct"}}, "kty \"oct\""},
      {kRsa, {{"kty", "rsa"}}, "kty \"rsa\""},
      {kRsa, {{"kty", 1}}, "kty is not a string"},
      {kRsa, {{"kty", "AKP"}}, "kty \"AKP\""},
      {kRsa, {{"kty", "oct"}, {"k", "c2VjcmV0"}}, "private member \"k\""},
      {kRsa, {{"d", "c2VjcmV0"}}, "private member \"d\""},
      {kRsa, {{"p", "c2VjcmV0"}}, "private member \"p\""},
      {kRsa, {{"q", "c2VjcmV0"}}, "private member \"q\""},
      {kRsa, {{"dp", "c2VjcmV0"}}, "private member \"dp\""},
      {kRsa, {{"dq", "c2VjcmV0"}}, "private member \"dq\""},
      {kRsa, {{"qi", nullptr}, {"oth", json::array{}}}, "private member \"oth\""},
      {kRsa, {{"qi", "c2VjcmV0"}}, "private member \"qi\""},
      {kP256, {{"d", "c2VjcmV0"}}, "private member \"d\""},
      {kEd25519, {{"d", "c2VjcmV0"}}, "private member \"d\""},
      {kRsa, {{"n", nullptr}}, "n is missing"},
      {kRsa, {{"n", ""}}, "n is empty"},
      {kRsa, {{"n", 7}}, "n is not a string"},
      {kRsa, {{"n", number(128, '\x80', 1)}}, "1024 bits"},
      {kRsa, {{"n", number(256, '\x7f', 1)}}, "2047 bits"},
      {kRsa, {{"n", number(1025, '\x01', 1)}}, "8193 bits"},
      {kRsa, {{"n", std::string(100'000, 'A')}}, "n is too long"},
      {kRsa, {{"n", number(257, '\0', 1)}}, "zero bytes"},
      {kRsa, {{"n", number(256, '\x80', 2)}}, "even RSA modulus"},
      {kRsa, {{"n", number(256, '\x80', 1) + "="}}, "base64url"},
      {kRsa, {{"n", " " + number(256, '\x80', 1)}}, "base64url"},
      {kRsa, {{"e", nullptr}}, "e is missing"},
      {kRsa, {{"e", "AQ"}}, "exponent"},
      {kRsa, {{"e", "Aw"}}, "exponent"},
      {kRsa, {{"e", "AQAA"}}, "exponent"},
      {kRsa, {{"e", "AQAC"}}, "exponent"},
      {kRsa, {{"e", "AAEAAQ"}}, "zero bytes"},
      {kRsa, {{"e", "AQAAAAE"}}, "exponent"},
      {kRsa, {{"e", number(256, '\x7f', 1)}}, "exponent"},
      {kP256, {{"crv", nullptr}}, "crv is missing"},
      {kP256, {{"crv", "secp256k1"}}, "the curve \"secp256k1\""},
      {kP256, {{"crv", "P-224"}}, "the curve \"P-224\""},
      {kP256, {{"crv", "P-384"}}, "48 bytes"},
      {kP256, {{"crv", "Ed25519"}}, "the curve \"Ed25519\""},
      {kP256, {{"y", nullptr}}, "y is missing"},
      {kP256, {{"y", off_curve(kP256)}}, "not on P-256"},
      {kP521, {{"y", off_curve(kP521)}}, "not on P-521"},
      {kP256, {{"x", to_base64url(kZeros)}, {"y", to_base64url(kZeros)}}, "not on P-256"},
      {kP256, {{"x", to_base64url(Bytes(32, '\xff'))}}, "not on P-256"},
      {kP256, {{"x", to_base64url(Bytes(31, '\x01'))}}, "32 bytes"},
      {kP256, {{"x", to_base64url(Bytes(33, '\x01'))}}, "32 bytes"},
      {kEd25519, {{"crv", "X25519"}}, "the curve \"X25519\""},
      {kEd25519, {{"crv", "P-256"}}, "the curve \"P-256\""},
      {kEd25519, {{"crv", "Ed448"}}, "57 bytes"},
      {kEd25519, {{"x", to_base64url(Bytes(31, '\x01'))}}, "32 bytes"},
      {kEd25519, {{"x", to_base64url(kZeros)}}, "small order"},
      {kEd25519, {{"x", to_base64url('\x01' + Bytes(31, '\0'))}}, "small order"},
      {kEd25519, {{"crv", "Ed448"}, {"x", to_base64url('\x01' + Bytes(56, '\0'))}}, "small order"},
      {kEd25519, {{"crv", "Ed448"}, {"x", to_base64url(Bytes(56, '\0') + '\x80')}}, "small order"},
      {kRsa, {{"alg", "ES256"}}, "alg \"ES256\" is not one of kty RSA"},
      {kRsa, {{"alg", "HS256"}}, "alg \"HS256\" is not one of kty RSA"},
      {kRsa, {{"alg", "none"}}, "alg \"none\" is not one of kty RSA"},
      {kRsa, {{"alg", "EdDSA"}}, "alg \"EdDSA\" is not one of kty RSA"},
      {kRsa, {{"alg", 256}}, "alg is not a string"},
      {kP256, {{"alg", "ES384"}}, "alg \"ES384\" is not one of kty EC P-256"},
      {kP256, {{"alg", "RS256"}}, "alg \"RS256\" is not one of kty EC"},
      {kP256, {{"alg", "RSA-OAEP"}}, "alg \"RSA-OAEP\" is not one of kty EC"},
      {kRsa, {{"alg", "ECDH-ES"}}, "alg \"ECDH-ES\" is not one of kty RSA"},
      {kEd25519, {{"alg", "ES256"}}, "alg \"ES256\" is not one of kty OKP"},
      {kRsa, {{"use", ""}}, "use is empty"},
      {kRsa, {{"use", json::array{"sig"}}}, "use is not a string"},
      {kRsa, {{"key_ops", "verify"}}, "key_ops is not an array"},
      {kRsa, {{"key_ops", json::array{}}}, "key_ops has 0 entries"},
      {kRsa, {{"key_ops", json::array{1}}}, "not a string"},
      {kRsa, {{"key_ops", json::array{"verify", "verify"}}}, "one operation twice"},
      {kRsa, {{"use", "enc"}, {"key_ops", json::array{"verify"}}}, "contradicts use \"enc\""},
      {kRsa, {{"use", "sig"}, {"key_ops", json::array{"encrypt"}}}, "contradicts use \"sig\""},
      {kRsa, {{"kid", ""}}, "kid is empty"},
      {kRsa, {{"kid", 1}}, "kid is not a string"},
      {kRsa, {{"kid", std::string(257, 'k')}}, "kid has 257 bytes"},
  };
  return rows;
}

json::object changed(const BadKey& row) {
  json::object out = example(row.base);
  for (const auto& [name, value] : row.change)
    if (value.is_null())
      out.erase(name);
    else
      out.insert_or_assign(name, value);
  return out;
}

TEST_CASE("bad keys are refused by name, and one of them refuses the whole set") {
  for (const BadKey& row : bad_keys()) {
    const json::object members = changed(row);
    CAPTURE(json::serialize(members).substr(0, 300));
    const auto key = PublicJwk::parse(members);
    REQUIRE_FALSE(key);
    CHECK(key.error().code == ErrorCode::kMessage);
    CHECK_MESSAGE(key.error().message.find(row.names) != std::string::npos, key.error().message);
    CHECK_MESSAGE(key.error().message.find("c2VjcmV0") == std::string::npos, key.error().message);
    json::object good = example(kEd25519);
    const auto set = KeySet::parse(json::object{{"keys", json::array{good, members}}});
    REQUIRE_FALSE(set);
    CHECK_MESSAGE(set.error().message.starts_with("key 2"), set.error().message);
  }
}

TEST_CASE("key sets that are no key sets, too large, or ambiguous") {
  const std::string key = json::serialize(example(kEd25519));
  const std::string named = R"({"kid":"a",)" + key.substr(1);
  std::string many = key;
  for (size_t i = 0; i < kKeysMax; ++i) many += "," + key;
  struct Row {
    std::string text;
    ErrorCode code;
    const char* names;
  };
  for (const Row& row : {
           Row{"", ErrorCode::kMessage, ""},
           Row{"[]", ErrorCode::kMessage, "not a key set"},
           Row{"{}", ErrorCode::kMessage, "not a key set"},
           Row{R"({"keys":{}})", ErrorCode::kMessage, "not a key set"},
           Row{R"({"keys":[[]]})", ErrorCode::kMessage, "key 1 is not an object"},
           Row{R"({"keys":[]}x)", ErrorCode::kMessage, "after the end"},
           Row{R"({"keys":[],"keys":[]})", ErrorCode::kMessage, "stands twice"},
           Row{R"({"keys":[{"kty":"OKP",)" + key.substr(1) + "]}", ErrorCode::kMessage,
               "stands twice"},
           Row{"{\"keys\":[],\"\xff\":1}", ErrorCode::kMessage, ""},
           Row{"\xef\xbb\xbf{\"keys\":[]}", ErrorCode::kMessage, ""},
           Row{fmt::format(R"({{"keys":[{},{}]}})", named, named), ErrorCode::kMessage,
               "another key has the same kid"},
           Row{fmt::format(R"({{"keys":[{}]}})", many), ErrorCode::kLimit, "33 keys"},
           Row{fmt::format(R"({{"keys":[],"x":"{}"}})", std::string(kKeySetBytesMax, 'x')),
               ErrorCode::kLimit, "bytes"},
           Row{R"({"keys":[],"x":)" + std::string(17, '[') + std::string(17, ']') + "}",
               ErrorCode::kMessage, "levels"},
           Row{R"({"keys":[],"x":)" + std::string(200, '[') + std::string(200, ']') + "}",
               ErrorCode::kMessage, ""},
       }) {
    CAPTURE(row.text.substr(0, 120));
    const auto set = KeySet::parse_text(row.text);
    REQUIRE_FALSE(set);
    CHECK(set.error().code == row.code);
    CHECK_MESSAGE(set.error().message.find(row.names) != std::string::npos, set.error().message);
  }
  CHECK(KeySet::parse_text(fmt::format(R"({{"keys":[{}],"x":[{{}}]}})", named)));
}

TEST_CASE("tokens that are not well formed") {
  const std::string claims = to_base64url(R"({"iss":"i"})"), signature(86, 'A');
  const std::string header = to_base64url(R"({"alg":"EdDSA"})");
  const auto with_header = [&](std::string_view text) {
    return fmt::format("{}.{}.{}", to_base64url(text), claims, signature);
  };
  const auto with_claims = [&](std::string_view text) {
    return fmt::format("{}.{}.{}", header, to_base64url(text), signature);
  };
  struct Row {
    std::string text;
    const char* names;
  };
  for (const Row& row : {
           Row{"", "three parts"},
           Row{"a.b", "three parts"},
           Row{"a.b.c.d", "three parts"},
           Row{"a.b.c.d.e", "three parts"},
           Row{"..", "header"},
           Row{fmt::format("{}.{}.", header, claims), "signature is empty"},
           Row{fmt::format("{}=.{}.{}", header, claims, signature), "header"},
           Row{fmt::format(" {}.{}.{}", header, claims, signature), "header"},
           Row{fmt::format("{}.{}.{}\n", header, claims, signature), "signature"},
           Row{fmt::format("{}.{}.{}B", header, claims, signature.substr(1)), "signature"},
           Row{fmt::format("{}.{}.{}", header, claims, "+" + signature.substr(1)), "signature"},
           Row{with_header("{}"), "alg is missing"},
           Row{with_header("[]"), "not a JSON object"},
           Row{with_header(R"({"alg":"none"})"), "alg \"none\""},
           Row{with_header(R"({"alg":"None"})"), "alg \"None\""},
           Row{with_header(R"({"alg":"HS256"})"), "alg \"HS256\""},
           Row{with_header(R"({"alg":"rs256"})"), "alg \"rs256\""},
           Row{with_header(R"({"alg":"ES256K"})"), "alg \"ES256K\""},
           Row{with_header(R"({"alg":"RSA-OAEP"})"), "alg \"RSA-OAEP\""},
           Row{with_header(R"({"alg":["EdDSA"]})"), "alg is not a string"},
           Row{with_header(R"({"alg":""})"), "alg is not a string, or empty"},
           Row{with_header(R"({"alg":"EdDSA","alg":"none"})"), "stands twice"},
           Row{with_header(R"({"alg":"none","\u0061lg":"EdDSA"})"), "stands twice"},
           Row{with_header(R"({"alg":"EdDSA","crit":["exp"]})"), "crit"},
           Row{with_header(R"({"alg":"EdDSA","crit":[]})"), "crit"},
           Row{with_header(R"({"alg":"EdDSA","b64":false})"), "b64"},
           Row{with_header(R"({"alg":"EdDSA","enc":"A128GCM"})"), "enc"},
           Row{with_header(R"({"alg":"EdDSA","zip":"DEF"})"), "zip"},
           Row{with_header(R"({"alg":"EdDSA","cty":"JWT"})"), "cty"},
           Row{with_header(R"({"alg":"EdDSA","kid":1})"), "kid is not a string"},
           Row{with_header(R"({"alg":"EdDSA","typ":null})"), "typ is not a string"},
           Row{with_header(fmt::format(R"({{"alg":"EdDSA","kid":"{}"}})", std::string(257, 'k'))),
               "kid is longer"},
           Row{with_header("{\"alg\":\"EdDSA\",\"kid\":\"\xc0\xaf\"}"), "header"},
           Row{with_claims("\"text\""), "not a JSON object"},
           Row{with_claims("{} {}"), "after the end"},
           Row{with_claims(R"({"iss":"a","iss":"b"})"), "stands twice"},
           Row{with_claims(R"({"iss":1})"), "iss is not a string"},
           Row{with_claims(R"({"sub":{}})"), "sub is not a string"},
           Row{with_claims(R"({"jti":7})"), "jti is not a string"},
           Row{with_claims(R"({"aud":7})"), "aud is neither"},
           Row{with_claims(R"({"aud":[]})"), "aud has 0 entries"},
           Row{with_claims(R"({"aud":["a",1]})"), "not a string"},
           Row{with_claims(R"({"exp":"1800000000"})"), "exp: not a number"},
           Row{with_claims(R"({"exp":null})"), "exp: not a number"},
           Row{with_claims(R"({"exp":true})"), "exp: not a number"},
           Row{with_claims(R"({"exp":-1})"), "exp: not within"},
           Row{with_claims(R"({"exp":1e300})"), "exp: not within"},
           Row{with_claims(R"({"exp":18446744073709551615})"), "exp: not within"},
           Row{with_claims(R"({"exp":1800000000000})"), "exp: not within"},
           Row{with_claims(R"({"exp":99999999999999999999999})"), "64 bits"},
           Row{with_claims(R"({"nbf":[]})"), "nbf: not a number"},
           Row{with_claims(R"({"iat":"now"})"), "iat: not a number"},
           Row{with_claims("{\"a\":" + std::string(17, '[') + std::string(17, ']') + "}"),
               "levels"},
           Row{with_claims("{\"sub\":\"\xed\xa0\x80\"}"), "claims"},
       }) {
    CAPTURE(row.text);
    const auto token = read_token(row.text);
    REQUIRE_FALSE(token);
    CHECK(token.error().code == ErrorCode::kMessage);
    CHECK_MESSAGE(token.error().message.find(row.names) != std::string::npos,
                  token.error().message);
  }
  CHECK(read_token(with_claims("{}")));
  CHECK(read_token(std::string(kTokenBytesMax + 1, 'a')).error().code == ErrorCode::kLimit);
}

TEST_CASE("a key that a token brings or names is not used") {
  const SigningKey thief = SigningKey::generate(Algorithm::kEs256).value();
  const SigningKey issuer = SigningKey::generate(Algorithm::kEs256).value();
  const KeySet keys =
      KeySet::parse(json::object{{"keys", json::array{issuer.public_jwk("k").canonical()}}})
          .value();
  const TokenRules rules{.algorithms = {Algorithm::kEs256}, .needs_expiry = false};
  for (const json::object& header :
       {json::object{{"jwk", thief.public_jwk().canonical()}},
        json::object{{"kid", "k"}, {"jwk", thief.public_jwk("k").canonical()}},
        json::object{{"jku", "https://evil.example/keys"}}, json::object{{"x5c", {"MIIB"}}}}) {
    const auto forged =
        check_token(read_token(sign_token(header, {}, thief).value()).value(), keys, rules);
    REQUIRE_FALSE(forged);
    CHECK(forged.error().context.at(0).second == "token.signature");
    CHECK(check_token(read_token(sign_token(header, {}, issuer).value()).value(), keys, rules));
  }
}

TEST_CASE("signatures of ECDSA that are zero, in DER, or of another length") {
  const SigningKey key = SigningKey::generate(Algorithm::kEs256).value();
  const PublicJwk& jwk = key.public_jwk();
  const Bytes good = key.sign("input").value();
  REQUIRE(jwk.verify(Algorithm::kEs256, "input", good));
  const Bytes half(32, '\0'), full(32, '\xff');
  for (const Bytes& bad :
       {half + half, good.substr(0, 32) + half, half + good.substr(32), full + full, good + good,
        good.substr(0, 63), good.substr(0, 32) + '\0' + good.substr(32),
        "\x30\x44\x02\x20" + good.substr(0, 32) + "\x02\x20" + good.substr(32),
        half.substr(0, 1) + good, Bytes()})
    CHECK_FALSE(jwk.verify(Algorithm::kEs256, "input", bad));
}

// RFC 7518 §3.5 wants a salt as long as the digest; other verifiers find out how long it is.
TEST_CASE("signatures of RSA-PSS with a salt of another length, and those of PKCS #1 v1.5") {
  const SigningKey key = SigningKey::generate(Algorithm::kPs256).value();
  const x509::Key handle = x509::read_key(key.pem().value()).value();
  const std::string input = "input";
  const auto sign = [&](int padding, int salt) {
    const CPointer<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* parameters = nullptr;
    REQUIRE(EVP_DigestSignInit(context.get(), &parameters, EVP_sha256(), nullptr, handle.get()) ==
            1);
    REQUIRE(EVP_PKEY_CTX_set_rsa_padding(parameters, padding) == 1);
    if (padding == RSA_PKCS1_PSS_PADDING)
      REQUIRE(EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, salt) == 1);
    Bytes out(256, '\0');
    size_t size = out.size();
    REQUIRE(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                           reinterpret_cast<const unsigned char*>(input.data()),
                           input.size()) == 1);
    return out;
  };
  const auto verifies = [&](const Bytes& signature) {
    return key.public_jwk().verify(Algorithm::kPs256, input, signature).has_value();
  };
  CHECK(verifies(sign(RSA_PKCS1_PSS_PADDING, 32)));
  for (const int salt : {0, 20, 31, 33, 64, 222})
    CHECK_FALSE_MESSAGE(verifies(sign(RSA_PKCS1_PSS_PADDING, salt)), salt);
  CHECK_FALSE(verifies(sign(RSA_PKCS1_PADDING, 0)));
}

// RFC 8032 §5.1.7: S is below the order of the group, so that one signature has one form.
TEST_CASE("a signature of Ed25519 in a second form") {
  const SigningKey key = SigningKey::generate(Algorithm::kEdDsa).value();
  Bytes signature = key.sign("input").value();
  REQUIRE(key.public_jwk().verify(Algorithm::kEdDsa, "input", signature));
  const Bytes order =
      from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").value();
  unsigned carry = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    carry += static_cast<uint8_t>(signature[32 + i]) + static_cast<uint8_t>(order[i]);
    signature[32 + i] = static_cast<char>(carry);
    carry >>= 8;
  }
  CHECK_FALSE(key.public_jwk().verify(Algorithm::kEdDsa, "input", signature));
}

TEST_CASE("an own token is not longer than what would be read") {
  const SigningKey key = SigningKey::generate(Algorithm::kEdDsa).value();
  const auto token = sign_token({}, {{"sub", std::string(kTokenBytesMax, 'x')}}, key);
  REQUIRE_FALSE(token);
  CHECK(token.error().code == ErrorCode::kUsage);
}

}  // namespace
}  // namespace notp::jose
