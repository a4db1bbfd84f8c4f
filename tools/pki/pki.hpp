// A small certificate authority: makes a CA and issues the leaves for NOTP's mutual TLS. Everything
// is PEM text; the caller stores it. Thread-safe: no state.
//
// Options that NOTP itself refuses (no URI, two URIs, a leaf that is a CA, …) exist because tests
// present such certificates to the real verifier.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/crypto/x509.hpp"
#include "common/result.hpp"

namespace notp::pki {

// A certificate and its private key (PKCS #8). `certificate_pem` of an issued leaf holds the leaf
// and then the intermediates, without the root, as a TLS server sends it.
struct Credential {
  std::string certificate_pem;
  std::string key_pem;
};

// Milliseconds of wall time, cut to whole seconds (RFC 5280 §4.1.2.5).
struct Validity {
  TimeMs not_before_ms = 0;
  TimeMs not_after_ms = 0;

  // Starts an hour before `now_ms`, so that a clock slightly behind accepts it at once.
  static Validity days(TimeMs now_ms, int64_t days);
};

using x509::KeyType;

struct LeafOptions {
  std::string common_name;        // for people; identity is the URI alone
  std::vector<std::string> uris;  // subject alternative names, written as they are, NUL included
  // Further alternative names, not part of the identity; addresses are numeric.
  std::vector<std::string> emails, dns_names, addresses;
  Validity validity;
  bool server_auth = false;
  bool client_auth = false;
  bool is_ca = false;
  KeyType key = KeyType::kP256;
};

// A self-signed CA. kInternal when OpenSSL refuses.
Result<Credential> make_authority(std::string_view common_name, const Validity& validity,
                                  KeyType key = KeyType::kP256);

// Issues a leaf, or with `is_ca` an intermediate, under `issuer`. kConfig when the issuer's PEM
// does not parse or its key does not match; kUsage for a validity that ends before it starts.
Result<Credential> issue(const Credential& issuer, const LeafOptions& options);

// The same in separate steps, for a key that exists already.
Result<std::string> make_key(KeyType key = KeyType::kP256);
Result<std::string> certify_authority(std::string_view common_name, const Validity& validity,
                                      std::string_view key_pem);
// The certificate with its intermediates. `options.key` is not read.
Result<std::string> certify(const Credential& issuer, const LeafOptions& options,
                            std::string_view key_pem);
// A PKCS #10 request in PEM (RFC 2986) for an external authority: common name, URIs, usages and
// whether it is for a CA. kConfig when the key does not parse.
Result<std::string> request(const LeafOptions& options, std::string_view key_pem);

}  // namespace notp::pki
