#include "tests/sim/log_oracle.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "protocol/record/announcement.hpp"

namespace notp::sim {
namespace {

// More cannot be missing after a power cut: positions are given out up to the lease.
constexpr uint64_t kGapCountMax = limits::kRingLease + limits::kRingSyncRecords;

constexpr size_t kLostNamedMax = 3;

std::string place(const record::LogId& log, record::Position position) {
  return fmt::format("position {} of log {}", position, log.hex().substr(0, 12));
}

}  // namespace

// --- logs

void LogOracle::log_begins(size_t node, const LogDisk::Table& table, bool may_drop) {
  Log& log = logs_[table.key.log];
  log.node = node;
  log.previous = table.previous;
  log.reason = table.reason;
  log.may_drop = may_drop;
}

void LogOracle::excuse(const record::LogId& log, record::Position first) {
  for (Decision& decision : decisions_)
    if (decision.log == log && decision.position >= first) decision.may_be_lost = true;
}

void LogOracle::log_destroyed(const record::LogId& id, record::Position stored) {
  Log& log = logs_.at(id);
  log.is_destroyed = true;
  // The registry may have another branch.
  excuse(id, log.is_restored ? 0 : stored);
}

void LogOracle::log_restored(const record::LogId& id, record::Position end) {
  Log& log = logs_.at(id);
  log.is_restored = log.may_be_refused = true;
  // The next runs have the numbers of those that are forgotten.
  log.addresses.clear();
  log.strict.clear();
  excuse(id, end);
}

void LogOracle::registry_restored(const MemoryAuditStore& store) {
  for (auto& [id, log] : logs_) {
    log.may_be_refused = true;
    if (log.is_destroyed) excuse(id, store.durable_size(id));
  }
}

void LogOracle::check_refusal(const record::LogId& id, const std::string& why) {
  const Log& log = logs_.at(id);
  if (!log.may_be_refused)
    world_.violation(log.node,
                     fmt::format("log {} is refused, and nothing was restored: {}", id.hex(), why));
}

// --- decisions

void LogOracle::written(size_t node, const SimLog& log, record::Position position, bool is_strict,
                        spool::ActiveSetPtr active) {
  const record::LogId& id = log.table().key.log;
  Log& known = logs_.at(id);
  if (!known.addresses.insert({log.run(), position}).second)
    world_.violation(node, fmt::format("two decisions have the address of run {}, {}", log.run(),
                                       place(id, position)));
  decisions_.push_back({.node = node,
                        .log = id,
                        .run = log.run(),
                        .position = position,
                        .is_strict = is_strict,
                        .is_answered = !is_strict,
                        .active = std::move(active)});
  if (is_strict)
    known.strict.push_back(decisions_.size());
  else
    ++answered_;
}

void LogOracle::durable(const record::LogId& id, uint32_t run, record::Position end) {
  for (std::vector<uint64_t>& waiting = logs_.at(id).strict; const uint64_t each : waiting) {
    Decision& decision = decisions_[each - 1];
    if (decision.run != run || decision.position >= end) continue;
    decision.is_answered = true;
    ++answered_;
  }
  // Those of an earlier process have no caller any more.
  std::erase_if(logs_.at(id).strict, [&](uint64_t each) {
    return decisions_[each - 1].run != run || decisions_[each - 1].is_answered;
  });
}

// --- the registry

void LogOracle::stored(const audit::StoredSegment& stored, record::Position size_before) {
  const record::SegmentHead& head = stored.segment.head;
  const auto at = logs_.find(head.log);
  if (at == logs_.end())
    return world_.violation(0, "the registry has stored a log that nobody keeps");
  const Log& log = at->second;
  if (head.first != size_before || stored.tree.size() != head.end())
    world_.violation(log.node, fmt::format("the registry has {} records and has stored {} to {}",
                                           size_before, head.first, head.end()));
  if (!log.roots.contains({stored.tree.size(), stored.tree.root()}))
    world_.violation(log.node, fmt::format("the registry has a tree that no node has had, at {}",
                                           place(head.log, head.end())));
  if (stored.node != node_id(log.node))
    world_.violation(log.node, "its log is stored as that of " + stored.node);
  if (stored.segment.body.empty() && !log.may_drop)
    world_.violation(log.node, "a body was dropped of a log that keeps them");
}

void LogOracle::check_arrived(const SimLog& log, size_t node, const MemoryAuditStore& registry) {
  const spool::SealedLog sealed = log.sealed();
  const auto at = registry.image().logs.find(sealed.log);
  if (at == registry.image().logs.end())
    return world_.violation(node, fmt::format("the registry has nothing of log {} of {} records",
                                              sealed.log.hex(), sealed.size));
  const record::Frontier& tree = at->second.state.tree;
  if (log.unsealed() != 0 || tree.size() != sealed.size || log.table().acknowledged != sealed.size)
    return world_.violation(
        node, fmt::format("its log {} ends with {} records sealed, {} unsealed, {} at the "
                          "registry, {} acknowledged",
                          sealed.log.hex(), sealed.size, log.unsealed(), tree.size(),
                          log.table().acknowledged));
  if (tree.root() != sealed.root)
    world_.violation(node, fmt::format("the registry has another branch of log {}, and nobody "
                                       "has noticed",
                                       sealed.log.hex()));
}

struct LogOracle::Walk {
  const record::LogId& id;
  Log& log;
  record::Position next = 0;
  uint32_t run = 0;
  uint64_t last_id = 0;
  bool is_pruned = false;       // records are missing so far
  bool follows_pruned = false;  // the next record is the first one since
  bool has_new_log_gap = false;
  std::map<record::Position, record::ActiveSet> active;
};

void LogOracle::check(const MemoryAuditStore::Image& registry) {
  for (const auto& [id, stored] : registry.logs) {
    const auto at = logs_.find(id);
    if (at == logs_.end()) {
      world_.violation(0, "the registry has a log that nobody keeps");
      continue;
    }
    check_announcement(stored.state, at->second);
    walk(stored, at->second);
  }
  size_t named = 0;
  for (const Decision& decision : decisions_) {
    if (!decision.is_answered || decision.is_found) continue;
    ++lost_;
    if (decision.may_be_lost || is_covered(decision)) continue;
    if (++named > kLostNamedMax) continue;
    world_.violation(decision.node,
                     fmt::format("a {} decision was answered, run {}, {}, and the registry has "
                                 "neither it nor a gap",
                                 decision.is_strict ? "strict" : "batched", decision.run,
                                 place(decision.log, decision.position)));
  }
}

void LogOracle::check_announcement(const audit::StoredLog& stored, const Log& log) {
  // A store that was put back may have segments before the announcement comes again.
  if (stored.announcement.empty()) return;
  const auto read = record::verify_announcement(stored.announcement);
  if (!read || read->node != node_id(log.node) || read->previous != log.previous ||
      read->reason != log.reason)
    world_.violation(log.node, "the registry has an announcement that its node did not make");
}

void LogOracle::walk(const MemoryAuditStore::Log& stored, Log& log) {
  Walk walk{.id = stored.state.log, .log = log};
  for (const auto& segment : stored.segments) walk_segment(walk, segment->segment);
  if (walk.next != stored.state.tree.size())
    world_.violation(log.node, fmt::format("the registry has {} records of a log of {}", walk.next,
                                           stored.state.tree.size()));
  // Only a full spool may drop it.
  if (!log.reason.empty() && walk.next > 0 && !walk.has_new_log_gap && log.pruned.empty())
    world_.violation(log.node, "a log does not say that it follows another one");
}

void LogOracle::walk_segment(Walk& walk, const record::Segment& segment) {
  if (segment.head.first != walk.next)
    world_.violation(walk.log.node, "segments do not follow each other at the registry");
  walk.next = segment.head.end();
  if (segment.body.empty()) {
    walk.is_pruned = walk.follows_pruned = true;
    walk.log.pruned.emplace_back(segment.head.first, segment.head.end());
    walk.log.gaps.push_back({segment.head.first, kGapCountMax, walk.run});
    return;
  }
  const auto opened = record::OpenedSegment::open(segment.head, segment.body);
  if (!opened) return world_.violation(walk.log.node, opened.error().message);
  record::Position position = segment.head.first;
  for (const ByteView bytes : opened->records()) {
    const auto record = record::decode(bytes);
    if (!record) return world_.violation(walk.log.node, record.error().message);
    if (record->place.position != position)
      world_.violation(walk.log.node,
                       fmt::format("a record of another place is at {}", place(walk.id, position)));
    walk_record(walk, *record);
    ++position;
    ++records_;
  }
}

void LogOracle::walk_record(Walk& walk, const record::Record& record) {
  Log& log = walk.log;
  const uint32_t run = record.place.run;
  const bool is_start = record.kind() == record::Kind::kRunStart;
  for (Gap& gap : log.gaps)
    if (gap.next_run == UINT32_MAX && (is_start || walk.follows_pruned)) gap.next_run = run;
  // A start may have been in what was dropped.
  if (std::exchange(walk.follows_pruned, false) && !is_start) walk.run = run;
  if (is_start) {
    if (run <= walk.run)
      world_.violation(log.node, fmt::format("run {} follows run {}, {}", run, walk.run,
                                             place(walk.id, record.place.position)));
    walk.run = run;
  } else if (run != walk.run && !walk.is_pruned && record.kind() != record::Kind::kGap) {
    world_.violation(log.node, fmt::format("a record of run {} is in run {}, {}", run, walk.run,
                                           place(walk.id, record.place.position)));
  }
  if (const auto* active = std::get_if<record::ActiveSet>(&record.content))
    walk.active.emplace(record.place.position, *active);
  if (const auto* decision = std::get_if<record::DecisionContent>(&record.content))
    walk_decision(walk, record, decision->req_id);
  const auto* gap = std::get_if<record::Gap>(&record.content);
  if (gap == nullptr) return;
  if (gap->reason == record::GapReason::kNewLog) {
    walk.has_new_log_gap = true;
    return;
  }
  ++gaps_;
  log.gaps.push_back({record.place.position, gap->count, run});
  if (gap->reason != record::GapReason::kPowerLoss || !gap->at_most || gap->count > kGapCountMax)
    world_.violation(log.node, fmt::format("a gap of {} records at {}: {}", gap->count,
                                           place(walk.id, record.place.position),
                                           record::gap_reason_name(gap->reason)));
}

void LogOracle::walk_decision(Walk& walk, const record::Record& record, uint64_t id) {
  const record::Place& at = record.place;
  const auto wrong = [&](std::string_view what) {
    world_.violation(walk.log.node,
                     fmt::format("the decision at {} {}", place(walk.id, at.position), what));
  };
  if (id == 0 || id > decisions_.size()) return wrong("was never made");
  Decision& decision = decisions_[id - 1];
  if (decision.is_found) wrong("is there twice");
  decision.is_found = true;
  if (decision.log != walk.id || decision.position != at.position || decision.run != at.run)
    wrong("has another address than it was answered with");
  if (id <= walk.last_id) wrong("is out of order");
  walk.last_id = id;
  const auto active = walk.active.find(at.active);
  if (active == walk.active.end()) {
    if (!walk.is_pruned) wrong("does not say what it was decided with");
  } else if (active->second != *decision.active) {
    wrong("was decided with other releases than it says");
  }
}

// A gap stands where the first lost record was, in the last run that has left one; the runs that
// were lost with it end before the next start.
bool LogOracle::is_covered(const Decision& decision) const {
  const Log& log = logs_.at(decision.log);
  const auto is_in = [&](const auto& range) {
    return decision.position >= range.first && decision.position < range.second;
  };
  if (std::ranges::any_of(log.pruned, is_in)) return true;
  if (decision.is_strict) return false;
  return std::ranges::any_of(log.gaps, [&](const Gap& gap) {
    return decision.position >= gap.position && decision.position - gap.position < gap.count &&
           decision.run >= gap.run && decision.run < gap.next_run;
  });
}

}  // namespace notp::sim
