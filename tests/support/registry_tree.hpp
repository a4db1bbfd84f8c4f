// A registry's tree of decision logs in memory, and the receipts that it gives.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "common/crypto/x509.hpp"
#include "notp-client/spool/receipt_book.hpp"
#include "protocol/record/tree.hpp"
#include "protocol/record/tree_entry.hpp"

namespace notp {

class RegistryTree {
 public:
  static constexpr const char* kDomain = "core.internal";
  static constexpr const char* kRegistry = "spiffe://core.internal/registry/main";

  // Its key follows from the seed; another one is another tree.
  explicit RegistryTree(uint8_t seed, std::string node = kRegistry, std::string domain = kDomain)
      : node_(std::move(node)), key_(PrivateKey::from_seed({seed})) {
    const auto tls_key = x509::make_key(x509::KeyType::kP256);
    x509::Draft draft;
    draft.common_name = "registry";
    draft.uris = {node_};
    draft.not_after_ms = 4'000'000'000'000;
    const auto certificate = x509::sign_own(draft, tls_key->get());
    REQUIRE(certificate);
    const auto made = record::sign_announcement(
        {std::move(domain), node_, key_.public_key(), 1'000, std::nullopt, "the registry's tree"},
        {{*x509::der_of(certificate->get())},
         [&](ByteView message) { return x509::sign_message(tls_key->get(), message); }});
    REQUIRE(made);
    announcement_ = *made;
  }

  record::LogId id() const { return record::LogId::of(key_.public_key()); }
  const Bytes& announcement() const { return announcement_; }
  const PrivateKey& key() const { return key_; }
  uint64_t size() const { return leaves_.size(); }

  // Appends the checkpoint of a node's log; returns its index.
  uint64_t add(const record::LogId& log, uint64_t log_size, const Hash& root, TimeMs time_ms = 7,
               uint64_t dropped = 0) {
    record::TreeEntry entry;
    entry.kind = record::TreeEntryKind::kCheckpoint;
    entry.time_ms = time_ms;
    entry.log = log;
    entry.size = log_size;
    entry.root = root;
    entry.count = dropped;
    leaves_.push_back(record::tree_leaf(record::encode(entry)));
    return leaves_.size() - 1;
  }
  // Appends leaves that are of no matter.
  void add_others(size_t count, std::string_view which = "other") {
    for (size_t i = 0; i < count; ++i)
      leaves_.push_back(sha256(std::string(which) + std::to_string(leaves_.size())));
  }
  // Takes the newest leaves away.
  void shrink(uint64_t size) { leaves_.resize(size); }

  std::string note() const {
    return record::sign_checkpoint({record::log_origin(node_, id()), size(), root(size())}, key_);
  }
  Hash root(uint64_t size) const {
    record::Frontier tree;
    for (uint64_t i = 0; i < size; ++i) tree.append(leaves_[i]);
    return tree.root();
  }
  // Of the leaf at `index`, for a node that keeps the tree of `kept` leaves; 0: none.
  wire::LogReceipt receipt(const record::LogId& log, uint64_t log_size, uint64_t index,
                           uint64_t kept) const {
    wire::LogReceipt out;
    out.log = log;
    out.size = log_size;
    out.index = index;
    out.time_ms = 7;
    out.checkpoint = note();
    out.inclusion = record::inclusion_proof(index, leaves_);
    if (kept == 0)
      out.announcement = announcement_;
    else
      out.consistency =
          record::consistency_proof(kept, size(), [&](uint64_t first, uint64_t count) {
            record::Frontier tree;
            for (uint64_t i = first; i < first + count; ++i) tree.append(leaves_[i]);
            return Result<Hash>(tree.root());
          }).value();
    return out;
  }

 private:
  const std::string node_;
  const PrivateKey key_;
  Bytes announcement_;
  std::vector<Hash> leaves_;
};

inline spool::ReceiptPeer registry_peer() {
  return {RegistryTree::kRegistry, RegistryTree::kDomain};
}

}  // namespace notp
