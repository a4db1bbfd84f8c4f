// The registry's end of a session. It combines six machines: subscriptions, transfers, freshness,
// requests, logs, and holdings. protocol/session/README.md, "Flows".
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "protocol/session/server/server_context.hpp"
#include "protocol/session/server/server_events.hpp"
#include "protocol/session/server/server_freshness.hpp"
#include "protocol/session/server/server_holdings.hpp"
#include "protocol/session/server/server_logs.hpp"
#include "protocol/session/server/server_requests.hpp"
#include "protocol/session/server/server_subscriptions.hpp"
#include "protocol/session/server/server_transfers.hpp"
#include "protocol/session/session_base.hpp"

namespace notp::session {

class ServerSession final : public SessionBase {
 public:
  ServerSession(ServerPorts ports, ServerInfo info, Now now);

  std::vector<ServerEvent> take_events() { return std::exchange(context_.events, {}); }

  // The host calls one of these two, once for each ArtifactNeeded.
  void artifact_ready(uint64_t ticket, Result<PreparedArtifact> artifact);
  // Its inventory is a sketch that cannot be read.
  void inventory_unclear(uint64_t ticket);
  // The target of a ledger may have moved, for this reader or for all: offers the new one to a peer
  // that subscribed and whose base is known.
  void target_changed(const model::LedgerId& ledger);
  // The catalog has a new root: sends it, and soon a statement under it.
  void roots_changed(Now now);
  // The content of statements has changed, as by a withdrawal: the next one goes out within
  // kFreshnessSoonMs.
  void freshness_due_now(Now now) { freshness_.hasten(now); }
  void publish_done(wire::PublishResult result) { send(std::move(result)); }
  // The host calls it once for each Asked.
  void answer(wire::Response response) { requests_.answer(std::move(response)); }
  // Sends the host's answer to a LogOffered, LogAnnounced or SegmentArrived. It may also be called
  // at any later time, to move the window.
  void log_granted(const wire::LogGrant& grant) {
    if (!is_closed()) logs_.granted(grant);
  }
  // Sends a receipt of the log that was granted; a WitnessArrived may answer it. Without a granted
  // log it does nothing.
  void log_receipt(const wire::LogReceipt& receipt) {
    if (!is_closed()) logs_.receipt(receipt);
  }
  // The status of a key source has changed: sends it to a peer that subscribes to its ledger.
  void sources_changed();
  // Answers a LaneSubscribed, at once or again at any later time.
  void lane_state(const wire::LaneState& state) { send(state); }
  // Sends a statement of the lane that the peer follows: a whole LaneStatement frame, which
  // sessions share. `bulk`: of a snapshot, which goes after releases.
  void lane_statement(model::Content frame, bool bulk) { send_lane(std::move(frame), bulk); }
  // Bytes of statements that the peer has not taken yet.
  size_t lane_unsent() const { return queue().lane_bytes(); }
  // Drops them: whole statements, which the peer misses.
  using SessionBase::drop_lane;
  // Tells the peer that a release of a ledger that it subscribes to may go. kState: it does not.
  Result<void> release_held(const wire::ReleaseHeld& release);
  // Asks what the peer holds of a ledger; the answer comes as HeldArrived, or never. kState when
  // the peer does not subscribe to the ledger, kLimit after kHeldRequestsMax questions about it.
  Result<void> ask_held(const wire::HeldRequest& request);
  // Asks for a release that the peer holds; the answer comes as one ReturnArrived, with kTimeout
  // after kReturnAnswerMs, unless the session ends before. kState when the peer does not subscribe
  // to the ledger, kConflict while an earlier return is open.
  Result<void> ask_return(const wire::ReturnRequest& request, Now now);

 private:
  Result<void> on_message(wire::Message&& message, Now now) override;
  void on_closed(const Error& error, uint32_t retry_after_ms, Now now) override;
  void on_unsendable(const Error& error) override;
  TimeMs own_deadline() const override;
  void on_own_deadline(Now now) override;
  Result<void> on_hello(wire::Hello&& hello, Now now);
  Result<void> on_chunk(const wire::Chunk& chunk, Now now);
  Result<void> report(ServerEvent event);
  // kState unless the peer was granted the ledger, and the session is open.
  Result<void> check_subscribed(const model::LedgerId& ledger) const;
  // The machines that receive share the peer's stream numbers: kState when `stream` is in use.
  Result<void> check_stream(uint32_t stream) const;

  ServerContext context_;
  ServerFreshness freshness_{context_};
  ServerTransfers transfers_{context_, freshness_};
  ServerSubscriptions subscriptions_{context_, transfers_, freshness_};
  ServerRequests requests_{context_};
  ServerLogs logs_{context_};
  ServerHoldings holdings_{context_};
  bool greeted_ = false;
  std::optional<wire::SourceStatus> sent_sources_;  // what the peer knows of them; nullopt: nothing
};

}  // namespace notp::session
