// From OpenSSL's errors to codes and sentences that tell a person what to do.
#pragma once

#include <openssl/types.h>

#include "common/result.hpp"

namespace notp {

// Why the last operation on `ssl` ended with SSL_ERROR_SSL. Takes the thread's OpenSSL errors.
// kNoCertificate, kCertificateExpired, kCertificateUntrusted, kVersion, kTls; the sentence says
// whether this side refused the peer or the peer refused this side.
Error tls_error(const SSL* ssl);

}  // namespace notp
