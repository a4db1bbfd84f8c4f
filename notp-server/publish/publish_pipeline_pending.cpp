// The part of the pipeline for releases with too few signatures.
#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/mutex.hpp"
#include "notp-server/publish/publish_pipeline.hpp"
#include "protocol/delta/artifact.hpp"

namespace notp::publish {
namespace {

Result<trust::Envelope> stored_envelope(const PendingRelease& release) {
  return trust::Envelope::decode(release.envelope);
}

void announce_waiting(const trust::WaitingRelease& release, wire::PublishResult& result) {
  result.version = release.release().version;
  result.release_hash = release.ref.release_hash;
  result.signers = release.signers;
  result.threshold = release.threshold;
}

// The publish that a pending release was submitted with.
wire::Publish publish_of(const PendingRelease& release) {
  wire::Publish publish;
  publish.ledger = release.ledger;
  publish.version = release.version;
  publish.expected_head_hash = release.expected_head_hash;
  publish.size = release.artifact_bytes;
  publish.message = release.message;
  publish.break_dependants = release.break_dependants;
  publish.pending = true;
  return publish;
}

std::unexpected<Error> not_waiting(const model::LedgerId& ledger, const Hash& hash) {
  return fail(ErrorCode::kNotFound,
              fmt::format("no release {} of {} waits for signatures: it was dropped, or another "
                          "one was published in its place",
                          hash.brief(), ledger.text()));
}

// An envelope that exceeds a frame could neither be listed nor published.
Result<void> check_envelope_bytes(const Bytes& envelope, const PendingRelease& release) {
  if (envelope.size() <= limits::kEnvelopeBytesMax) return {};
  return fail(
      ErrorCode::kLimit,
      fmt::format("with one more signature the envelope of {} v{} has {} bytes, at most {}: "
                  "sign a release with fewer or shorter data roots",
                  release.ledger.text(), release.version, envelope.size(),
                  limits::kEnvelopeBytesMax));
}

// Refuses a message early that the version store would refuse after the last signature.
Result<void> check_message(const std::string& message) {
  if (is_utf8(message) && message.size() <= limits::kErrorTextBytesMax) return {};
  return fail(ErrorCode::kUsage, fmt::format("the message is not UTF-8 of at most {} bytes",
                                             limits::kErrorTextBytesMax));
}

}  // namespace

// Both envelopes have the same payload. Only valid signatures are kept, because an envelope holds
// few.
Bytes PublishPipeline::with_signatures(const model::LedgerId& ledger, ByteView envelope,
                                       ByteView other) const {
  const auto root = root_();
  const trust::Delegation* delegation = root->delegation_for(ledger);
  auto merged = trust::Envelope::decode(envelope);
  auto added = trust::Envelope::decode(other);
  if (delegation == nullptr || !merged || !added) return Bytes(envelope);
  std::ranges::move(added->signatures, std::back_inserter(merged->signatures));
  merged->signatures = trust::valid_signatures(*merged, delegation->keys);
  // One with signatures that do not count is not one without any.
  if (merged->signatures.empty()) return Bytes(envelope);
  if (merged->signatures.size() > limits::kSignaturesMax)
    merged->signatures.resize(limits::kSignaturesMax);
  return merged->encode();
}

Result<registry::SnapshotPtr> PublishPipeline::keep(const PublishJob& job,
                                                    wire::PublishResult& result) {
  const wire::Publish& publish = job.publish;
  const auto head = registry_.head(publish.ledger);
  NOTP_ASSIGN(
      const trust::WaitingRelease release,
      trust::verify_pending(job.envelope, publish.ledger, trusted_for(publish, head), job.now_ms));
  if (head && release.ref.release_hash == head->ref.release_hash)
    return registry_.snapshot(publish.ledger, head->release.version);
  NOTP_TRY(check_message(publish.message));
  NOTP_ASSIGN(const model::ModelContent content,
              validate_content(job, release.release(), head, result));
  NOTP_TRY(store(job, release, content));
  return publish_if_complete(publish.ledger, release.ref.release_hash, job.now_ms, result);
}

Result<void> PublishPipeline::store(const PublishJob& job, const trust::WaitingRelease& release,
                                    const model::ModelContent& content) {
  const model::LedgerId& ledger = job.publish.ledger;
  const Bytes envelope = release.valid.encode();
  // Full content, because the next signer does not have the publisher's base.
  Bytes artifact;
  if (!waiting_.find(ledger, release.ref.release_hash)) {
    NOTP_ASSIGN(artifact,
                delta::encode_artifact(nullptr, {envelope, content.tree.get(), content.loader()}));
  }
  const MutexLock lock(waiting_mutex_);
  if (const auto known = waiting_.find(ledger, release.ref.release_hash)) {
    Bytes merged = with_signatures(ledger, known->envelope, envelope);
    NOTP_TRY(check_envelope_bytes(merged, *known));
    return waiting_.set_envelope(ledger, release.ref.release_hash, std::move(merged));
  }
  PendingRelease waiting{.ledger = ledger,
                         .version = release.release().version,
                         .release_hash = release.ref.release_hash,
                         .expected_head_hash = job.publish.expected_head_hash,
                         .envelope = envelope,
                         .publisher = job.publisher,
                         .message = job.publish.message,
                         .break_dependants = job.publish.break_dependants,
                         .received_ms = job.now_ms};
  // Dropped or superseded since the first check: the next attempt detects that.
  if (artifact.empty() || has_moved(waiting))
    return fail(ErrorCode::kConflict,
                fmt::format("{} changed while v{} was checked; plan it against the head again",
                            ledger.text(), waiting.version));
  const std::vector<PendingRelease> replaced =
      release.signers == 0 ? unsigned_by(ledger, job.publisher) : std::vector<PendingRelease>();
  NOTP_TRY(waiting_.add(std::move(waiting), artifact));
  for (const PendingRelease& earlier : replaced)
    drop(earlier, "its publisher has proposed another one");
  return {};
}

// Whoever may publish and holds no key must not take the places of those who sign.
std::vector<PendingRelease> PublishPipeline::unsigned_by(const model::LedgerId& ledger,
                                                         const std::string& publisher) const {
  std::vector<PendingRelease> releases = waiting_.list(ledger);
  std::erase_if(releases, [&](const PendingRelease& release) {
    const auto envelope = stored_envelope(release);
    return release.publisher != publisher || !envelope || !envelope->signatures.empty();
  });
  return releases;
}

void PublishPipeline::drop(const PendingRelease& release, std::string_view reason) {
  if (auto dropped = waiting_.drop(release.ledger, release.release_hash); dropped)
    log::info("pending_dropped", {{"ledger", release.ledger.text()},
                                  {"version", release.version},
                                  {"release", release.release_hash.brief()},
                                  {"reason", reason}});
  else
    log::write(log::Level::kError, "pending_not_dropped", dropped.error(),
               {{"ledger", release.ledger.text()}});
}

Result<registry::SnapshotPtr> PublishPipeline::publish_if_complete(const model::LedgerId& ledger,
                                                                   const Hash& hash, TimeMs now_ms,
                                                                   wire::PublishResult& result) {
  const auto waiting = waiting_.find(ledger, hash);
  const auto head = registry_.head(ledger);
  // The answer to the last signer may have been lost.
  if (head && head->ref.release_hash == hash)
    return registry_.snapshot(ledger, head->release.version);
  if (!waiting) return not_waiting(ledger, hash);
  if (has_moved(*waiting))
    return fail(ErrorCode::kConflict,
                fmt::format("the head of {} has moved to v{}: v{} is dropped; plan it against the "
                            "head again",
                            ledger.text(), head->release.version, waiting->version));
  PublishJob job{publish_of(*waiting), {}, waiting->envelope, waiting->publisher, nullptr, now_ms};
  NOTP_ASSIGN(const trust::WaitingRelease release,
              trust::verify_pending(job.envelope, ledger, trusted_for(job.publish, head), now_ms));
  announce_waiting(release, result);
  if (release.signers < release.threshold) return registry::SnapshotPtr();
  NOTP_ASSIGN(job.artifact, waiting_.artifact(ledger, hash));
  return publish_verified(job, result);
}

PublishOutcome PublishPipeline::cosign(const wire::Cosign& cosign, TimeMs now_ms) {
  wire::PublishResult result;
  auto done = [&]() -> Result<registry::SnapshotPtr> {
    NOTP_TRY(check_may_publish(cosign.ledger));
    return add_signature(cosign, now_ms, result);
  }();
  return outcome_of(std::move(done), cosign.ledger, std::move(result));
}

Result<registry::SnapshotPtr> PublishPipeline::add_signature(const wire::Cosign& cosign,
                                                             TimeMs now_ms,
                                                             wire::PublishResult& result) {
  {
    const MutexLock lock(waiting_mutex_);
    if (const auto waiting = waiting_.find(cosign.ledger, cosign.release_hash)) {
      NOTP_ASSIGN(trust::Envelope signature, stored_envelope(*waiting));
      signature.signatures = {{cosign.signature, {}}};
      // Refuses a signature by a key outside the delegation, and one for a release that cannot be
      // published now.
      NOTP_TRY(trust::verify_waiting(
          signature.encode(), cosign.ledger,
          trusted_for(publish_of(*waiting), registry_.head(cosign.ledger)), now_ms));
      Bytes envelope = with_signatures(cosign.ledger, waiting->envelope, signature.encode());
      NOTP_TRY(check_envelope_bytes(envelope, *waiting));
      if (envelope != waiting->envelope)
        NOTP_TRY(waiting_.set_envelope(cosign.ledger, cosign.release_hash, std::move(envelope)));
    }
  }
  return publish_if_complete(cosign.ledger, cosign.release_hash, now_ms, result);
}

Result<void> PublishPipeline::drop_pending(const wire::DropPending& drop) {
  const MutexLock lock(waiting_mutex_);
  return waiting_.drop(drop.ledger, drop.release_hash);
}

// A ledger whose repository is damaged has no head here; its pending releases are kept.
bool PublishPipeline::has_moved(const PendingRelease& release) const {
  const auto head = registry_.head(release.ledger);
  return head && head->ref.release_hash != release.expected_head_hash;
}

void PublishPipeline::drop_moved(const std::optional<model::LedgerId>& ledger) {
  const MutexLock lock(waiting_mutex_);
  for (const PendingRelease& release : waiting_.list(ledger))
    if (has_moved(release)) drop(release, "the head has moved");
}

PublishPipeline::PendingPage PublishPipeline::pending(
    const std::optional<model::LedgerId>& ledger, const std::optional<wire::PendingPlace>& after,
    const std::function<bool(const model::LedgerId&)>& may_see) const {
  const auto root = root_();
  PendingPage page;
  size_t bytes = 0;
  for (PendingRelease& release : waiting_.list(ledger)) {
    if (after && wire::PendingPlace{release.ledger, release.release_hash} <= *after) continue;
    if (!may_see(release.ledger)) continue;
    const auto envelope = stored_envelope(release);
    if (!envelope || has_moved(release)) continue;
    bytes += release.envelope.size() + release.message.size() + release.publisher.size();
    if (page.rows.size() == limits::kQueryRowsMax ||
        (bytes > limits::kFrameBytesMax && !page.rows.empty())) {
      page.more = true;
      break;
    }
    const trust::Delegation* delegation = root->delegation_for(release.ledger);
    wire::PendingRow row{.ledger = release.ledger,
                         .version = release.version,
                         .release_hash = release.release_hash,
                         .publisher = std::move(release.publisher),
                         .message = std::move(release.message),
                         .received_ms = release.received_ms,
                         .envelope = std::move(release.envelope)};
    if (delegation != nullptr) {
      row.signers = static_cast<uint32_t>(trust::count_signers(*envelope, delegation->keys));
      row.threshold = delegation->threshold;
    }
    page.rows.push_back(std::move(row));
  }
  return page;
}

std::optional<trust::ReleaseRef> PublishPipeline::pending_entry(const model::LedgerId& ledger,
                                                                uint64_t version,
                                                                const Hash& hash) const {
  const auto waiting = waiting_.find(ledger, hash);
  if (!waiting || waiting->version != version || has_moved(*waiting)) return std::nullopt;
  const auto envelope = stored_envelope(*waiting);
  if (!envelope) return std::nullopt;
  const auto release = trust::Release::decode(envelope->payload);
  if (!release) return std::nullopt;
  return trust::ref_of(*release, hash);
}

Result<serve::ArtifactPtr> PublishPipeline::pending_artifact(
    const model::LedgerId& ledger, uint64_t version, const Hash& hash,
    const delta::HeldReleasePtr& base) const {
  const auto waiting = waiting_.find(ledger, hash);
  if (!waiting || waiting->version != version) return not_waiting(ledger, hash);
  NOTP_ASSIGN(Bytes bytes, waiting_.artifact(ledger, hash));
  if (!base)
    return std::make_shared<const serve::Artifact>(delta::artifact_id({}, hash), std::move(bytes));
  trust::ReleaseEnvelope envelope(waiting->envelope);
  NOTP_TRY(envelope.open());
  NOTP_TRY(envelope.read());
  const trust::Release& release = envelope.release();
  NOTP_ASSIGN(const delta::AppliedArtifact whole,
              delta::apply_artifact(bytes, nullptr, {release.total_bytes, release.file_count}));
  const model::ModelContent content{whole.tree, whole.new_blobs};
  const delta::ReleaseContent from = base->side();
  NOTP_ASSIGN(bytes,
              delta::encode_artifact(&from, {envelope, content.tree.get(), content.loader()}));
  return std::make_shared<const serve::Artifact>(delta::artifact_id(base->ref.release_hash, hash),
                                                 std::move(bytes));
}

}  // namespace notp::publish
