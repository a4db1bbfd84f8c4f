#include "tools/bench/swarm_releases.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "protocol/delta/artifact.hpp"
#include "protocol/trust/content_check.hpp"

namespace notp::bench {
namespace {

constexpr size_t kArtifactsKept = 64;  // sessions are at most so many artifacts apart

}  // namespace

Result<std::unique_ptr<SwarmReleases>> SwarmReleases::open(ByteView root,
                                                           const std::string& trust_domain,
                                                           const model::LedgerId& ledger) {
  NOTP_ASSIGN(trust::Root pinned, trust::verify_pinned_root(root, trust_domain));
  return std::unique_ptr<SwarmReleases>(
      new SwarmReleases(std::make_shared<const trust::Root>(std::move(pinned)), ledger));
}

std::shared_ptr<const trust::Root> SwarmReleases::root() const {
  const MutexLock lock(mutex_);
  return root_;
}

uint64_t SwarmReleases::distinct_artifacts() const {
  const MutexLock lock(mutex_);
  return distinct_;
}

Result<void> SwarmReleases::take_root(ByteView envelope) {
  const MutexLock lock(mutex_);
  if (std::ranges::find(root_chain_, envelope) != root_chain_.end()) return {};
  trust::Trusted trusted;
  trusted.root = root_;
  trust::Update update;
  update.root_chain = {envelope};
  const trust::Verdict verdict = trust::verify_update(update, trusted, read_clock().wall_ms);
  if (verdict.error) return std::unexpected(*verdict.error);
  trust::advance(trusted, verdict);
  root_ = trusted.root;
  root_chain_.emplace_back(envelope);
  return {};
}

Result<SwarmReleasePtr> SwarmReleases::take(const wire::Offer& offer, Bytes artifact,
                                            const SwarmReleasePtr& base) {
  const uint64_t base_version = offer.base ? offer.base->version : 0;
  const MutexLock lock(mutex_);
  // Newest first: that is the one that most sessions get now.
  for (auto known = known_.rbegin(); known != known_.rend(); ++known)
    if (known->version == offer.version && known->base_version == base_version &&
        known->artifact == artifact)
      return known->release;
  NOTP_ASSIGN(SwarmReleasePtr release, learn(offer, artifact, offer.base ? base : nullptr));
  ++distinct_;
  keep({offer.version, base_version, std::move(artifact), release});
  return release;
}

Result<SwarmReleasePtr> SwarmReleases::learn(const wire::Offer& offer, ByteView artifact,
                                             const SwarmReleasePtr& base) {
  if (offer.partial || (offer.base && (!base || base->ref.version != offer.base->version)))
    return fail(ErrorCode::kState,
                fmt::format("v{} builds on what no session holds", offer.version));
  trust::Trusted trusted;
  trusted.root = root_;
  trust::LedgerTrust& floor = trusted.ledgers[ledger_];
  if (base) floor.floor = trust::floor_of(base->ref);
  NOTP_ASSIGN(trust::ReleaseEnvelope envelope,
              delta::read_envelope(artifact, base ? base->envelope : trust::ReleaseEnvelope()));
  NOTP_ASSIGN(trust::VerifiedRelease verified,
              trust::verify_release(std::move(envelope), ledger_, trusted, read_clock().wall_ms));
  const trust::Release& statement = verified.release();
  if (statement.version != offer.version)
    return fail(ErrorCode::kWrongTarget,
                fmt::format("v{} was offered, v{} is signed", offer.version, statement.version));
  delta::ReleaseContent held;
  if (base)
    held = {base->envelope, base->tree.get(), model::ModelContent{base->tree, blobs_}.loader()};
  NOTP_ASSIGN(delta::AppliedArtifact applied,
              delta::apply_artifact(artifact, base ? &held : nullptr,
                                    {statement.total_bytes, statement.file_count}));
  if (applied.tree->content_root() != statement.content_root)
    return fail(ErrorCode::kContentRoot,
                fmt::format("v{}: the content has another root than is signed", offer.version));
  blobs_.insert(applied.new_blobs.begin(), applied.new_blobs.end());
  NOTP_TRY(trust::check_content(*root_, statement, *applied.tree,
                                model::ModelContent{applied.tree, blobs_}.loader()));
  return std::make_shared<const SwarmRelease>(
      SwarmRelease{verified.ref, std::move(verified.envelope), std::move(applied.tree)});
}

// Contents of releases that are dropped go with them.
void SwarmReleases::keep(Known known) {
  known_.push_back(std::move(known));
  if (known_.size() <= kArtifactsKept) return;
  known_.pop_front();
  model::BlobMap left;
  for (const Known& each : known_)
    for (const auto& [path, file] : each.release->tree->files())
      if (const auto found = blobs_.find(file.hash); found != blobs_.end()) left.insert(*found);
  blobs_ = std::move(left);
}

}  // namespace notp::bench
