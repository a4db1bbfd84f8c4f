// The control "bundle": the whole model as one tar.gz over plain HTTP, as a bundle server sends it.
#pragma once

#include <filesystem>
#include <memory>

#include "common/atomic_shared.hpp"
#include "common/bytes.hpp"
#include "common/http/server.hpp"
#include "tools/bench/counting_proxy.hpp"
#include "tools/bench/history.hpp"

namespace notp::bench {

class BundleArm {
 public:
  // `folder` exists and receives one file.
  static Result<std::unique_ptr<BundleArm>> start(CountingProxy& proxy,
                                                  const std::filesystem::path& repository,
                                                  const std::filesystem::path& folder);
  // One GET of the tree at that commit.
  Result<Traffic> update(const TaggedCommit& commit);

 private:
  BundleArm(std::filesystem::path repository, std::filesystem::path file)
      : repository_(std::move(repository)), file_(std::move(file)) {}

  const std::filesystem::path repository_, file_;
  AtomicShared<Bytes> bundle_{std::make_shared<const Bytes>()};
  std::unique_ptr<http::Server> server_;
  Route* route_ = nullptr;
};

}  // namespace notp::bench
