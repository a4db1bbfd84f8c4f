// A registry's tree in memory, for the tests of proofs: honest, or changed by the test.
#pragma once

#include "protocol/record/tlog_proof.hpp"
#include "protocol/record/tree_entry.hpp"
#include "tests/support/signed_log.hpp"
#include "tools/notp/audit/proof_port.hpp"

namespace notp::cli {

inline constexpr std::string_view kRegistryId = "spiffe://core.internal/registry/main";
inline constexpr TimeMs kTakenMs = kStartNs / 1'000'000;

class SignedTree final : public ProofPort {
 public:
  explicit SignedTree(const pki::Credential* authority = nullptr)
      : key_(PrivateKey::from_seed({77})),
        announcement_(announce(std::string(kRegistryId), key_.public_key(), authority)) {}

  // Takes the checkpoint of a segment of the log.
  void take(const SignedLog& log, size_t segment, bool with_body = true) {
    const record::SegmentHead& head = log.segments_[segment].head;
    const auto checkpoint = record::parse_checkpoint(head.checkpoint);
    REQUIRE(checkpoint);
    record::TreeEntry entry;
    entry.time_ms = kTakenMs;
    entry.log = log.id();
    entry.size = checkpoint->size;
    entry.root = checkpoint->root;
    entry.count = with_body ? 0 : head.count;
    add(entry);
  }
  void add(const record::TreeEntry& entry) { entries.push_back(record::encode(entry)); }

  std::string origin() const {
    return record::log_origin(kRegistryId, record::LogId::of(key_.public_key()));
  }
  record::Checkpoint checkpoint() const {
    record::Frontier tree;
    for (const Bytes& entry : entries) tree.append(record::tree_leaf(entry));
    return {origin(), tree.size(), tree.root()};
  }
  std::string note() const {
    std::string note = record::sign_checkpoint(checkpoint(), key_);
    for (const SignedLog* each : witnesses) {
      const auto signature = record::cosign(note, kTakenMs / 1'000, each->key());
      note = *record::add_cosignature(
          note, {record::log_origin(each->node(), each->id()), kTakenMs / 1'000, *signature},
          each->key().public_key());
    }
    return note;
  }
  const PublicKey& key() const { return public_key_; }
  const Bytes& announcement() const { return announcement_; }

  Result<wire::TreePart> ask(const wire::TreeRequest& request) override {
    wire::TreePart part{announcement_, note(), entries.size(), request.from, {}};
    for (size_t i = request.from; i < entries.size() && part.entries.size() < page_entries; ++i)
      part.entries.push_back(entries[i]);
    return part;
  }
  Result<wire::RecordProof> ask(const wire::ProofRequest& request) override {
    for (const SignedLog* log : logs) {
      if (log->id() != request.log) continue;
      for (const record::Segment& segment : log->segments_)
        if (request.position >= segment.head.first && request.position < segment.head.end())
          return prove(*log, segment);
    }
    return fail(ErrorCode::kNotFound, "no such record");
  }
  Result<wire::RootsPage> ask(const wire::RootsRequest&) override { return wire::RootsPage{}; }
  Result<wire::HistoryPage> ask(const wire::HistoryRequest&) override {
    return fail(ErrorCode::kNotFound, "no such ledger");
  }

  std::vector<Bytes> entries;
  std::vector<const SignedLog*> logs, witnesses;
  size_t page_entries = 3;

 private:
  Result<wire::RecordProof> prove(const SignedLog& log, const record::Segment& segment) const {
    wire::RecordProof out;
    out.first = segment.head.first;
    record::Frontier before;
    for (size_t i = 0; i < segment.head.first; ++i) before.append(log.leaves()[i]);
    out.before = before.encode();
    std::vector<Hash> leaves;
    std::optional<size_t> index;
    for (size_t i = 0; i < entries.size(); ++i) {
      leaves.push_back(record::tree_leaf(entries[i]));
      const auto entry = record::decode_tree_entry(entries[i]);
      if (entry && entry->kind == record::TreeEntryKind::kCheckpoint && entry->log == log.id() &&
          entry->size == segment.head.end())
        index = i;
    }
    if (!index) return fail(ErrorCode::kNotFound, "not in the tree yet");
    out.index = *index;
    out.inclusion = record::inclusion_proof(*index, leaves);
    out.checkpoint = note();
    out.announcement = announcement_;
    out.entry = entries[*index];
    out.log_announcement = log.row().announcement;
    for (const SignedLog* each : witnesses)
      out.cosigners.push_back({each->node(), each->row().announcement});
    return out;
  }

  const PrivateKey key_;
  const PublicKey public_key_ = key_.public_key();
  const Bytes announcement_;
};

}  // namespace notp::cli
