// Requests and reports of a registry's session to its host.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "protocol/delta/inventory.hpp"
#include "protocol/session/server/offer_frames.hpp"
#include "protocol/session/server/upload.hpp"
#include "protocol/trust/statements.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::session {

// The result for an ArtifactNeeded.
struct PreparedArtifact {
  Hash id;
  uint32_t encoding_tier = 0;
  model::Content bytes;
  std::shared_ptr<OfferFrames> frames = {};  // of the sessions that get it; null: not shared
  // Set when the base is a part of what the peer holds.
  std::optional<wire::PartialBase> partial;
  std::optional<TraceContext> trace = {};  // of the push
};

namespace server_event {
struct Greeted {
  std::string user_agent;
  std::vector<model::LedgerId> ledgers;  // granted
};
// The host computes or finds the artifact and answers with artifact_ready().
struct ArtifactNeeded {
  uint64_t ticket = 0;
  model::LedgerId ledger;
  uint64_t base_version = 0;  // 0: no known release
  uint64_t version = 0;
  Hash pending_hash;                          // zero: the release is published; else it is pending
  std::set<Hash> missing_blobs;               // contents of the base that the peer cannot read
  std::optional<delta::Inventory> inventory;  // what the peer holds, where base_version is 0
  Hash resume;                                // the artifact whose front the peer has; zero: none
};
struct Committed {
  wire::Commit commit;  // never short, with its freshness
};
// A freshness statement went out.
struct Attested {
  std::shared_ptr<const trust::Freshness> freshness;  // of a class: shared by its sessions
};
struct PublishArrived {
  wire::Publish publish;
  std::unique_ptr<notp::session::Upload> artifact;
};
struct Asked {
  wire::Request request;
};
// A peer that may record offers its log; the host answers with log_granted().
struct LogOffered {
  wire::LogOffer offer;
};
// The announcement that a grant asked for.
struct LogAnnounced {
  record::LogId log;
  Bytes announcement;
};
// A segment with its whole body; in the order of the log. It counts against the window until a
// grant acknowledges it.
struct SegmentArrived {
  wire::Segment segment;
  Bytes body;
};
// What the peer says to a log_receipt(). Nothing in it is verified but that it is of the offered
// log.
struct WitnessArrived {
  wire::LogWitness witness;
};
// The peer holds what the catalog lacks: of a ledger that was granted, a release above the newest
// one, or a root above the newest one. Or the registry does not attest the ledger. The peer's word;
// the host may ask_held().
struct HoldsMore {
  model::LedgerId ledger;
  uint64_t held_version = 0;  // of the peer's newest release of the ledger; 0: none
  uint64_t root_version = 0;  // of the peer's newest root
};
// Answers an ask_held(). Nothing in it is verified.
struct HeldArrived {
  wire::Held held;  // within the limits of the message
};
// Answers an ask_return(), once. `head.request` and `head.base` are as asked; the content of the
// artifact is not verified.
struct ReturnArrived {
  wire::Return head;
  std::unique_ptr<notp::session::Upload> artifact;  // whole; null exactly if head.code is not 0
};
// The peer met a token of an issuer whose key is not in the issuer's key set. The peer's word, and
// perhaps often.
struct UnknownKeyMet {
  wire::UnknownKey key;
};
// The peer follows a lane, from here on; answer with lane_state().
struct LaneSubscribed {
  wire::LaneSubscribe subscribe;
};
// The peer asks for tokens of its lane; answer each id with one lane_statement().
struct LaneAsked {
  wire::LaneAsk ask;
};
struct LaneAppliedArrived {
  wire::LaneApplied applied;
};
// A right is missing, or a ledger cannot be served: the session continues, the host logs it.
struct Refused {
  Error error;
};
// An answer or another message broke a limit; the peer was sent INTERNAL instead.
struct Unsendable {
  Error error;
};
struct Closed {
  Error error;
};
}  // namespace server_event

using ServerEvent =
    std::variant<server_event::Greeted, server_event::ArtifactNeeded, server_event::Committed,
                 server_event::Attested, server_event::PublishArrived, server_event::Asked,
                 server_event::LogOffered, server_event::LogAnnounced, server_event::SegmentArrived,
                 server_event::WitnessArrived, server_event::HoldsMore, server_event::HeldArrived,
                 server_event::ReturnArrived, server_event::UnknownKeyMet,
                 server_event::LaneSubscribed, server_event::LaneAsked,
                 server_event::LaneAppliedArrived, server_event::Refused, server_event::Unsendable,
                 server_event::Closed>;

}  // namespace notp::session
