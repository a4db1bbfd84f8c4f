// Makes X.509 certificates with OpenSSL, for `notp pki`, the registry's enrolment and a node's
// certificate request; and signs messages with their keys. Thread-safe: no state.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/c_ptr.hpp"
#include "common/clock.hpp"
#include "common/crypto/digest.hpp"
#include "common/result.hpp"

namespace notp::x509 {

using Key = CPointer<EVP_PKEY, EVP_PKEY_free>;
using Certificate = CPointer<X509, X509_free>;

enum class KeyType : uint8_t {
  kP256,  // the default: every TLS stack has it, and signing is fast
  kEd25519,
};

// The content of a certificate except keys, issuer and serial number, which is random (159 bits).
struct Draft {
  std::string common_name;        // for people, 1 to 64 characters; identity is only the URI
  std::vector<std::string> uris;  // subject alternative names, written unchanged, NUL included
  // Further alternative names, not identities; addresses are numeric.
  std::vector<std::string> emails, dns_names, addresses;
  // Wall time, cut to whole seconds (RFC 5280 §4.1.2.5).
  TimeMs not_before_ms = 0;
  TimeMs not_after_ms = 0;
  bool server_auth = false;
  bool client_auth = false;
  bool is_ca = false;
};

struct Issuer {
  Certificate certificate;
  Key key;
  std::string chain_pem;  // appended to an issued leaf; empty when the issuer is a root

  // Reads the first certificate of the PEM and its key. kConfig when they do not parse or do not
  // match.
  static Result<Issuer> read(std::string_view certificate_pem, std::string_view key_pem);
};

// kInternal with OpenSSL's reason for `what`; takes the thread's OpenSSL errors.
std::unexpected<Error> openssl_failed(std::string_view what);

// Returns the SHA-256 of the key's SubjectPublicKeyInfo; zero when it has none.
Hash key_hash(const EVP_PKEY* key);

// These fail with kInternal when OpenSSL refuses.
Result<Key> make_key(KeyType type);
Result<Key> read_key(std::string_view pem);  // kConfig
Result<std::string> key_pem(EVP_PKEY* key);  // PKCS #8, unencrypted
Result<std::string> certificate_pem(X509* certificate);
// kUsage for a validity that ends before it starts.
Result<Certificate> sign_own(const Draft& draft, EVP_PKEY* key);
Result<Certificate> issue(const Issuer& issuer, const Draft& draft, EVP_PKEY* key);
// Reads the certificate that is all of `der`. kMessage.
Result<Certificate> read_der(ByteView der);
Result<Bytes> der_of(const X509* certificate);  // kInternal
// Makes a PKCS #10 request (RFC 2986) in PEM: the draft's name, alternative names, usages and CA
// flag; the authority chooses the validity.
Result<std::string> request_pem(const Draft& draft, EVP_PKEY* key);

// Signs a message as TLS 1.3 does with such a key: ECDSA and RSA-PSS (a salt of 32 bytes) with
// SHA-256, Ed25519. kInternal.
Result<Bytes> sign_message(EVP_PKEY* key, ByteView message);
// True only for such a signature, by a key on P-256, P-384 or P-521, an RSA key of kRsaBitsMin to
// kRsaBitsMax, or an Ed25519 key.
bool verify_message(EVP_PKEY* key, ByteView message, ByteView signature);
inline constexpr int kRsaBitsMin = 2'048;
inline constexpr int kRsaBitsMax = 8'192;  // bounds the work of a verifier

}  // namespace notp::x509
