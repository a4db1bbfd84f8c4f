// The client's end of a session, for an agent that pulls and receives releases, a publisher that
// offers one, and an admin CLI that sends requests. protocol/session/README.md, "Flows".
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "protocol/delta/inventory.hpp"
#include "protocol/session/session_base.hpp"
#include "protocol/session/subscription_table.hpp"
#include "protocol/session/transfer_buffer.hpp"

namespace notp::session {

// Events of a session for its owner, which drains them after every call.
namespace client_event {
struct Welcomed {
  wire::Welcome welcome;
};
// A release starts to arrive. Its first bytes may follow in the same call.
struct OfferStarted {
  wire::Offer offer;  // never short; wire::Offer lists the fields that a subscription's leaves out
};
struct OfferComplete {
  wire::Offer offer;
  Bytes artifact;
};
struct Published {
  wire::PublishResult result;
};
struct Answered {
  wire::Response response;
};
// The next root of the chain, not yet verified.
struct RootArrived {
  Bytes envelope;
};
// A renewal of the registry's freshness statement, relative to the one of its kind before; not yet
// verified.
struct FreshnessArrived {
  wire::FreshnessUpdate update;
};
// Says which class this client is in; not yet verified.
struct AssignmentArrived {
  Bytes envelope;
};
// The registry knows none of the named bases; answer with inventory().
struct InventoryWanted {
  model::LedgerId ledger;
  delta::InventoryForm form = delta::InventoryForm::kShortest;
};
// The registry grants, acknowledges or refuses the log that Hello offered.
struct LogGranted {
  wire::LogGrant grant;
};
// The registry's tree has a checkpoint of the offered log; not yet verified. Answer with witness().
struct ReceiptArrived {
  wire::LogReceipt receipt;
};
// An operator lets a release of a wanted ledger go that the replay gate holds.
struct HeldReleased {
  wire::ReleaseHeld release;
};
// How the issuers are whose keys are in wanted ledgers: all of them.
struct SourceStatusArrived {
  wire::SourceStatus status;
};
// The registry's answer to lane_subscribe(), and when it changes.
struct LaneStateArrived {
  wire::LaneState state;
};
// A statement of the lane; not yet verified.
struct LaneStatementArrived {
  feed::SealedStatement statement;
};
// The registry asks what is held of a wanted ledger; answer with held().
struct HeldWanted {
  wire::HeldRequest request;
};
// The registry asks for a release of a wanted ledger; answer once with give_back().
struct ReturnWanted {
  wire::ReturnRequest request;
};
struct Closed {
  Error error;
  uint32_t retry_after_ms = 0;
};
}  // namespace client_event

using ClientEvent =
    std::variant<client_event::Welcomed, client_event::OfferStarted, client_event::OfferComplete,
                 client_event::Published, client_event::Answered, client_event::RootArrived,
                 client_event::FreshnessArrived, client_event::AssignmentArrived,
                 client_event::InventoryWanted, client_event::LogGranted,
                 client_event::ReceiptArrived, client_event::HeldReleased,
                 client_event::SourceStatusArrived, client_event::LaneStateArrived,
                 client_event::LaneStatementArrived, client_event::HeldWanted,
                 client_event::ReturnWanted, client_event::Closed>;

// A partly received artifact of a session that was cut. Its id is zero when the offer had none.
struct PartialArtifact {
  wire::Offer offer;
  Bytes bytes;
};

class ClientSession final : public SessionBase {
 public:
  // Hello goes out in the first flight. `partials` match the wants' resume tokens.
  ClientSession(wire::Hello hello, std::vector<PartialArtifact> partials, Now now);

  std::vector<ClientEvent> take_events() { return std::exchange(events_, {}); }
  bool is_welcomed() const { return welcomed_; }

  // `commit` names its ledger.
  void commit(wire::Commit commit);
  void want(std::vector<wire::Want> wants);
  // Sends what is held of a ledger that the registry asked about.
  void inventory(const model::LedgerId& ledger, delta::Inventory inventory);
  // Offers a new release; the answer comes as Published. Fills in `publish.stream` and its size.
  void publish(wire::Publish publish, model::Content artifact);
  void request(const wire::Request& request) { send(request); }
  // Sends the announcement of the offered log, after a grant that asks for it.
  void announce_log(Bytes announcement) { send(wire::LogAnnouncement{std::move(announcement)}); }
  // Answers a ReceiptArrived, at most once; `witness` names the offered log.
  void witness(const wire::LogWitness& witness) { send(witness); }
  // Reports a token's key that is not in its issuer's key set.
  void unknown_key(const wire::UnknownKey& key) { send(key); }
  // Follows a lane; a later call replaces it. A registry that knows no lanes does not answer.
  void lane_subscribe(const wire::LaneSubscribe& subscribe);
  // Asks for tokens of the lane that is followed.
  void lane_ask(const wire::LaneAsk& ask) { send(ask); }
  void lane_applied(const wire::LaneApplied& applied) { send(applied); }
  // Sends the next segment of the granted log when nothing else waits to be sent.
  // `oldest_age_ms`: as in wire::Segment.
  void send_segment(record::Segment segment, uint64_t oldest_age_ms = 0);

  // Answers HeldWanted; within kHeldEnvelopesMax and kHeldBytesMax.
  void held(const wire::Held& held) { send(held); }
  // Answers ReturnWanted: with the artifact, or null and a code. Fills in the request, stream and
  // size. The registry may ask for the next release once the artifact is sent.
  void give_back(wire::Return head, model::Content artifact);

  // Returns the bytes of a transfer that have arrived so far: enough to check the signed envelope
  // at its front. Empty when there is no such transfer.
  ByteView received(uint32_t stream) const;
  // Takes the partly received artifacts, for the next session.
  std::vector<PartialArtifact> take_partials();

 private:
  struct Transfer {
    wire::Offer offer;
    TransferBuffer buffer;
  };

  Result<void> on_message(wire::Message&& message, Now now) override;
  void on_closed(const Error& error, uint32_t retry_after_ms, Now now) override;
  // The deadline for bytes of a transfer that the registry owes.
  TimeMs own_deadline() const override;
  void on_own_deadline(Now) override { refuse(silent_peer()); }
  Result<void> on_welcome(wire::Welcome&& welcome);
  Result<void> on_root(wire::RootUpdate&& update);
  Result<void> on_offer(wire::Offer&& offer);
  Result<void> on_inventory_request(const wire::InventoryRequest& request);
  Result<void> on_chunk(const wire::Chunk& chunk);
  Result<void> on_freshness(wire::FreshnessUpdate&& update);
  Result<void> on_assignment(wire::Assignment&& assignment);
  Result<void> on_log_grant(wire::LogGrant&& grant);
  Result<void> on_log_receipt(wire::LogReceipt&& receipt);
  Result<void> on_source_status(wire::SourceStatus&& status);
  Result<void> on_lane_state(wire::LaneState&& state);
  Result<void> on_lane_statement(wire::LaneStatement&& statement);
  Result<void> on_release_held(wire::ReleaseHeld&& release);
  Result<void> on_held_request(wire::HeldRequest&& request);
  Result<void> on_return_request(wire::ReturnRequest&& request);
  void finish_if_complete(std::map<uint32_t, Transfer>::iterator transfer);

  const std::optional<record::LogId> log_;  // offered
  const bool class_freshness_;              // offered to understand it
  SubscriptionTable table_;
  std::vector<PartialArtifact> partials_;
  std::map<uint32_t, Transfer> transfers_;
  std::vector<ClientEvent> events_;
  uint32_t next_stream_ = 1;
  size_t roots_ = 0;                                 // number received in this session
  std::map<model::LedgerId, size_t> inventories_;    // number requested in this session
  std::map<model::LedgerId, size_t> held_requests_;  // likewise
  std::optional<uint64_t> return_request_;           // not answered yet
  uint32_t return_stream_ = 0;                       // of the last artifact given back; 0: none
  std::string lane_;                                 // that is followed; empty: none
  bool welcomed_ = false;
};

}  // namespace notp::session
