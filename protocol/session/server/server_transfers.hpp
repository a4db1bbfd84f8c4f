// Artifacts of one registry's session: down to the peer as Offers, up from it as Publishes.
// protocol/session/README.md, "Exchange" and "Publishing a release".
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "protocol/session/server/incoming_upload.hpp"
#include "protocol/session/server/server_context.hpp"
#include "protocol/session/server/server_freshness.hpp"

namespace notp::session {

// A release on its way to the peer, and the release that it builds on.
struct OutgoingRelease {
  model::LedgerId ledger;
  uint64_t base = 0;  // 0: none
  uint64_t version = 0;
  Hash pending_hash = {};  // zero: the release is published; else it is pending
};

// One thread.
class ServerTransfers {
 public:
  // Both outlive it.
  ServerTransfers(ServerContext& context, ServerFreshness& freshness)
      : context_(context), freshness_(freshness) {}

  // --- down

  // kLimit: kStreamsMax artifacts are being prepared or on their way.
  Result<void> check_room() const;
  // Asks the host for an artifact and returns the ticket of the request.
  uint64_t prepare(server_event::ArtifactNeeded need);
  // The same for a release that was requested once, without a subscription. False: there is no such
  // release.
  bool prepare_single(const OutgoingRelease& release);
  // The host has answered a ticket, with success or an error. Called once for each.
  void ticket_done() { --preparing_; }
  // Offers the release if the ticket came from prepare_single(); an error ends the session, because
  // the peer waits for this release. False: the ticket belongs to a subscription.
  bool single_ready(uint64_t ticket, Result<PreparedArtifact>& artifact);
  // Makes the Offer of an artifact, on a free stream, in its long form. kInternal, kNotFound: the
  // release has gone.
  Result<wire::Offer> make_offer(const OutgoingRelease& release,
                                 const PreparedArtifact& artifact) const;
  void send_offer(const wire::Offer& offer, const PreparedArtifact& artifact);

  // --- up

  // kDenied, kLimit, kState, and the errors of the UploadSpace.
  Result<void> on_message(wire::Publish&& publish, Now now);
  // kState for a stream that was not announced, or past its end; errors of Upload.
  Result<void> on_message(const wire::Chunk& chunk, Now now);
  // Whether chunks of this stream are an upload's.
  bool receives(uint32_t stream) const { return uploads_.contains(stream); }
  // Releases the space of partly received uploads.
  void drop_uploads() { uploads_.clear(); }

  // Boot time at which an upload has taken too long; kNever: none is under way.
  TimeMs next_deadline() const;
  void on_deadline(Now now);

 private:
  struct IncomingPublish {
    wire::Publish publish;
    IncomingUpload artifact;
  };

  std::optional<trust::ReleaseRef> find(const OutgoingRelease& release) const;

  ServerContext& context_;
  ServerFreshness& freshness_;
  std::map<uint64_t, OutgoingRelease> singles_;  // by ticket
  std::map<uint32_t, IncomingPublish> uploads_;  // by stream
  size_t preparing_ = 0;                         // tickets without an answer yet
  uint64_t next_ticket_ = 1;
};

}  // namespace notp::session
