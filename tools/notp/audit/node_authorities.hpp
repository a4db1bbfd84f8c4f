// The authorities that an auditor holds to have issued the certificates of nodes.
#pragma once

#include <filesystem>
#include <memory>

#include "common/bytes.hpp"

namespace notp::cli {

// One thread.
class NodeAuthorities {
 public:
  // PEM, one certificate or more. kConfig names the file.
  static Result<NodeAuthorities> read(const std::filesystem::path& path);

  // Whether the certificate that an announcement is signed with chains to one of them. Dates are
  // not looked at: a log outlives its node's certificate. kMessage, kCertificateUntrusted.
  Result<void> check(ByteView announcement) const;

  ~NodeAuthorities();
  NodeAuthorities(NodeAuthorities&&) noexcept;
  NodeAuthorities& operator=(NodeAuthorities&&) noexcept;

 private:
  struct Store;
  explicit NodeAuthorities(std::unique_ptr<Store> store);
  std::unique_ptr<Store> store_;
};

}  // namespace notp::cli
