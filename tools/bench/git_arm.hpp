// The control "git fetch": a stock git daemon and a stock client that is at the release before.
#pragma once

#include <filesystem>
#include <memory>

#include "tools/bench/counting_proxy.hpp"
#include "tools/bench/history.hpp"

namespace notp::bench {

class GitArm {
 public:
  // A server that repacks after each release. With a bitmap it sends whole blobs out of its pack;
  // without one it looks for thin deltas: which costs less depends on the change, so both are
  // measured. `folder` is new and the arm's own.
  static Result<std::unique_ptr<GitArm>> start(CountingProxy& proxy,
                                               const std::filesystem::path& repository,
                                               const std::filesystem::path& folder, bool bitmaps);

  // The server gets the commit as its main branch; the client fetches it, or clones the first one.
  Result<Traffic> update(const TaggedCommit& commit);

  // The two steps of it for a client of its own: a bare clone into a new folder.
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
