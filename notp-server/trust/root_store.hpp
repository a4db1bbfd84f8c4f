// The chain of roots that this registry serves, with all versions. protocol/trust/README.md,
// "Root".
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/atomic_shared.hpp"
#include "common/mutex.hpp"
#include "common/result.hpp"
#include "protocol/session/ports.hpp"
#include "protocol/trust/statements.hpp"

namespace notp::trust {

// <folder>/<version>.envelope, one file for each root, without gaps. A root is durable before it is
// current, and is never changed or removed. Thread-safe; current(), newest() and after() answer
// from memory, the others block on the disk.
class RootStore {
 public:
  // Opens the chain in `folder`, which is created if missing, and verifies all of it: the first
  // root as a pinned one, each later one by its predecessor. Then `configured`, the file that the
  // configuration names, is adopted as by adopt(); in an empty folder it becomes the first of the
  // chain. kCorrupt names the file that is damaged or missing.
  static Result<std::unique_ptr<RootStore>> open(std::filesystem::path folder,
                                                 const std::filesystem::path& configured,
                                                 std::string trust_domain, TimeMs now_ms);

  // Returns the root that would be the newest after open(), with its errors. Read-only.
  static Result<std::shared_ptr<const Root>> look(const std::filesystem::path& folder,
                                                  const std::filesystem::path& configured,
                                                  std::string trust_domain, TimeMs now_ms);

  // The newest root; never null. It may have expired: only verification checks that.
  std::shared_ptr<const Root> current() const { return current_.get(); }
  uint64_t newest() const {  // 0: none yet, before open() has returned
    const auto root = current();
    return root ? root->version : 0;
  }
  // The roots above `version`, oldest first, at most kRootStepsMax.
  std::vector<session::CatalogRoot> after(uint64_t version) const;

  // Verifies the successor of the current root, stores it and makes it current. The envelope of a
  // root that is already in the chain is accepted again. Errors as of verify_update(); kExpired
  // when it has already expired; kIo.
  Result<std::shared_ptr<const Root>> publish(ByteView envelope, TimeMs now_ms);

  // Takes the root in a file: either already in the chain, or the successor of the current one,
  // which is then published. Returns whether the chain grew. kConfig when it is older than the
  // chain or more than one step ahead of it, kRootInvalid when the chain has another root of that
  // version.
  Result<bool> adopt(const std::filesystem::path& file, TimeMs now_ms);

 private:
  RootStore(std::filesystem::path folder, std::string trust_domain)
      : folder_(std::move(folder)), trust_domain_(std::move(trust_domain)) {}

  std::filesystem::path file_of(uint64_t version) const;
  Result<void> load(TimeMs now_ms);
  Result<bool> is_next(ByteView envelope, const std::string& where) const;
  Result<void> pin(Bytes envelope, const std::filesystem::path& file);
  // Under writing_.
  Result<std::shared_ptr<const Root>> append(ByteView envelope, TimeMs now_ms);
  // Whether the chain holds this very root; kRootInvalid when it holds another of its version.
  Result<bool> holds(uint64_t version, ByteView envelope) const;
  void remember(std::shared_ptr<const Root> root, Bytes envelope);

  const std::filesystem::path folder_;
  const std::string trust_domain_;

  Mutex writing_;  // one publish at a time
  mutable Mutex mutex_ NOTP_ACQUIRED_AFTER(writing_);
  std::map<uint64_t, session::CatalogRoot> chain_ NOTP_GUARDED_BY(mutex_);
  AtomicShared<Root> current_{nullptr};
};

}  // namespace notp::trust
