// Reads the spool of a stopped agent: describes it, or verifies every record. Nothing of that
// changes it; accept_registry_tree() does.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "protocol/record/record.hpp"

namespace notp::spool {

// A report names no more; the rest is counted.
inline constexpr size_t kFaultsNamedMax = 100;
inline constexpr size_t kGapsNamedMax = 1'000;

struct SpoolFault {
  record::Position position = 0;  // of the first record that it concerns
  std::string problem;
};

struct SpoolGap {
  record::Position position = 0;
  int64_t time_ns = 0;
  record::Gap gap;
};

// What is kept of the registry's tree.
struct SpoolTree {
  std::string registry;  // SPIFFE id; empty: no receipt was verified yet
  record::LogId tree;
  uint64_t size = 0;                      // of the checkpoint that is kept
  record::Position witnessed = 0;         // records of this log below it have a receipt
  TimeMs at_ms = 0;                       // wall time of the last receipt
  std::string refused;                    // why a tree was refused; empty: none was
  record::LogId refused_tree;             // which one
  std::optional<record::LogId> accepted;  // by a person; its next checkpoint is awaited
};

struct SpoolReport {
  record::LogId log;
  std::string node, trust_domain;
  std::optional<record::LogId> previous;
  std::string reason;  // why the log was begun
  bool is_announced = false;
  uint32_t run = 0;
  record::Position first = 0;  // of the oldest record that is kept
  record::Position sealed = 0, acknowledged = 0;
  record::Position next = 0;  // behind the ring
  uint64_t segments = 0, body_bytes = 0, content_bytes = 0;
  uint64_t bodies_dropped = 0, records_dropped = 0;  // of them the hashes are left
  uint64_t ring_bytes = 0, ring_capacity = 0;
  TimeMs oldest_ms = 0, newest_ms = 0;  // wall time of segments; 0: there is none
  std::optional<SpoolTree> tree;        // nullopt: there is nothing to say of one
  // --- of verify_spool() alone
  std::array<uint64_t, 6> kinds{};  // records, by record::Kind
  std::array<uint64_t, record::kOutcomes> outcomes{};
  std::vector<SpoolFault> faults;
  std::vector<SpoolGap> gaps;
  uint64_t fault_count = 0, gap_count = 0;
};

// kNotFound: there is no spool. kConflict: an agent uses it. kConfig: it is of another version of
// this program. kCorrupt: its state cannot be read. kIo.
Result<SpoolReport> describe_spool(const std::filesystem::path& folder);

// Says that the next checkpoint of a tree that was refused is to be taken as the first, and keeps
// what was known so far. kNotFound: that tree was not met here; the others of describe_spool().
Result<SpoolTree> accept_registry_tree(const std::filesystem::path& folder,
                                       const record::LogId& tree);

// Recomputes every leaf of the kept segments against their signed checkpoints, and reads the ring.
// Damage is in the report. kNotFound, kConflict, kConfig, kIo.
Result<SpoolReport> verify_spool(const std::filesystem::path& folder);

}  // namespace notp::spool
