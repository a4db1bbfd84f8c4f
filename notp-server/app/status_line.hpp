// The registry's state in one line, for the service manager ("systemctl status"). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "notp-server/trust/freshness_signer.hpp"

namespace notp::server {

struct StatusFacts {
  size_t ledgers = 0;
  size_t damaged = 0;  // in addition
  size_t peers = 0;    // open sessions
  uint64_t root_version = 0;
  trust::FreshnessKeyState freshness_key{};
  bool is_read_only = false;
  std::string root_expiry;  // as root_expiry_text(); empty: far
};

// As in "serving 3 ledgers to 12 peers, root v2; the freshness key is missing".
std::string status_line(const StatusFacts& facts);

}  // namespace notp::server
