// When a node subscribes to its lane, and what the registry says to it. Pure. One thread.
#pragma once

#include <optional>
#include <string>

#include "notp-client/lane/core/lane_effect.hpp"

namespace notp::lane {

// Times are of the boot clock.
class LaneLink {
 public:
  // A session is welcome: it is time to subscribe.
  void on_connected(TimeMs boot_ms);
  void on_disconnected();
  void on_subscribed(TimeMs boot_ms);
  // False: it answers an earlier subscription than the last one.
  bool on_state(const wire::LaneState& state, TimeMs boot_ms);
  // What arrives does not continue what is here: subscribe again, after a pause that grows until
  // on_current() some time later. False: that is planned already.
  bool again(TimeMs boot_ms);
  void on_current(TimeMs boot_ms);
  // The same at once: the reason for pauses is gone.
  void begin_again(TimeMs boot_ms);
  // A part of a snapshot should come until then; kNever: none is awaited.
  void await_snapshot(TimeMs until_ms) { snapshot_ms_ = until_ms; }
  // Statements are dropped until resume(): the node is too slow.
  void stall() { is_stalled_ = true; }
  bool is_stalled() const { return is_stalled_; }
  void resume(TimeMs boot_ms);

  bool is_connected() const { return is_connected_; }
  bool is_due(TimeMs boot_ms) const { return is_connected_ && boot_ms >= subscribe_ms_; }
  // The registry lets this node follow: its statements may come.
  bool is_granted() const { return is_connected_ && granted_.has_value(); }
  // Whose statements may come; its revision is the registry's newest.
  const std::optional<wire::LanePosition>& granted() const { return granted_; }
  // Of the last subscription that was answered, also of an earlier session.
  const std::optional<Error>& refusal() const { return refusal_; }
  bool is_unsupported() const { return is_unsupported_; }

  TimeMs next_deadline() const;
  // The reason when it has to subscribe again.
  std::optional<std::string> on_deadline(TimeMs boot_ms);

 private:
  bool is_connected_ = false;
  bool is_stalled_ = false;
  bool is_unsupported_ = false;
  int awaited_ = 0;               // answers to subscriptions of this session
  TimeMs subscribe_ms_ = kNever;  // when it is due
  TimeMs answer_ms_ = kNever;     // without an answer until then, there are no lanes
  TimeMs snapshot_ms_ = kNever;
  TimeMs pause_ms_ = 0;  // before the next again()
  TimeMs again_ms_ = 0;  // of the last one
  std::optional<wire::LanePosition> granted_;
  std::optional<Error> refusal_;
};

}  // namespace notp::lane
