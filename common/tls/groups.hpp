// The key exchanges that this project's ends of TLS connections take part in.
#pragma once

namespace notp::tls {

// For SSL_CTX_set1_groups_list(). A ClientHello in one of these costs a server little, and needs no
// certificate: with OpenSSL's own list, which has finite fields of 8,192 bits, some fifteen hellos
// a second keep a core busy.
inline constexpr const char* kGroups = "X25519:P-256";

}  // namespace notp::tls
