// Requests and reports of a registry's session to its host.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "protocol/delta/inventory.hpp"
#include "protocol/session/server/upload.hpp"
#include "protocol/trust/statements.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::session {

// The result for an ArtifactNeeded.
struct PreparedArtifact {
  Hash id;
  uint32_t encoding_tier = 0;
  model::Content bytes;
  // Set when the base is a part of what the peer holds.
  std::optional<wire::PartialBase> partial;
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
  trust::Freshness freshness;
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
                 server_event::Refused, server_event::Unsendable, server_event::Closed>;

}  // namespace notp::session
