// What the parts of a world need of it: time, chance, the trace, and the processes of its nodes.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "common/clock.hpp"
#include "common/random.hpp"
#include "common/result.hpp"
#include "protocol/record/record.hpp"
#include "protocol/wire/messages/decision_log.hpp"

namespace notp::sim {

using Action = std::function<void()>;

// One thread. A node is named by its agent's index.
class WorldPort {
 public:
  explicit WorldPort(uint64_t seed) : random_(seed) {}
  virtual ~WorldPort() = default;

  virtual TimeMs time_ms() const = 0;
  virtual void at(TimeMs delay_ms, Action action) = 0;
  // Dropped when the node's process has died by then; else its sessions go on afterwards.
  virtual void at_node(size_t node, TimeMs delay_ms, Action action) = 0;
  virtual void note(std::string_view what, size_t node, const std::string& detail = {}) = 0;
  virtual void violation(size_t node, const std::string& text) = 0;
  // Whether faults happen now.
  virtual bool faulty() const = 0;

  virtual TimeMs wall_ms(size_t node) const = 0;
  virtual bool is_running(size_t node) const = 0;
  // What the node's PDP decides with; nullopt: nothing.
  virtual std::optional<record::ActiveSet> active_set(size_t node) const = 0;
  virtual void crash_node(size_t node) = 0;
  virtual void restart_node(size_t node) = 0;  // in order
  virtual void cut_node(size_t node) = 0;
  // Sends a grant in the server's end of the node's session, if that is still this one.
  virtual void send_grant(size_t node, uint64_t link, const wire::LogGrant& grant) = 0;
  // The same with a receipt. False: it is another session by now.
  virtual bool send_receipt(size_t node, uint64_t link, const wire::LogReceipt& receipt) = 0;
  // Tells the node's core what its log knows of the registry's tree.
  virtual void tell_tree(size_t node) = 0;
  // Why the node refuses the tree, and which records have no receipt, as it tells its operator;
  // empty: it does not, none.
  virtual std::string tree_refused(size_t node) const = 0;
  virtual std::string receipts_overdue(size_t node) const = 0;
  // Tells the node's core that a segment cannot be loaded.
  virtual void refuse_log(size_t node, const Error& error) = 0;
  // Why the node's log is refused, as it tells its operator; empty: it is not.
  virtual std::string log_refused(size_t node) const = 0;

  SeededRandom& random() { return random_; }
  bool chance(uint64_t one_in) { return random_.below(one_in) == 0; }
  TimeMs between(TimeMs low, TimeMs high) {
    return low + static_cast<TimeMs>(random_.below(static_cast<uint64_t>(high - low + 1)));
  }

 private:
  SeededRandom random_;
};

}  // namespace notp::sim
