// The part of AgentCore that keeps what has arrived of an artifact over the end of this process.
#include <algorithm>

#include "notp-client/agent/agent_core.hpp"

namespace notp {

void AgentCore::adopt_staged(std::vector<StagedPiece> pieces) {
  for (StagedPiece& piece : pieces) {
    const auto run = ledgers_.find(piece.ledger);
    const bool stored = run != ledgers_.end() && !run->second.releases.empty() &&
                        run->second.releases.front().ref.version >= piece.version;
    if (run == ledgers_.end() || stored) {
      unstage_.insert(piece.ledger);
      continue;
    }
    PartialArtifact partial;
    partial.offer.ledger = piece.ledger;
    partial.offer.version = piece.version;
    partial.offer.artifact = piece.artifact;
    partial.offer.size = piece.size;
    partial.bytes = std::move(piece.bytes);
    staged_[piece.ledger] = {piece.artifact, partial.bytes.size(), std::nullopt, {}};
    partials_.push_back(std::move(partial));
  }
}

uint64_t AgentCore::staged_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [ledger, mark] : staged_) bytes += mark.bytes;
  return bytes;
}

// What fits a chunk would be sent again whole in any case. What is resumed says its id.
void AgentCore::on_staged_offer(const wire::Offer& offer) {
  StagedMark& mark = staged_[offer.ledger];
  if (mark.artifact != offer.artifact || offer.offset == 0) {
    if (mark.bytes > 0) unstage_.insert(offer.ledger);
    mark = {offer.artifact, 0, std::nullopt, {}};
  }
  mark.offer = offer;
  mark.stream.reset();
  if (offer.size > limits::kChunkBytesMax) mark.stream = offer.stream;
}

// Installed, or of no use; unless it is another one that is staged by now.
void AgentCore::drop_staged(const wire::Offer& installed) {
  const auto mark = staged_.find(installed.ledger);
  if (mark == staged_.end() || mark->second.offer.stream != installed.stream) return;
  if (mark->second.bytes > 0) unstage_.insert(installed.ledger);
  if (mark->second.stream)
    mark->second.bytes = 0;
  else
    staged_.erase(mark);
}

std::optional<StagingStep> AgentCore::next_staging() {
  if (!staging_) return std::nullopt;
  if (!unstage_.empty()) return DropStaged{unstage_.extract(unstage_.begin()).value()};
  if (!session_) return std::nullopt;
  const uint64_t room =
      limits::kPartialBytesMax - std::min(limits::kPartialBytesMax, staged_bytes());
  for (auto& [ledger, mark] : staged_) {
    if (!mark.stream) continue;
    const ByteView received = session_->received(*mark.stream);
    if (received.size() <= mark.bytes || room == 0) continue;
    const auto artifact =
        mark.artifact.is_zero() ? artifact_of(mark.offer, received) : mark.artifact;
    if (!artifact) continue;
    mark.artifact = *artifact;
    const ByteView piece =
        received.substr(mark.bytes, std::min<uint64_t>(limits::kStagedPieceBytesMax, room));
    StagedPiece step{.ledger = ledger,
                     .version = mark.offer.version,
                     .artifact = mark.artifact,
                     .size = mark.offer.size,
                     .offset = mark.bytes,
                     .bytes = Bytes(piece)};
    mark.bytes += piece.size();
    return step;
  }
  return std::nullopt;
}

}  // namespace notp
