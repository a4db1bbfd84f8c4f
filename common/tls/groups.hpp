// The key exchanges and ciphers of this project's TLS connections.
#pragma once

namespace notp::tls {

// For SSL_CTX_set1_groups_list(). The server chooses, and pays for every Hello of an unknown
// client: with OpenSSL's own list, which has finite fields of 8,192 bits, some fifteen hellos a
// second keep a core busy. P-384 costs some twenty times as much as X25519.
inline constexpr const char* kServerGroups = "X25519:P-256";
inline constexpr const char* kServerGroupsWithP384 = "X25519:P-256:P-384";
inline constexpr const char* kClientGroups = kServerGroupsWithP384;

// For SSL_CTX_set_cipher_list(), with TLS 1.2: those with forward secrecy and AEAD. TLS 1.3 has no
// others.
inline constexpr const char* kTls12Ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

}  // namespace notp::tls
