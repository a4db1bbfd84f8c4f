// Decides what becomes of a node's offers, announcements and segments: what is granted, what is
// stored, and what is a fault. It knows neither sessions nor threads.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "notp-server/audit/audit_store.hpp"
#include "notp-server/audit/intake_counters.hpp"
#include "protocol/record/tree_entry.hpp"
#include "protocol/wire/messages/decision_log.hpp"

namespace notp::audit {

// The leaf of the registry's tree that says that a segment was taken. What it says follows from
// what is stored, so that it can be made again.
record::TreeEntry checkpoint_entry(const StoredSegment& stored);

// One thread. `node` is the identity of the session's peer. It blocks on the store for what is
// rare: faults, new logs, and segments that come again.
class LogIngest {
 public:
  // Receives a leaf of the registry's tree.
  using LogEntry = std::function<void(const record::TreeEntry&)>;

  // Both outlive it. Faults go to `log_entry`; empty: there is no tree.
  LogIngest(AuditStore& store, IntakeCounters& counters, LogEntry log_entry = {})
      : store_(store), counters_(counters), log_entry_(std::move(log_entry)) {}

  // Reads the logs of the store. kIo, kCorrupt.
  Result<void> load();

  // A refusal is in the grant's code, phrased for the peer.
  wire::LogGrant offered(const std::string& node, const wire::LogOffer& offer, TimeMs now_ms);
  // kIo: the log could not be stored; the same call may be repeated.
  Result<wire::LogGrant> announced(const std::string& node, const record::LogId& log,
                                   const Bytes& announcement, TimeMs now_ms);

  struct Decision {
    // For when `store`, and what was decided before it, is durable: the log's tree has moved on
    // already.
    wire::LogGrant grant;
    std::optional<StoredSegment> store;
  };
  Decision arrived(const std::string& node, record::Segment segment, TimeMs now_ms);

  // There was no room for a segment of the log: until its next offer, what follows is turned away,
  // too, and is no gap.
  wire::LogGrant turn_away(const record::LogId& log);

  // The grant of an offer that was good, again.
  wire::LogGrant regranted(const record::LogId& log) const;
  // The first record that the registry does not have; 0 for a log that it does not know.
  record::Position next_of(const record::LogId& log) const;
  // The key of a log that was announced.
  std::optional<PublicKey> key_of(const record::LogId& log) const;
  // Whether a segment is one that has come before, so that deciding needs what is stored.
  bool has_come(const record::Segment& segment) const {
    return segment.head.first < next_of(segment.head.log);
  }

 private:
  struct Log {
    std::string node;
    PublicKey key;
    bool is_announced = false;
    record::Frontier tree;
    bool is_turned_away = false;
    std::optional<std::pair<ErrorCode, record::Position>> last_fault;
  };

  wire::LogGrant grant(const record::LogId& log, record::Position next) const;
  wire::LogGrant refuse(const record::LogId& log, const Error& error) const;
  // Keeps a fault of a log, and says so once.
  wire::LogGrant refuse_fault(const record::LogId& log, Error error, record::Position position,
                              TimeMs now_ms, const record::Segment* segment = nullptr);
  Result<void> check_offer(const Log& log, const wire::LogOffer& offer) const;
  Result<void> check_new(const std::string& node) const;
  // The segment is below what is stored.
  Result<void> check_again(const Log& log, const record::Segment& segment) const;
  // Verifies the next segment, and makes its index. The result is without the segment itself.
  Result<StoredSegment> take(const Log& log, const record::Segment& segment, TimeMs now_ms) const;

  AuditStore& store_;
  IntakeCounters& counters_;
  const LogEntry log_entry_;
  std::map<record::LogId, Log> logs_;
  std::map<std::string, size_t> logs_of_node_;
};

}  // namespace notp::audit
