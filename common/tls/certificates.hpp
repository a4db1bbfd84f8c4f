// Certificates and keys in PEM for a TLS context. Thread-safe: no state.
#pragma once

#include <openssl/types.h>

#include <filesystem>
#include <string>

#include "common/bytes.hpp"
#include "common/result.hpp"

namespace notp::tls {

struct Pem {
  std::string name;  // of the file, for messages
  Bytes text;
};

// At most kPemBytesMax. In this and the other functions kConfig names the file and the fault.
Result<Pem> read_pem(const std::filesystem::path& path);

// The leaf first, then its intermediates.
Result<void> use_certificate(SSL_CTX* context, const Pem& pem);
// Unencrypted, matching the certificate in use.
Result<void> use_key(SSL_CTX* context, const Pem& pem);
// One or more CA certificates that peers must chain to.
Result<void> use_authorities(SSL_CTX* context, const Pem& pem);

// The same for a separate store.
Result<void> add_authorities(X509_STORE* store, const Pem& pem);

// Returns kConfig with the fault `what` of that file and OpenSSL's reason, which is taken.
std::unexpected<Error> bad_pem(const Pem& pem, std::string_view what);

}  // namespace notp::tls
