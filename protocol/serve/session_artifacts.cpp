#include "protocol/serve/session_artifacts.hpp"

#include <utility>

namespace notp {

namespace asio = boost::asio;

namespace {

PreparedArtifact prepared(const ArtifactPtr& artifact) {
  return {.id = artifact->id,
          .encoding_tier = artifact->encoding_tier,
          .bytes = Content(artifact, &artifact->bytes),
          .partial = {}};
}

// Whether it is between two published releases, or full content: useful to other sessions.
bool is_plain(const server_event::ArtifactNeeded& need) {
  return need.pending_hash.is_zero() && need.missing_blobs.empty() && !need.inventory;
}

WantedArtifact wanted(const server_event::ArtifactNeeded& need) {
  return {need.ledger, need.version, need.base_version, need.resume};
}

}  // namespace

std::optional<PreparedArtifact> SessionArtifacts::cached(const server_event::ArtifactNeeded& need) {
  const ArtifactPtr artifact = is_plain(need) ? source_.cached(wanted(need)) : nullptr;
  if (artifact == nullptr) return std::nullopt;
  return prepared(artifact);
}

asio::awaitable<Result<std::optional<PreparedArtifact>>> SessionArtifacts::obtain(
    std::string caller, const server_event::ArtifactNeeded& need) {
  if (!is_plain(need))
    co_return co_await offload(lane_, std::move(caller), [this, &need] { return make(need); });
  const auto artifact = co_await source_.fetch(std::move(caller), wanted(need));
  if (!artifact) co_return std::unexpected(artifact.error());
  co_return prepared(*artifact);
}

Result<std::optional<PreparedArtifact>> SessionArtifacts::make(
    const server_event::ArtifactNeeded& need) {
  HeldReleasePtr base;
  if (need.base_version != 0) {
    NOTP_ASSIGN(base, releases_.release(need.ledger, need.base_version));
  }
  if (!need.pending_hash.is_zero()) {
    NOTP_ASSIGN(const ArtifactPtr artifact,
                make_pending_(need.ledger, need.version, need.pending_hash, base));
    return prepared(artifact);
  }
  NOTP_ASSIGN(const HeldReleasePtr target, releases_.release(need.ledger, need.version));
  return partials_.make(need, base, target);
}

}  // namespace notp
