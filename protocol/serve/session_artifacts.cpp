#include "protocol/serve/session_artifacts.hpp"

#include <utility>

namespace notp::serve {

namespace asio = boost::asio;

namespace {

session::PreparedArtifact prepared(const ArtifactPtr& artifact) {
  return {.id = artifact->id,
          .encoding_tier = artifact->encoding_tier,
          .bytes = model::Content(artifact, &artifact->bytes),
          .frames = artifact->frames,
          .partial = {}};
}

// Whether it is between two published releases, or full content: useful to other sessions.
bool is_plain(const session::server_event::ArtifactNeeded& need) {
  return need.pending_hash.is_zero() && need.missing_blobs.empty() && !need.inventory;
}

WantedArtifact wanted(const session::server_event::ArtifactNeeded& need) {
  return {need.ledger, need.version, need.base_version, need.resume};
}

}  // namespace

std::optional<session::PreparedArtifact> SessionArtifacts::cached(
    const session::server_event::ArtifactNeeded& need) {
  const ArtifactPtr artifact = is_plain(need) ? source_.cached(wanted(need)) : nullptr;
  if (artifact == nullptr) return std::nullopt;
  return prepared(artifact);
}

asio::awaitable<Result<std::optional<session::PreparedArtifact>>> SessionArtifacts::obtain(
    std::string caller, const session::server_event::ArtifactNeeded& need) {
  if (!is_plain(need))
    co_return co_await offload(lane_, std::move(caller), [this, &need] { return make(need); });
  const auto artifact = co_await source_.fetch(std::move(caller), wanted(need));
  if (!artifact) co_return std::unexpected(artifact.error());
  co_return prepared(*artifact);
}

Result<std::optional<session::PreparedArtifact>> SessionArtifacts::make(
    const session::server_event::ArtifactNeeded& need) {
  delta::HeldReleasePtr base;
  if (need.base_version != 0) {
    NOTP_ASSIGN(base, releases_.release(need.ledger, need.base_version));
  }
  if (!need.pending_hash.is_zero()) {
    NOTP_ASSIGN(const ArtifactPtr artifact,
                make_pending_(need.ledger, need.version, need.pending_hash, base));
    return prepared(artifact);
  }
  NOTP_ASSIGN(const delta::HeldReleasePtr target, releases_.release(need.ledger, need.version));
  return partials_.make(need, base, target);
}

}  // namespace notp::serve
