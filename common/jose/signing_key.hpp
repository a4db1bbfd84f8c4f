// Private keys that sign tokens.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "common/crypto/x509.hpp"
#include "common/jose/jwk.hpp"

namespace notp::jose {

// Immutable. Thread-safe.
class SigningKey {
 public:
  // Reads an unencrypted PEM private key: RSA of kRsaBitsMin to kRsaBitsMax, EC on P-256, P-384 or
  // P-521, Ed25519. EC and Ed25519 have one algorithm; RSA has six, of which `wanted` names one,
  // RS256 by default (RFC 7518 §3.1 recommends it most). kConfig; errors repeat nothing of it.
  static Result<SigningKey> parse(std::string_view pem,
                                  std::optional<Algorithm> wanted = std::nullopt);
  // Reads a file that only its owner may read: read_private_file(). kConfig.
  static Result<SigningKey> load(const std::filesystem::path& pem,
                                 std::optional<Algorithm> wanted = std::nullopt);
  // RSA keys have kRsaBitsMin bits. kInternal.
  static Result<SigningKey> generate(Algorithm algorithm);

  Algorithm algorithm() const { return algorithm_; }
  // With alg and use "sig", without a kid.
  const PublicJwk& public_jwk() const { return public_jwk_; }
  PublicJwk public_jwk(std::string kid) const { return public_jwk_.with_kid(std::move(kid)); }
  // In the form of RFC 7518 §3 and RFC 8037 §3.1. kInternal.
  Result<Bytes> sign(ByteView signing_input) const;
  Result<std::string> pem() const;  // PKCS #8, unencrypted. kInternal

 private:
  SigningKey(std::shared_ptr<EVP_PKEY> key, Algorithm algorithm, PublicJwk public_jwk)
      : key_(std::move(key)), algorithm_(algorithm), public_jwk_(std::move(public_jwk)) {}
  static Result<SigningKey> make(x509::Key key, std::optional<Algorithm> wanted);

  std::shared_ptr<EVP_PKEY> key_;
  Algorithm algorithm_;
  PublicJwk public_jwk_;
};

// Signs claims (RFC 7515 §5.1, RFC 7519 §7.1): compact form. alg is the key's; the header is
// written as given after it. kUsage: the header has another alg, or the token is longer than
// kTokenBytesMax; kInternal.
Result<std::string> sign_token(const json::object& header, const json::object& claims,
                               const SigningKey& key);

}  // namespace notp::jose
