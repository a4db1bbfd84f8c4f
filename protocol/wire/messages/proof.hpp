// Requests about the registry's tree: what an auditor needs to hold the registry to its word.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/record/segment.hpp"
#include "protocol/wire/request_traits.hpp"

namespace notp::wire {

struct TreePart {
  static constexpr std::string_view kName = "TreePart";

  Bytes announcement;          // as verify_announcement() reads it
  std::string checkpoint;      // the newest note, with the cosignatures that it has
  uint64_t size = 0;           // of that checkpoint
  uint64_t first = 0;          // index of the first entry
  std::vector<Bytes> entries;  // as many as fit a frame: the reader asks on from first + entries
};

struct TreeRequest {
  static constexpr std::string_view kName = "TreeRequest";
  static constexpr std::optional<Action> kAction = Action::kAudit;
  static constexpr RequestKind kKind = RequestKind::kAudit;
  using Response = TreePart;

  uint64_t from = 0;  // index of the first entry; from the size on: the checkpoint alone
};

// A node that has cosigned, with the announcement of its log, which has the key.
struct Cosigner {
  std::string node;  // identity
  Bytes announcement;
};

struct RecordProof {
  static constexpr std::string_view kName = "RecordProof";

  record::Position first = 0;  // of the segment that holds the record
  Bytes before;                // record::Frontier of the log at `first`
  uint64_t index = 0;          // of the leaf of the checkpoint that ends the segment
  std::vector<Hash> inclusion;
  std::string checkpoint;  // note of the registry's tree, with the cosignatures that it has
  Bytes announcement;      // of the registry's tree
  Bytes entry;             // the leaf: record::TreeEntry
  Bytes log_announcement;  // of the node's log
  std::vector<Cosigner> cosigners;
};

// kNotFound: no such record, or its checkpoint is not in the tree yet.
struct ProofRequest {
  static constexpr std::string_view kName = "ProofRequest";
  static constexpr std::optional<Action> kAction = Action::kAudit;
  static constexpr RequestKind kKind = RequestKind::kAudit;
  using Response = RecordProof;

  record::LogId log;
  record::Position position = 0;
};

}  // namespace notp::wire
