// Recomputes the registry's tree from its entries, and says what it has of each log: with it,
// `notp decisions verify` tells what was deleted by rule from what is missing.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocol/record/announcement.hpp"
#include "protocol/record/checkpoint.hpp"
#include "protocol/record/tree.hpp"
#include "protocol/record/tree_entry.hpp"
#include "protocol/wire/messages/proof.hpp"
#include "tools/notp/audit/node_authorities.hpp"

namespace notp::cli {

// Records that a statement in the tree says are gone.
struct DeletionFound {
  uint64_t index = 0;  // of the leaf
  record::TreeEntry entry;
};

struct CheckpointInTree {
  Hash root;
  uint64_t dropped = 0;  // records of its segment, if that came without a body
};

// What the tree says of one log.
struct LogInTree {
  std::map<uint64_t, CheckpointInTree> checkpoints;  // by size
  // Deletions and erasures, in order, by the first position of the segment that each is about.
  std::map<record::Position, std::vector<DeletionFound>> deletions;

  // The leaf that says that the record at `position`, whose hash is `leaf`, is gone; null: none
  // does. `leaf` nullopt: only that of a larger part of the tree is known.
  const DeletionFound* deletion_of(record::Position position,
                                   const std::optional<Hash>& leaf) const;
};

struct TreeReport {
  std::string origin;
  uint64_t size = 0;
  Hash root;
  uint64_t verified = 0;             // leaves that were read
  std::vector<std::string> signers;  // names of the cosigners of the newest checkpoint
  std::optional<Error> problem;      // the first one; nothing after it was looked at
};

// The caller fetches the part from wanted() on and gives it to take(), until there is none. Pure.
class TreeVerifier {
 public:
  // `kept`: a checkpoint of the tree that the caller has from before: it must be one that the tree
  // went through. nullopt: none.
  explicit TreeVerifier(std::string trust_domain, const NodeAuthorities* authorities = nullptr,
                        std::optional<record::Checkpoint> kept = std::nullopt);

  std::optional<uint64_t> wanted() const;
  void take(const wire::TreePart& part);
  // After wanted() has said nullopt.
  const TreeReport& report() const { return report_; }
  // The note that the tree was recomputed up to: to be kept for the next time.
  const std::string& note() const { return note_; }
  const std::map<record::LogId, LogInTree>& logs() const { return logs_; }

 private:
  Result<void> check_start(const wire::TreePart& part);
  Result<void> check_end();
  Result<void> take_entry(uint64_t index, ByteView bytes);

  const std::string trust_domain_;
  const NodeAuthorities* const authorities_;
  const std::optional<record::Checkpoint> kept_;
  TreeReport report_;
  std::string note_;  // of the first part
  record::Frontier tree_;
  bool is_started_ = false;
  std::map<record::LogId, LogInTree> logs_;
};

}  // namespace notp::cli
