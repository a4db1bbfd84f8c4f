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
  struct Plan {
    std::filesystem::path pki;  // has ca.crt, which the registry chains to, too, and ca.key
    std::string trust_domain;
    std::string prefix;  // of the nodes' names: "spiffe://<domain>/node/<prefix>-<number>"
    size_t count = 1;
    size_t threads = 1;
  };
  // Takes some 0.5 ms and 60 KB for each. kConfig.
  static Result<std::shared_ptr<const SwarmIdentities>> make(const Plan& plan);

  size_t size() const { return contexts_.size(); }
  const std::string& trust_domain() const { return trust_domain_; }
  // Counted round.
  const std::shared_ptr<const transport::TlsContext>& context(size_t number) const {
    return contexts_[number % contexts_.size()];
  }
  // The identity's URI.
  std::string name(size_t number) const;

 private:
  SwarmIdentities(std::string trust_domain, size_t count)
      : trust_domain_(std::move(trust_domain)), contexts_(count) {}

  std::string trust_domain_;
  std::vector<std::shared_ptr<const transport::TlsContext>> contexts_;
};
using SwarmIdentitiesPtr = std::shared_ptr<const SwarmIdentities>;

}  // namespace notp::bench
