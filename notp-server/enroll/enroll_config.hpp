// The section `enroll` of the registry's configuration.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "common/config_section.hpp"
#include "notp-server/enroll/node_ca.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp::enroll {

// The listener of enrolment and the addresses that nodes get.
struct EnrollConfig {
  std::string listen;
  std::string address;              // in tokens, for nodes; empty: the actual listen address
  std::string registry;             // likewise for sessions
  std::filesystem::path port_file;  // empty: none
  NodeCaOptions authority;
};

// Reads the whole configuration; nullopt: nodes do not enrol here. `tls` has the authorities that
// nodes receive to trust if the section names none.
std::optional<EnrollConfig> load_enroll(const config::Section& root,
                                        const transport::TlsFiles& tls);

}  // namespace notp::enroll
