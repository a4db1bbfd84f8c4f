// Makes the artifacts, of any kind, that a session asks for.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>
#include <string>

#include "protocol/serve/artifact_source.hpp"
#include "protocol/serve/partial_artifacts.hpp"

namespace notp::serve {

// Thread-safe.
class SessionArtifacts {
 public:
  // Makes the artifact of a pending release against `base` (null: full content). It blocks, so it
  // runs in the lane. kNotFound, kCorrupt.
  using MakePending =
      std::function<Result<ArtifactPtr>(const model::LedgerId& ledger, uint64_t version,
                                        const Hash& release, const delta::HeldReleasePtr& base)>;

  // The references outlive it; the lane's work ends before the executors of the waiting callers.
  SessionArtifacts(ReleaseSource& releases, ArtifactCache& cache, FairLane& lane,
                   MakePending make_pending)
      : releases_(releases),
        lane_(lane),
        source_(releases, cache, lane),
        partials_(releases, cache),
        make_pending_(std::move(make_pending)) {}

  // Returns the cached artifact; nullopt when it has to be made. Does not block.
  std::optional<session::PreparedArtifact> cached(
      const session::server_event::ArtifactNeeded& need);
  // Makes it in the turn of `caller`, an identity, or waits for the same artifact that is being
  // made for another one. nullopt: the inventory is a sketch that cannot be read. kNotFound,
  // kCorrupt, kOverloaded, errors of encode_artifact().
  boost::asio::awaitable<Result<std::optional<session::PreparedArtifact>>> obtain(
      std::string caller, const session::server_event::ArtifactNeeded& need);
  // Makes the artifact that sessions will want first of a new head. Blocking.
  void prepare(const model::LedgerId& ledger, const Span* publish = nullptr) {
    source_.prepare(ledger, publish);
  }

  // Sessions that waited for an artifact being made for another one, since the start.
  uint64_t joined_total() const { return source_.joined_total(); }

 private:
  Result<std::optional<session::PreparedArtifact>> make(
      const session::server_event::ArtifactNeeded& need);

  ReleaseSource& releases_;
  FairLane& lane_;
  ArtifactSource source_;
  PartialArtifacts partials_;
  const MakePending make_pending_;
};

}  // namespace notp::serve
