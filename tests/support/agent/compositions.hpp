// Builds active sets from texts, for tests of PDPs.
#pragma once

#include <fmt/format.h>

#include <map>
#include <stdexcept>
#include <string>

#include "notp-client/pdp/pdp.hpp"

namespace notp {

struct TestLedger {
  std::string name;
  uint64_t version = 1;
  std::vector<std::string> roots;
  std::map<std::string, Bytes> files;
};

struct TestComposition {
  pdp::ActiveSetPtr active_set;
  model::BlobLoader load;
};

inline TestComposition compose(const std::vector<TestLedger>& ledgers) {
  auto active_set = std::make_shared<pdp::ActiveSet>();
  model::BlobMap blobs;
  for (const TestLedger& ledger : ledgers) {
    model::Files files;
    for (const auto& [path, content] : ledger.files) {
      const Hash hash = model::blob_hash(content);
      files[path] = {hash, content.size()};
      blobs[hash] = std::make_shared<const Bytes>(content);
    }
    auto tree = model::Tree::make(std::move(files));
    if (!tree) throw std::invalid_argument(tree.error().message);
    pdp::ActiveRelease release;
    release.ref.version = ledger.version;
    release.ref.epoch = 1;
    release.tree = std::make_shared<const model::Tree>(*std::move(tree));
    release.ref.content_root = release.tree->content_root();
    release.ref.release_hash = sha256(
        fmt::format("{}@{}:{}", ledger.name, ledger.version, release.ref.content_root.hex()));
    release.data_roots = ledger.roots;
    active_set->ledgers[{100'000'000'000, ledger.name}] = std::move(release);
  }
  return {active_set, [blobs = std::move(blobs)](const Hash& hash) -> Result<model::Content> {
            const auto found = blobs.find(hash);
            if (found == blobs.end()) return fail(ErrorCode::kNotFound, hash.brief());
            return found->second;
          }};
}

inline constexpr TimeMs kTestNowMs = 1'800'000'000'000;

// The status at kTestNowMs, by the terms "fresh for 300 s, at most an hour".
inline trust::FreshnessStatus status_at_age(int64_t age_s,
                                            trust::OnHard on_hard = trust::OnHard::kDeny) {
  trust::FreshnessStatus status{.vouched_ms = kTestNowMs - age_s * 1000,
                                .terms = {.fresh_s = 300, .hard_s = 3'600, .on_hard = on_hard}};
  status.state = trust::age_of(status.terms, status.vouched_ms, kTestNowMs).state;
  return status;
}

// The same releases, with another status of the ledger `name`.
inline TestComposition with_status(const TestComposition& release, const std::string& name,
                                   const trust::FreshnessStatus& status) {
  auto active_set = std::make_shared<pdp::ActiveSet>(*release.active_set);
  active_set->as_of_ms = kTestNowMs;
  active_set->ledgers.at({100'000'000'000, name}).freshness_status = status;
  return {active_set, release.load};
}

}  // namespace notp
