// Certificates of many nodes, made in this process: each has a key of its own (P-256).
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "protocol/transport/tls_context.hpp"

namespace notp::bench {

class SwarmIdentities {
 public:
  // Makes "spiffe://<domain>/node/<prefix>-<i>" for 0 to count - 1, under pki/ca.crt and ca.key of
  // `folder`, on `threads` threads: some 0.3 ms and 60 KB each. The registry must chain to the same
  // CA. kConfig, kNotFound.
  static Result<std::shared_ptr<const SwarmIdentities>> make(const std::filesystem::path& folder,
                                                             const std::string& trust_domain,
                                                             const std::string& prefix,
                                                             size_t count, size_t threads = 1);

  size_t size() const { return contexts_.size(); }
  const std::string& trust_domain() const { return trust_domain_; }
  const std::shared_ptr<const transport::TlsContext>& context(size_t number) const {
    return contexts_[number % contexts_.size()];
  }

 private:
  std::string trust_domain_;
  std::vector<std::shared_ptr<const transport::TlsContext>> contexts_;
};
using SwarmIdentitiesPtr = std::shared_ptr<const SwarmIdentities>;

}  // namespace notp::bench
