// The sections `enroll` and `deny_list` of the registry's configuration.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "common/config_section.hpp"
#include "notp-server/enroll/node_ca.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp {

// Where and with what nodes enrol.
struct EnrollConfig {
  std::string listen;
  std::string address;              // that tokens tell nodes; empty: the real listen address
  std::string registry;             // the same for sessions
  std::filesystem::path port_file;  // empty: none
  NodeCaOptions authority;
};

// From the whole configuration; nullopt: nodes do not enrol here. `tls` has the authorities that
// nodes are told to trust where the section names none.
std::optional<EnrollConfig> load_enroll(const config::Section& root, const TlsFiles& tls);

// From the whole configuration; nullopt: none. kConfig.
Result<std::optional<LedgerId>> load_deny_list(const config::Section& root);

}  // namespace notp
