// The control "git fetch": a stock git daemon, and a stock client at the previous release.
#pragma once

#include <filesystem>
#include <memory>

#include "tools/bench/counting_proxy.hpp"
#include "tools/bench/history.hpp"

namespace notp::bench {

class GitArm {
 public:
  // The server repacks after each release. With a bitmap it sends whole blobs from its pack;
  // without one it looks for thin deltas: which is cheaper depends on the change, so both are
  // measured. `folder` is new and used by this arm only.
  static Result<std::unique_ptr<GitArm>> start(CountingProxy& proxy,
                                               const std::filesystem::path& repository,
                                               const std::filesystem::path& folder, bool bitmaps);

  // The commit becomes the server's main branch; the client fetches it, or clones the first one.
  Result<Traffic> update(const TaggedCommit& commit);

  // The two steps for a separate client: a bare clone into a new folder.
  Result<void> serve(const TaggedCommit& commit) const;
  Result<Traffic> clone(const std::filesystem::path& folder);

 private:
  GitArm(std::filesystem::path repository, std::filesystem::path folder, bool bitmaps)
      : repository_(std::move(repository)), folder_(std::move(folder)), bitmaps_(bitmaps) {}
  std::string url() const;

  const std::filesystem::path repository_, folder_;
  const bool bitmaps_;
  Route* route_ = nullptr;
  bool cloned_ = false;
};

}  // namespace notp::bench
