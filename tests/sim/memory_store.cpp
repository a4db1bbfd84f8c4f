#include "tests/sim/memory_store.hpp"

#include <algorithm>

#include "common/limits.hpp"

namespace notp::sim {

Result<model::TreePtr> MemoryStore::tree(const model::LedgerId& ledger, uint64_t version) {
  const auto found = current_.trees.find({ledger, version});
  if (found == current_.trees.end()) return fail(ErrorCode::kNotFound, "not kept");
  return found->second;
}

Result<model::Content> MemoryStore::blob(const Hash& hash) {
  const auto found = current_.blobs.find(hash);
  if (found == current_.blobs.end()) return fail(ErrorCode::kNotFound, "no such blob");
  if (found->second.is_damaged) return fail(ErrorCode::kCorrupt, "a damaged blob");
  return found->second.content;
}

Result<std::vector<Hash>> MemoryStore::damaged(const model::LedgerId& ledger, uint64_t version) {
  NOTP_ASSIGN(const model::TreePtr tree, this->tree(ledger, version));
  std::vector<Hash> damaged;
  for (const auto& [path, file] : tree->files()) {
    if (!blob(file.hash) && std::ranges::find(damaged, file.hash) == damaged.end())
      damaged.push_back(file.hash);
  }
  return damaged;
}

store::StoredRelease* MemoryStore::find(const model::LedgerId& ledger, uint64_t version) {
  auto& releases = current_.state.ledgers[ledger].releases;
  const auto found = std::ranges::find(releases, version, store::version_of);
  return found == releases.end() ? nullptr : &*found;
}

void MemoryStore::sync() {
  ++writes_;
  durable_.state = current_.state;
  durable_.attestations = current_.attestations;
  if (!std::exchange(content_differs_, false)) return;
  durable_.trees = current_.trees;
  durable_.blobs = current_.blobs;
}

Result<void> MemoryStore::install(const store::InstallRecord& record) {
  ++writes_;
  ++release_changes_;
  content_differs_ = true;
  store::StoredLedger& ledger = current_.state.ledgers[record.ref.ledger];
  if (record.confirmed)
    if (store::StoredRelease* release = find(record.ref.ledger, *record.confirmed))
      release->confirmed = true;
  ledger.floor = trust::floor_of(record.ref);
  store::StoredRelease stored{.ref = record.ref,
                              .envelope = record.envelope.bytes(),  // as on a disk: not read
                              .confirmed = false,
                              .quarantined = false,
                              .error = {},
                              .stored_ms = record.now_ms,
                              .has_gate = record.has_gate};
  // As in SqliteStore: a release that is installed again does not become fresher.
  if (const store::StoredRelease* old = find(record.ref.ledger, record.ref.version);
      old && old->ref.release_hash == record.ref.release_hash) {
    stored.confirmed = old->confirmed;
    stored.quarantined = old->quarantined;
    stored.error = old->error;
    stored.held = old->held;
    stored.released = old->released;
    stored.stored_ms = old->stored_ms;
  }
  std::erase_if(ledger.releases,
                [&](const store::StoredRelease& r) { return r.ref.version == record.ref.version; });
  ledger.releases.insert(ledger.releases.begin(), std::move(stored));
  current_.trees[{record.ref.ledger, record.ref.version}] = record.tree;
  for (const auto& [hash, content] : record.new_blobs)
    current_.blobs[hash] = {content, model::blob_hash(*content) != hash};
  std::erase_if(ledger.releases, [&](const store::StoredRelease& r) {
    const bool is_dropped =
        r.ref.version != record.ref.version && !record.kept_versions.contains(r.ref.version);
    if (is_dropped) current_.trees.erase({record.ref.ledger, r.ref.version});
    return is_dropped;
  });
  return keep_time({record.now_ms, 0});
}

Result<void> MemoryStore::quarantine(const model::LedgerId& ledger, uint64_t version,
                                     const Error& error) {
  ++writes_;
  if (store::StoredRelease* release = find(ledger, version)) {
    release->quarantined = true;
    release->held = error.code == ErrorCode::kGateHeld;
    release->error = error.message;
  }
  return {};
}

Result<void> MemoryStore::release(const model::LedgerId& ledger, uint64_t version) {
  ++writes_;
  if (store::StoredRelease* release = find(ledger, version)) {
    release->released = true;
    if (!std::exchange(release->held, false)) return {};
    release->quarantined = false;
    release->error.clear();
  }
  return {};
}

Result<void> MemoryStore::confirm(const model::LedgerId& ledger, uint64_t version) {
  ++writes_;
  if (store::StoredRelease* release = find(ledger, version)) release->confirmed = true;
  return {};
}

Result<void> MemoryStore::pin_root(const store::StoredRoot& root, bool freshness_key_changed) {
  ++writes_;
  store::StoreState& state = current_.state;
  if (!state.root_chain.empty() && state.root_chain.back().version >= root.version) return {};
  state.root_chain.push_back(root);
  if (!freshness_key_changed) return {};
  state.freshness_sequence = 0;
  state.assignment.clear();
  for (auto& [ledger, stored] : state.ledgers) stored.listed = {};
  return {};
}

bool MemoryStore::is_stored(const model::LedgerId& ledger, const Hash& release) const {
  const auto stored = current_.state.ledgers.find(ledger);
  return stored != current_.state.ledgers.end() &&
         std::ranges::any_of(stored->second.releases, [&](const store::StoredRelease& r) {
           return r.ref.release_hash == release;
         });
}

Result<void> MemoryStore::keep_freshness(const store::FreshnessKeep& keep) {
  ++writes_;
  store::StoreState& state = current_.state;
  if (!state.statements.empty())
    for (const auto& parted : keep.parted)
      current_.attestations[parted] = state.statements.back().envelope;
  std::erase_if(current_.attestations, [&](const auto& attestation) {
    return !is_stored(attestation.first.first, attestation.first.second);
  });
  std::erase_if(state.statements, [&](const store::StoredStatement& statement) {
    return std::ranges::none_of(current_.attestations, [&](const auto& attestation) {
      return attestation.second == statement.envelope;
    });
  });
  state.statements.push_back({keep.envelope, keep.clock.wall_ms});
  state.freshness_sequence = keep.sequence;
  for (const auto& [ledger, listed] : keep.listed) state.ledgers[ledger].listed = listed;
  if (keep.sets_clock_back) state.clock.wall_ms = 0;
  return keep_time(keep.clock);
}

Result<void> MemoryStore::keep_assignment(uint64_t, ByteView envelope) {
  ++writes_;
  current_.state.assignment = envelope;
  return {};
}

Result<void> MemoryStore::keep_time(const trust::ClockMarks& marks) {
  ++writes_;
  trust::ClockMarks& kept = current_.state.clock;
  kept = {std::max(kept.wall_ms, marks.wall_ms), std::max(kept.signed_ms, marks.signed_ms)};
  return {};
}

Result<void> MemoryStore::reset_clock(TimeMs wall_ms) {
  ++writes_;
  store::StoreState& state = current_.state;
  state.clock.wall_ms = wall_ms;
  for (store::StoredStatement& statement : state.statements)
    statement.accepted_ms = std::min(statement.accepted_ms, wall_ms);
  for (auto& [ledger, stored] : state.ledgers)
    for (store::StoredRelease& release : stored.releases)
      release.stored_ms = std::min(release.stored_ms, wall_ms);
  return {};
}

Result<void> MemoryStore::drop(const model::LedgerId& ledger) {
  ++writes_;
  ++release_changes_;
  current_.state.ledgers[ledger].releases.clear();
  return {};
}

bool MemoryStore::damage(Random& random) {
  ++writes_;
  std::vector<Hash> contents;
  for (const auto& [ledger, stored] : current_.state.ledgers) {
    if (stored.releases.empty()) continue;
    const model::TreePtr& tree = current_.trees.at({ledger, stored.releases.front().ref.version});
    for (const auto& [path, file] : tree->files())
      if (file.bytes > 0) contents.push_back(file.hash);
  }
  if (contents.empty()) return false;
  const Hash& hit = contents[random.below(contents.size())];
  Blob& blob = current_.blobs.at(hit);
  Bytes bytes = *blob.content;
  bytes[random.below(bytes.size())] ^= static_cast<char>(1 + random.below(255));
  blob.is_damaged = model::blob_hash(bytes) != hit;
  blob.content = std::make_shared<const Bytes>(std::move(bytes));
  if (durable_.blobs.contains(hit)) durable_.blobs[hit] = blob;
  return true;
}

Result<void> MemoryStore::read_all(const model::LedgerId& ledger, uint64_t version) {
  NOTP_ASSIGN(const model::TreePtr tree, this->tree(ledger, version));
  for (const auto& [path, file] : tree->files()) NOTP_TRY(blob(file.hash));
  return {};
}

void MemoryStore::crash(Random& random) {
  ++writes_;
  ++release_changes_;
  if (random.below(2) == 0) sync();
  current_ = durable_;
  content_differs_ = false;
}

}  // namespace notp::sim
