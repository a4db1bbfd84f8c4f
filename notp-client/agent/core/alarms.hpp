// Alarms of this node for the operator. Pure. One thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "notp-client/agent/core/agent_effect.hpp"
#include "notp-client/agent/core/receipt_watch.hpp"

namespace notp::agent {

// Conditions that raise one alarm while they last, however often they are detected.
enum class AlarmTopic { kRoot, kFreshness, kLog, kTree, kReceipts };

class Alarms {
 public:
  // `effects` outlives this object.
  explicit Alarms(AgentEffects& effects) : effects_(effects) {}

  // Yields an Alarm, and keeps its text for list() if it is new.
  void raise(const Error& error);
  // As raise(), unless this topic's last alarm had the same error code and was not cleared since.
  void raise_once(AlarmTopic topic, const Error& error);
  void clear(AlarmTopic topic) { raised_.erase(topic); }
  // The last error of the topic; empty: none lasts.
  std::string text(AlarmTopic topic) const;
  // --- the log of decisions
  // The registry takes this node's log of decisions; or, with an error, it refuses the log, or the
  // log cannot be shipped.
  void on_log_shipped(const Result<void>& outcome);
  // What this node's log knows of the registry's tree: at the start, and whenever it changes. A
  // refused tree is an alarm while it is refused; so are acknowledged records that get no receipt.
  void on_tree(const TreeWitness& seen, TimeMs boot_ms);
  void session_ended(TimeMs boot_ms) { receipts_.session_ended(boot_ms); }
  // Boot clock.
  TimeMs next_deadline() const { return receipts_.next_deadline(); }
  void on_deadline(TimeMs boot_ms);

  // The last kAlarmsKept texts, oldest first, each once.
  const std::vector<std::string>& list() const { return texts_; }

 private:
  AgentEffects& effects_;
  ReceiptWatch receipts_;
  std::vector<std::string> texts_;
  std::map<AlarmTopic, Error> raised_;
};

}  // namespace notp::agent
