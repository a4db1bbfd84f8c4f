#include "common/jose/signing_key.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/base64url.hpp"
#include "common/jose/algorithm_traits.hpp"
#include "common/jose/jose_limits.hpp"
#include "common/jose/openssl_keys.hpp"
#include "common/limits.hpp"
#include "common/storage/private_files.hpp"

namespace notp::jose {
namespace {

// Empty for RSA.
std::string_view crv_of(const json::object& members) {
  const json::value* crv = members.if_contains("crv");
  return crv == nullptr ? std::string_view() : crv->get_string();
}

Result<Algorithm> algorithm_for(const json::object& members, std::optional<Algorithm> wanted) {
  const std::string_view kty = members.at("kty").get_string(), crv = crv_of(members);
  if (crv == "Ed448") return fail(ErrorCode::kConfig, "Ed448 keys do not sign here; use Ed25519");
  if (wanted) {
    if (traits_of(*wanted).suits(kty, crv)) return *wanted;
    return fail(ErrorCode::kConfig, fmt::format("a key of kty {} {} does not sign with {}", kty,
                                                crv, algorithm_name(*wanted)));
  }
  if (kty == "RSA") return Algorithm::kRs256;
  for (const Algorithm algorithm : all_algorithms())
    if (traits_of(algorithm).suits(kty, crv)) return algorithm;
  return fail(ErrorCode::kConfig, "the key suits no algorithm");
}

x509::Key make_key(const AlgorithmTraits& traits) {
  if (traits.kty == "RSA")
    return x509::Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<size_t>(kRsaBitsMin)));
  if (traits.kty == "EC")
    return x509::Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", std::string(traits.crv).c_str()));
  return x509::Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
}

std::string encoded(const json::object& object) { return to_base64url(json::serialize(object)); }

}  // namespace

Result<SigningKey> SigningKey::make(x509::Key key, std::optional<Algorithm> wanted) {
  NOTP_ASSIGN(json::object members, public_members(key.get()));
  NOTP_ASSIGN(const Algorithm algorithm, algorithm_for(members, wanted));
  members.emplace("use", "sig");
  members.emplace("alg", algorithm_name(algorithm));
  // The rules of public keys hold for own ones too: their sizes, their exponents.
  auto public_jwk = PublicJwk::parse(members);
  if (!public_jwk) return fail(ErrorCode::kConfig, std::move(public_jwk).error().message);
  return SigningKey({key.release(), EVP_PKEY_free}, algorithm, *std::move(public_jwk));
}

Result<SigningKey> SigningKey::parse(std::string_view pem, std::optional<Algorithm> wanted) {
  NOTP_ASSIGN(x509::Key key, x509::read_key(pem));
  return make(std::move(key), wanted);
}

Result<SigningKey> SigningKey::load(const std::filesystem::path& pem,
                                    std::optional<Algorithm> wanted) {
  NOTP_ASSIGN(Bytes text, read_private_file(pem, limits::kPemBytesMax));
  auto key = parse(text, wanted);
  OPENSSL_cleanse(text.data(), text.size());
  if (!key) return std::unexpected(std::move(key).error().in(pem.string()));
  return key;
}

Result<SigningKey> SigningKey::generate(Algorithm algorithm) {
  x509::Key key = make_key(traits_of(algorithm));
  if (!key) return x509::openssl_failed("making a key");
  return make(std::move(key), algorithm);
}

Result<Bytes> SigningKey::sign(ByteView signing_input) const {
  return make_signature(key_.get(), algorithm_, signing_input);
}

Result<std::string> SigningKey::pem() const { return x509::key_pem(key_.get()); }

Result<std::string> sign_token(const json::object& header, const json::object& claims,
                               const SigningKey& key) {
  json::object whole{{"alg", algorithm_name(key.algorithm())}};
  for (const auto& [name, value] : header) {
    if (name == "alg" && value != whole.at("alg"))
      return fail(ErrorCode::kUsage, "the header names another alg than the key's");
    whole.insert_or_assign(name, value);
  }
  std::string token = fmt::format("{}.{}", encoded(whole), encoded(claims));
  NOTP_ASSIGN(const Bytes signature, key.sign(token));
  token += fmt::format(".{}", to_base64url(signature));
  if (token.size() > kTokenBytesMax)
    return fail(ErrorCode::kUsage,
                fmt::format("a token of {} bytes; {} are allowed", token.size(), kTokenBytesMax));
  return token;
}

}  // namespace notp::jose
