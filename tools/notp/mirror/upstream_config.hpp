// What of an upstream's configuration can work.
#pragma once

#include <string>

#include "tools/notp/mirror/upstream.hpp"

namespace notp::cli {

enum class UpstreamScheme : uint8_t { kHttps, kHttp, kSsh, kFile };

struct UpstreamAddress {
  UpstreamScheme scheme = UpstreamScheme::kHttps;
  std::string authority;  // of https and http: "host" or "host:port"
  std::string name;       // the last part of the path, without ".git"

  bool is_http() const {
    return scheme == UpstreamScheme::kHttps || scheme == UpstreamScheme::kHttp;
  }
};

// kConfig: not an address of that form, or with a password. kHttp and kFile are for
// UpstreamConfig::allow_insecure.
Result<UpstreamAddress> parse_repository(const std::string& repository, bool allow_insecure);

// kConfig names the setting and what to do. Opens no file.
Result<void> check_upstream(const UpstreamConfig& config);

}  // namespace notp::cli
