#include "protocol/session/server/server_transfers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/limits.hpp"
#include "protocol/session/session_base.hpp"

namespace notp::session {

// --- down

Result<void> ServerTransfers::check_room() const {
  if (preparing_ + context_.output.queue().transfers() < limits::kStreamsMax) return {};
  return fail(ErrorCode::kLimit, fmt::format("more than {} artifacts wanted at once; take what "
                                             "is on its way first",
                                             limits::kStreamsMax));
}

uint64_t ServerTransfers::prepare(server_event::ArtifactNeeded need) {
  need.ticket = next_ticket_++;
  ++preparing_;
  const uint64_t ticket = need.ticket;
  context_.events.push_back(std::move(need));
  return ticket;
}

bool ServerTransfers::prepare_single(const OutgoingRelease& release) {
  if (!find(release)) return false;
  singles_[prepare({.ledger = release.ledger,
                    .base_version = release.base,
                    .version = release.version,
                    .pending_hash = release.pending_hash})] = release;
  return true;
}

bool ServerTransfers::single_ready(uint64_t ticket, Result<PreparedArtifact>& artifact) {
  const auto single = singles_.extract(ticket);
  if (!single) return false;
  const auto offer = artifact ? make_offer(single.mapped(), *artifact)
                              : Result<wire::Offer>(std::unexpected(artifact.error()));
  if (offer)
    send_offer(*offer, *artifact);
  else
    context_.output.refuse(offer.error(), 0);
  return true;
}

std::optional<trust::ReleaseRef> ServerTransfers::find(const OutgoingRelease& release) const {
  const Catalog& catalog = context_.ports.catalog;
  return release.pending_hash.is_zero()
             ? catalog.release(release.ledger, release.version)
             : catalog.pending(release.ledger, release.version, release.pending_hash);
}

Result<wire::Offer> ServerTransfers::make_offer(const OutgoingRelease& release,
                                                const PreparedArtifact& artifact) const {
  const auto target = find(release);
  const auto from =
      release.base ? context_.ports.catalog.release(release.ledger, release.base) : std::nullopt;
  if (!target || (release.base && !from))
    return release.pending_hash.is_zero()
               ? fail(ErrorCode::kInternal,
                      fmt::format("{} lost release v{}", release.ledger.text(), release.version))
               : fail(ErrorCode::kNotFound,
                      fmt::format("release {} of {} no longer waits for signatures",
                                  release.pending_hash.brief(), release.ledger.text()));
  wire::Offer offer{.stream = context_.output.queue().free_stream(),
                    .ledger = release.ledger,
                    .version = release.version,
                    .base = {},
                    .artifact = artifact.id,
                    .size = artifact.bytes->size(),
                    .offset = 0,
                    .content_root = {},
                    .partial = artifact.partial,
                    .encoding_tier = artifact.encoding_tier,
                    .trace = artifact.trace};
  if (from) offer.base = wire::Base{release.base, from->content_root};
  return offer;
}

void ServerTransfers::send_offer(const wire::Offer& offer, const PreparedArtifact& artifact) {
  freshness_.send_roots();
  // Behind a slow reader's other output it would be a copy, and before what is more urgent.
  if (artifact.frames && context_.output.queue().control_bytes() == 0) {
    if (auto frames = artifact.frames->get(offer, artifact.bytes))
      return context_.output.send_frames(std::move(frames));
  }
  context_.output.send(offer);
  context_.output.send_transfer(offer.stream, artifact.bytes, offer.offset);
}

// --- up

Result<void> ServerTransfers::on_message(wire::Publish&& publish, Now now) {
  NOTP_TRY(context_.may(wire::Action::kPublish, &publish.ledger));
  if (uploads_.size() >= limits::kUploadsPerSessionMax)
    return fail(ErrorCode::kLimit, "too many publishes at once in one session");
  const uint32_t stream = publish.stream;
  const uint64_t bytes = publish.size;
  NOTP_ASSIGN(std::unique_ptr<Upload> upload, open_upload(context_, bytes));
  uploads_.emplace(
      stream, IncomingPublish{std::move(publish), IncomingUpload(std::move(upload), bytes, now)});
  return {};
}

Result<void> ServerTransfers::on_message(const wire::Chunk& chunk, Now now) {
  const auto place = uploads_.find(chunk.stream);
  if (place == uploads_.end())
    return fail(ErrorCode::kState, "a chunk on a stream that was not announced");
  IncomingPublish& incoming = place->second;
  NOTP_TRY(incoming.artifact.append(chunk.bytes, now));
  if (!incoming.artifact.complete()) return {};
  context_.events.push_back(
      server_event::PublishArrived{std::move(incoming.publish), incoming.artifact.take()});
  uploads_.erase(place);
  return {};
}

TimeMs ServerTransfers::next_deadline() const {
  TimeMs deadline = kNever;
  for (const auto& [stream, incoming] : uploads_)
    deadline = std::min(deadline, incoming.artifact.deadline());
  return deadline;
}

void ServerTransfers::on_deadline(Now) { context_.output.refuse(silent_peer(), 0); }

}  // namespace notp::session
