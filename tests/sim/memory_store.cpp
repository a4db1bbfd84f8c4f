#include "tests/sim/memory_store.hpp"

#include <algorithm>

#include "common/limits.hpp"

namespace notp::sim {

Result<TreePtr> MemoryStore::tree(const LedgerId& ledger, uint64_t version) {
  const auto found = current_.trees.find({ledger, version});
  if (found == current_.trees.end()) return fail(ErrorCode::kNotFound, "not kept");
  return found->second;
}

Result<Content> MemoryStore::blob(const Hash& hash) {
  const auto found = current_.blobs.find(hash);
  if (found == current_.blobs.end()) return fail(ErrorCode::kNotFound, "no such blob");
  return found->second;
}

StoredRelease* MemoryStore::find(const LedgerId& ledger, uint64_t version) {
  auto& releases = current_.state.ledgers[ledger].releases;
  const auto found = std::ranges::find(releases, version, &StoredRelease::version);
  return found == releases.end() ? nullptr : &*found;
}

Result<void> MemoryStore::swap(const Swap& swap) {
  StoredLedger& ledger = current_.state.ledgers[swap.ledger];
  if (swap.confirmed)
    if (StoredRelease* release = find(swap.ledger, *swap.confirmed)) release->confirmed = true;
  ledger.floor = {swap.release.epoch, swap.release.version, swap.hash};
  std::erase_if(ledger.releases,
                [&](const StoredRelease& r) { return r.version == swap.release.version; });
  ledger.releases.insert(ledger.releases.begin(),
                         StoredRelease{.ledger = swap.ledger,
                                       .version = swap.release.version,
                                       .epoch = swap.release.epoch,
                                       .release = swap.hash,
                                       .content_root = swap.release.content_root,
                                       .envelope = swap.envelope,
                                       .confirmed = false,
                                       .quarantined = false,
                                       .error = {},
                                       .stored_ms = swap.now_ms});
  current_.trees[{swap.ledger, swap.release.version}] = swap.tree;
  for (const auto& [hash, content] : swap.new_blobs) current_.blobs[hash] = content;
  trim(swap.ledger);
  return {};
}

void MemoryStore::trim(const LedgerId& ledger) {
  auto& releases = current_.state.ledgers[ledger].releases;
  const auto last_good = std::ranges::find_if(
      releases, [](const StoredRelease& r) { return r.confirmed && !r.quarantined; });
  const uint64_t keep = last_good == releases.end() ? 0 : last_good->version;
  for (size_t i = releases.size(); i-- > limits::kReleasesKept;) {
    if (releases[i].version == keep) continue;
    current_.trees.erase({ledger, releases[i].version});
    releases.erase(releases.begin() + static_cast<ptrdiff_t>(i));
  }
}

Result<void> MemoryStore::quarantine(const LedgerId& ledger, uint64_t version, const Error& error) {
  if (StoredRelease* release = find(ledger, version)) {
    release->quarantined = true;
    release->error = error.message;
  }
  return {};
}

Result<void> MemoryStore::confirm(const LedgerId& ledger, uint64_t version) {
  if (StoredRelease* release = find(ledger, version)) release->confirmed = true;
  return {};
}

Result<void> MemoryStore::pin_root(uint64_t version, ByteView envelope) {
  current_.state.root_version = version;
  current_.state.root_envelope = envelope;
  return {};
}

Result<void> MemoryStore::drop(const LedgerId& ledger) {
  current_.state.ledgers[ledger].releases.clear();
  return {};
}

void MemoryStore::crash(Random& random) {
  if (random.below(2) == 0) durable_ = current_;
  current_ = durable_;
}

}  // namespace notp::sim
