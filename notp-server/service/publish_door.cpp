#include "notp-server/service/publish_door.hpp"

#include <fmt/format.h>

#include "protocol/delta/artifact.hpp"
#include "protocol/model/validate.hpp"

namespace notp {
namespace {

ReleaseContent side_of(const Snapshot& snapshot) {
  return {snapshot.envelope, snapshot.content.tree.get(), snapshot.content.loader()};
}

wire::Head head_of(const ReleaseInfo& info) {
  return {.ledger = info.release.ledger,
          .version = info.release.version,
          .release_hash = info.hash,
          .content_root = info.release.content_root,
          .epoch = info.release.epoch};
}

Error moved_head(const PublishAttempt& attempt, const std::optional<ReleaseInfo>& head) {
  const std::string ledger = attempt.publish.ledger.text();
  if (!head)
    return {ErrorCode::kConflict,
            fmt::format("{} has no release in this registry, but the publish expects one", ledger),
            {}};
  return {
      ErrorCode::kConflict,
      fmt::format("the head of {} is v{}, published by {}; this publish was made on another head",
                  ledger, head->release.version, head->publisher),
      {}};
}

}  // namespace

PublishOutcome PublishDoor::handle(PublishAttempt attempt) {
  PublishOutcome outcome;
  outcome.result.request = attempt.publish.request;
  auto accepted = accept(attempt, outcome.result);
  if (accepted) {
    outcome.published = std::move(*accepted);
    outcome.result.version = outcome.published->release.version;
    outcome.result.release_hash = outcome.published->hash;
    outcome.result.commit = outcome.published->commit;
    return outcome;
  }
  outcome.result.code = static_cast<uint32_t>(accepted.error().code);
  outcome.result.message = accepted.error().message;
  if (accepted.error().code == ErrorCode::kConflict) {
    if (const auto head = registry_.head(attempt.publish.ledger)) {
      outcome.result.head = head_of(*head);
      outcome.result.head_publisher = head->publisher;
      outcome.result.head_issued_ms = head->release.issued_ms;
    }
  }
  return outcome;
}

Result<SnapshotPtr> PublishDoor::accept(PublishAttempt& attempt, wire::PublishResult& result) {
  const wire::Publish& publish = attempt.publish;
  const auto head = registry_.head(publish.ledger);
  SnapshotPtr base;
  if (publish.base) {
    NOTP_ASSIGN(base, registry_.snapshot(publish.ledger, publish.base->version));
    if (base->release.content_root != publish.base->content_root)
      return fail(ErrorCode::kArtifact,
                  fmt::format("{} v{} has another content root here than the publish was made on",
                              publish.ledger.text(), publish.base->version));
  }
  NOTP_ASSIGN(const VerifiedRelease verified, verify(attempt, base, head));
  if (head && verified.hash == head->hash)
    return registry_.snapshot(publish.ledger, head->release.version);
  if (publish.expected_head != (head ? head->hash : Hash{}))
    return std::unexpected(moved_head(attempt, head));
  const uint64_t next = head ? head->release.version + 1 : 1;
  if (verified.release.version != publish.version)
    return fail(ErrorCode::kWrongTarget,
                fmt::format("{}: v{} was announced, v{} is signed", publish.ledger.text(),
                            publish.version, verified.release.version));
  if (verified.release.version != next || verified.release.previous != publish.expected_head)
    return fail(ErrorCode::kConflict,
                fmt::format("{}: the signed release is v{}, the next one here is v{}",
                            publish.ledger.text(), verified.release.version, next));
  NOTP_ASSIGN(ModelContent content, rebuild(attempt, base, verified.release));
  NOTP_TRY(check_model(content, verified.release, result));
  NOTP_TRY(check_neighbours(verified.release));
  return registry_.publish(NewRelease{.ledger = publish.ledger,
                                      .expected_head = publish.expected_head,
                                      .release = verified.release,
                                      .hash = verified.hash,
                                      .envelope = verified.envelope,
                                      .content = std::move(content),
                                      .publisher = attempt.publisher.text(),
                                      .message = publish.message});
}

// A stale expectation is told apart from a forged release: with a moved head the floor is not held
// against the publisher, the compare-and-set is.
Result<VerifiedRelease> PublishDoor::verify(const PublishAttempt& attempt, const SnapshotPtr& base,
                                            const std::optional<ReleaseInfo>& head) const {
  const ByteView base_envelope = base ? ByteView(base->envelope) : ByteView();
  NOTP_ASSIGN(const Bytes envelope, read_envelope(attempt.artifact, base_envelope));
  const bool current = head && attempt.publish.expected_head == head->hash;
  const Floor floor =
      current ? Floor{head->release.epoch, head->release.version, head->hash} : Floor{};
  return verify_release(envelope, *root_, attempt.publish.ledger, floor, attempt.now_ms);
}

Result<ModelContent> PublishDoor::rebuild(const PublishAttempt& attempt, const SnapshotPtr& base,
                                          const Release& release) const {
  std::optional<ReleaseContent> side;
  if (base) side = side_of(*base);
  NOTP_ASSIGN(AppliedArtifact applied, apply_artifact(attempt.artifact, side ? &*side : nullptr,
                                                      {release.total_bytes, release.file_count}));
  if (applied.tree->content_root() != release.content_root ||
      applied.tree->total_bytes() != release.total_bytes ||
      applied.tree->files().size() != release.file_count)
    return fail(ErrorCode::kContentRoot,
                fmt::format("{} v{}: the content sent is not the content signed",
                            release.ledger.text(), release.version));
  ModelContent content{std::move(applied.tree), std::move(applied.new_blobs)};
  for (const auto& [path, file] : content.tree->files()) {
    if (content.blobs.contains(file.hash)) continue;
    if (!base) return fail(ErrorCode::kArtifact, path + " came without its content");
    content.blobs[file.hash] = base->content.blobs.at(file.hash);
  }
  return content;
}

Result<void> PublishDoor::check_model(const ModelContent& content, const Release& release,
                                      wire::PublishResult& result) const {
  NOTP_ASSIGN(const ModelReport report, validate_model(*content.tree, content.loader()));
  for (const ModelFinding& finding : report.findings)
    result.findings.push_back({finding.path, finding.line, finding.rule, finding.message});
  if (!report.valid())
    return fail(ErrorCode::kInvalidModel,
                fmt::format("{} v{} is not a valid model:\n{}", release.ledger.text(),
                            release.version, findings_text(report.findings)));
  if (report.manifest.roots != release.roots)
    return fail(ErrorCode::kInvalidModel,
                fmt::format("{} v{}: the signed roots are not those of manifest.json",
                            release.ledger.text(), release.version));
  return {};
}

Result<void> PublishDoor::check_neighbours(const Release& release) const {
  const auto rights = rights_.get();
  for (const LedgerId& other : registry_.ledgers()) {
    if (other == release.ledger || !rights->granted_together(release.ledger, other)) continue;
    const auto head = registry_.head(other);
    if (!head) continue;
    if (const std::string pair = roots_overlap(release.roots, head->release.roots); !pair.empty())
      return fail(
          ErrorCode::kRootsOverlap,
          fmt::format("{} and {} are granted to the same nodes, and their data roots overlap "
                      "({}); give one of them other roots",
                      release.ledger.text(), other.text(), pair));
  }
  return {};
}

}  // namespace notp
