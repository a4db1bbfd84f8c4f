// Turns OpenSSL's errors into codes and sentences with a remedy.
#pragma once

#include <openssl/types.h>

#include "common/result.hpp"

namespace notp::transport {

// Returns why the last operation on `ssl` ended with SSL_ERROR_SSL. Takes the thread's OpenSSL
// errors. kNoCertificate, kCertificateExpired, kCertificateUntrusted, kVersion, kTls; the sentence
// states whether this side refused the peer or the peer refused this side.
Error tls_error(const SSL* ssl);

}  // namespace notp::transport
