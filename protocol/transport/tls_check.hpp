// Checks that the files of TlsFiles are usable. Only reads files; thread-safe.
#pragma once

#include "common/setup_report.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp::transport {

// Reports all faults of the own certificate, its key and the authorities that the handshake and the
// peer's check of the identity would find one after the other. `side` is this program's: a server's
// certificate must be a registry's, a client's a node's. A file that cannot be loaded is refused;
// one that only the peer refuses is useless.
void check_tls(const TlsFiles& files, Side side, TimeMs wall_ms, SetupReport& report);

// Checks a certificate with its key, as a listener other than that of sessions shows them.
void check_key_pair(const std::filesystem::path& certificate, const std::filesystem::path& key,
                    TimeMs wall_ms, SetupReport& report);

// Checks that the first certificate of a file leads to one in `authorities`; `why` describes the
// consequence if not.
void check_leads_to(const std::filesystem::path& certificate,
                    const std::filesystem::path& authorities, const std::string& why,
                    SetupReport& report);

// Checks a file of CA certificates.
void check_authorities(const std::filesystem::path& file, SetupReport& report);

// Checks the address of a listener: numeric and, for a warning, one of this machine's. Does not
// bind.
void check_listen_address(const std::string& key, const std::string& address, SetupReport& report);

}  // namespace notp::transport
