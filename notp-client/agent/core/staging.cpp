#include "notp-client/agent/core/staging.hpp"

#include <algorithm>

#include "common/limits.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/trust/statements.hpp"

namespace notp::agent {

void PartialTransfers::adopt(std::vector<store::StagedPiece> pieces) {
  for (store::StagedPiece& piece : pieces) {
    const store::StoredRelease* newest =
        releases_.follows(piece.ledger) ? releases_.newest(piece.ledger) : nullptr;
    if (!releases_.follows(piece.ledger) || (newest && newest->ref.version >= piece.version)) {
      drops_.insert(piece.ledger);
      continue;
    }
    session::PartialArtifact partial;
    partial.offer.ledger = piece.ledger;
    partial.offer.version = piece.version;
    partial.offer.artifact = piece.artifact;
    partial.offer.size = piece.size;
    partial.bytes = std::move(piece.bytes);
    staged_[piece.ledger] = {piece.artifact, partial.bytes.size(), std::nullopt, {}};
    partials_.push_back(std::move(partial));
  }
}

std::optional<wire::ResumeToken> PartialTransfers::resume_token(
    const model::LedgerId& ledger) const {
  const auto partial = std::ranges::find(
      partials_, ledger, [](const session::PartialArtifact& p) { return p.offer.ledger; });
  if (partial == partials_.end()) return std::nullopt;
  return wire::ResumeToken{partial->offer.artifact, partial->bytes.size()};
}

// An artifact that fits one chunk would be resent whole in any case. A resumed one states its id.
void PartialTransfers::on_offer(const wire::Offer& offer) {
  std::erase_if(partials_, [&](const session::PartialArtifact& partial) {
    return partial.offer.ledger == offer.ledger;
  });
  StagedTransfer& transfer = staged_[offer.ledger];
  if (transfer.artifact != offer.artifact || offer.offset == 0) {
    if (transfer.bytes > 0) drops_.insert(offer.ledger);
    transfer = {offer.artifact, 0, std::nullopt, {}};
  }
  transfer.offer = offer;
  transfer.stream.reset();
  if (offer.size > limits::kChunkBytesMax) transfer.stream = offer.stream;
}

void PartialTransfers::on_complete(const wire::Offer& offer) {
  const auto transfer = staged_.find(offer.ledger);
  if (transfer != staged_.end() && transfer->second.stream == offer.stream)
    transfer->second.stream.reset();
}

// Drops the staged artifact, unless another one is staged by now.
void PartialTransfers::drop(const wire::Offer& offer) {
  const auto found = staged_.find(offer.ledger);
  if (found == staged_.end() || found->second.offer.stream != offer.stream) return;
  if (found->second.bytes > 0) drops_.insert(offer.ledger);
  if (found->second.stream)
    found->second.bytes = 0;
  else
    staged_.erase(found);
}

void PartialTransfers::end_session(std::vector<session::PartialArtifact> partials) {
  for (session::PartialArtifact& partial : partials) {
    const auto artifact = artifact_of(partial.offer, partial.bytes);
    if (!artifact) continue;
    partial.offer.artifact = *artifact;
    partials_.push_back(std::move(partial));
  }
  for (auto& [ledger, transfer] : staged_) transfer.stream.reset();
}

// An offer to a subscription does not include its artifact's id. The id follows from the envelope
// at the front of the received bytes; less than that is not worth keeping.
std::optional<Hash> PartialTransfers::artifact_of(const wire::Offer& offer,
                                                  ByteView received) const {
  if (!offer.artifact.is_zero()) return offer.artifact;
  if (!releases_.follows(offer.ledger)) return std::nullopt;
  const store::StoredRelease* base =
      offer.base ? releases_.find(offer.ledger, offer.base->version) : nullptr;
  if (offer.base && !base) return std::nullopt;
  auto envelope = delta::read_envelope(received, base ? base->envelope : trust::ReleaseEnvelope());
  if (!envelope || !envelope->open()) return std::nullopt;
  return delta::artifact_id(base ? base->ref.release_hash : Hash{}, envelope->hash(),
                            offer.encoding_tier);
}

uint64_t PartialTransfers::staged_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [ledger, transfer] : staged_) bytes += transfer.bytes;
  return bytes;
}

std::optional<StagingStep> PartialTransfers::next_step(const session::ClientSession* session) {
  if (!is_enabled_) return std::nullopt;
  if (!drops_.empty()) return DropStaged{drops_.extract(drops_.begin()).value()};
  if (!session) return std::nullopt;
  const uint64_t space =
      limits::kPartialBytesMax - std::min(limits::kPartialBytesMax, staged_bytes());
  if (space == 0) return std::nullopt;
  for (auto& [ledger, transfer] : staged_)
    if (auto piece = next_piece(ledger, transfer, *session,
                                std::min<uint64_t>(limits::kStagedPieceBytesMax, space)))
      return *std::move(piece);
  return std::nullopt;
}

std::optional<store::StagedPiece> PartialTransfers::next_piece(
    const model::LedgerId& ledger, StagedTransfer& transfer, const session::ClientSession& session,
    uint64_t bytes_max) const {
  if (!transfer.stream) return std::nullopt;
  const ByteView received = session.received(*transfer.stream);
  if (received.size() <= transfer.bytes) return std::nullopt;
  const auto artifact = transfer.artifact.is_zero() ? artifact_of(transfer.offer, received)
                                                    : std::optional(transfer.artifact);
  if (!artifact) return std::nullopt;
  transfer.artifact = *artifact;
  const ByteView piece = received.substr(transfer.bytes, bytes_max);
  store::StagedPiece step{.ledger = ledger,
                          .version = transfer.offer.version,
                          .artifact = transfer.artifact,
                          .size = transfer.offer.size,
                          .offset = transfer.bytes,
                          .bytes = Bytes(piece)};
  transfer.bytes += piece.size();
  return step;
}

}  // namespace notp::agent
