// Whether the files of TlsFiles can do what they are for. Looks at files only; thread-safe.
#pragma once

#include "common/setup_report.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp {

// All that is wrong with the own certificate, its key and the authorities, as the handshake and the
// peer's check of the identity would find it one after the other. `side` is this program's own: a
// server's certificate must be a registry's, a client's a node's. What cannot be loaded is refused;
// what only the peer refuses is useless.
void check_tls(const TlsFiles& files, Side side, TimeMs wall_ms, SetupReport& report);

// A certificate with its key, as a listener for others than sessions shows them.
void check_key_pair(const std::filesystem::path& certificate, const std::filesystem::path& key,
                    TimeMs wall_ms, SetupReport& report);

// The first certificate of a file leads to one in `authorities`; else `why` is what comes of it.
void check_leads_to(const std::filesystem::path& certificate,
                    const std::filesystem::path& authorities, const std::string& why,
                    SetupReport& report);

// A file of CA certificates.
void check_authorities(const std::filesystem::path& file, SetupReport& report);

// The address of a listener: numeric and, for a warning, one of this machine's. Binds nothing.
void check_listen_address(const std::string& key, const std::string& address, SetupReport& report);

}  // namespace notp
