#include "notp-server/publish/publish_pipeline.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "notp-server/publish/rebuilt_content.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/model/validate.hpp"
#include "protocol/trust/content_check.hpp"
#include "protocol/trust/roots_check.hpp"

namespace notp::publish {
namespace {

Error moved_head(const model::LedgerId& ledger, const registry::ReleaseInfoPtr& head) {
  if (!head)
    return {ErrorCode::kConflict,
            fmt::format("{} has no release in this registry, but the publish expects one",
                        ledger.text()),
            {}};
  return {
      ErrorCode::kConflict,
      fmt::format("the head of {} is v{}, published by {}; this publish was made on another head",
                  ledger.text(), head->release.version, head->publisher),
      {}};
}

// In the context of an error of MayPublish: the head has not moved.
constexpr const char* kHeldUp = "held_up";

// Of the release and its base: a large document is compared with the one before it. The references
// outlive the loader.
model::BlobLoader loader_of(const model::ModelContent& content, const registry::SnapshotPtr& base) {
  return [&](const Hash& hash) -> Result<model::Content> {
    const auto own = content.blobs.find(hash);
    if (own != content.blobs.end()) return own->second;
    if (base) return base->content.loader()(hash);
    return fail(ErrorCode::kNotFound, fmt::format("no content {}", hash.brief()));
  };
}

bool is_held_up(const Error& error) {
  return std::ranges::any_of(error.context,
                             [](const auto& entry) { return entry.first == kHeldUp; });
}

}  // namespace

PublishPipeline::PublishPipeline(registry::Registry& registry, PendingStore& waiting,
                                 RootSource root, const AtomicShared<authz::RightsTable>& rights,
                                 rego::ModelChecker& engine, model::BuiltinGrants builtins,
                                 const authz::DenyList* denied,
                                 Neighbours::SubscribedTogether subscribed, MayPublish may_publish)
    : registry_(registry),
      waiting_(waiting),
      root_(std::move(root)),
      engine_(engine),
      builtins_(std::move(builtins)),
      denied_(denied),
      neighbours_(registry, rights, engine, builtins_, std::move(subscribed)),
      may_publish_(std::move(may_publish)) {
  drop_moved(std::nullopt);
}

PublishOutcome PublishPipeline::handle(PublishAttempt attempt) {
  const model::LedgerId ledger = attempt.publish.ledger;
  wire::PublishResult result;
  result.request = attempt.publish.request;
  auto done = [&]() -> Result<registry::SnapshotPtr> {
    NOTP_ASSIGN(const PublishJob job, begin(std::move(attempt)));
    auto passed = publish_verified(job, result);
    const bool short_of_signatures = !passed && passed.error().code == ErrorCode::kSignature;
    return job.publish.pending && short_of_signatures ? keep(job, result) : passed;
  }();
  return outcome_of(std::move(done), ledger, std::move(result));
}

PublishOutcome PublishPipeline::outcome_of(Result<registry::SnapshotPtr> done,
                                           const model::LedgerId& ledger,
                                           wire::PublishResult result) {
  PublishOutcome outcome{std::move(result), nullptr};
  const bool conflict =
      !done && done.error().code == ErrorCode::kConflict && !is_held_up(done.error());
  if (conflict || (done && *done)) drop_moved(ledger);
  if (done && *done) {
    outcome.published = *std::move(done);
    outcome.result.version = outcome.published->release.version;
    outcome.result.release_hash = outcome.published->ref.release_hash;
    outcome.result.commit = outcome.published->commit;
    outcome.result.signers = outcome.result.threshold = 0;
  } else if (!done) {
    outcome.result.code = static_cast<uint32_t>(done.error().code);
    outcome.result.message = done.error().message;
  }
  if (!conflict) return outcome;
  if (const auto head = registry_.head(ledger)) {
    outcome.result.head = head->ref;
    outcome.result.head_publisher = head->publisher;
    outcome.result.head_issued_ms = head->release.issued_ms;
  }
  return outcome;
}

Result<PublishPipeline::PublishJob> PublishPipeline::begin(PublishAttempt attempt) const {
  const wire::Publish& publish = attempt.publish;
  if (auto damage = registry_.damage(publish.ledger)) return std::unexpected(*std::move(damage));
  NOTP_TRY(check_may_publish(publish.ledger));
  registry::SnapshotPtr base;
  if (publish.base) {
    NOTP_ASSIGN(base, registry_.snapshot(publish.ledger, publish.base->version));
    if (base->release.content_root != publish.base->content_root)
      return fail(ErrorCode::kArtifact,
                  fmt::format("{} v{} has another content root here than the publish was made on",
                              publish.ledger.text(), publish.base->version));
  }
  NOTP_ASSIGN(
      trust::ReleaseEnvelope envelope,
      delta::read_envelope(attempt.artifact, base ? base->envelope : trust::ReleaseEnvelope()));
  if (publish.pending && envelope.open()) {
    const auto known = waiting_.find(publish.ledger, envelope.hash());
    if (known) envelope = with_signatures(publish.ledger, envelope, known->envelope);
  }
  return PublishJob{std::move(attempt.publish),
                    std::move(attempt.artifact),
                    std::move(envelope),
                    attempt.publisher.text(),
                    std::move(base),
                    attempt.now_ms,
                    std::move(attempt.publisher),
                    attempt.span};
}

Result<void> PublishPipeline::check_may_publish(const model::LedgerId& ledger) const {
  if (!may_publish_) return {};
  auto may = may_publish_(ledger);
  if (!may) return std::unexpected(std::move(may).error().with(kHeldUp, ledger.text()));
  return {};
}

Result<registry::SnapshotPtr> PublishPipeline::publish_verified(const PublishJob& job,
                                                                wire::PublishResult& result) {
  const wire::Publish& publish = job.publish;
  const auto head = registry_.head(publish.ledger);
  NOTP_ASSIGN(
      const trust::VerifiedRelease verified,
      trust::verify_release(job.envelope, publish.ledger, trusted_for(publish, head), job.now_ms));
  if (head && verified.ref.release_hash == head->ref.release_hash)
    return registry_.snapshot(publish.ledger, head->release.version);
  NOTP_ASSIGN(model::ModelContent content, validate_content(job, verified.release(), head, result));
  // A validation takes long, and nodes speak meanwhile.
  NOTP_TRY(check_may_publish(publish.ledger));
  Span storing = child_of(job.span, "store");
  auto stored =
      registry_.publish(registry::NewRelease{.ref = verified.ref,
                                             .expected_head_hash = publish.expected_head_hash,
                                             .release = verified.release(),
                                             .envelope = verified.envelope,
                                             .content = std::move(content),
                                             .publisher = job.publisher,
                                             .message = publish.message});
  storing.end_with(stored);
  return stored;
}

// A stale expectation is reported as such, not as a forged release: if the head has moved, the
// compare-and-set refuses the release, not the floor.
trust::Trusted PublishPipeline::trusted_for(const wire::Publish& publish,
                                            const registry::ReleaseInfoPtr& head) const {
  trust::Trusted trusted;
  trusted.root = root_();
  if (head && publish.expected_head_hash == head->ref.release_hash)
    trusted.ledgers[publish.ledger].floor = {head->release.epoch, head->release.version,
                                             head->ref.release_hash};
  return trusted;
}

Result<model::ModelContent> PublishPipeline::validate_content(const PublishJob& job,
                                                              const trust::Release& release,
                                                              const registry::ReleaseInfoPtr& head,
                                                              wire::PublishResult& result) const {
  const wire::Publish& publish = job.publish;
  if (auto damage = registry_.damage(publish.ledger)) return std::unexpected(*std::move(damage));
  if (publish.expected_head_hash != (head ? head->ref.release_hash : Hash{}))
    return std::unexpected(moved_head(publish.ledger, head));
  const uint64_t next = head ? head->release.version + 1 : 1;
  if (release.version != publish.version)
    return fail(ErrorCode::kWrongTarget,
                fmt::format("{}: v{} was announced, v{} is signed", publish.ledger.text(),
                            publish.version, release.version));
  if (release.version != next || release.previous_hash != publish.expected_head_hash)
    return fail(ErrorCode::kConflict,
                fmt::format("{}: the signed release is v{}, the next one here is v{}",
                            publish.ledger.text(), release.version, next));
  Span validating = child_of(job.span, "validate");
  auto valid = [&]() -> Result<model::ModelContent> {
    NOTP_ASSIGN(model::ModelContent content, rebuild_content(job.artifact, job.base, release));
    const model::BlobLoader load = loader_of(content, job.base);
    NOTP_TRY(trust::check_content(*root_(), release, *content.tree, load));
    NOTP_TRY(check_model(job, content, load, release, result));
    // What validation passed and nodes would refuse is refused here.
    NOTP_TRY(trust::check_roots(release, *content.tree, load,
                                job.base ? trust::ConfinedContent{job.base->content.tree.get(),
                                                                  &job.base->release.data_roots}
                                         : trust::ConfinedContent{}));
    NOTP_TRY(check_neighbours(publish, content, release, result));
    return content;
  }();
  validating.end_with(valid);
  return valid;
}

Result<void> PublishPipeline::check_model(const PublishJob& job, const model::ModelContent& content,
                                          const model::BlobLoader& load,
                                          const trust::Release& release,
                                          wire::PublishResult& result) const {
  const registry::SnapshotPtr& base = job.base;
  const model::ResolvedUses uses =
      neighbours_.uses_of(release, job.reader ? &*job.reader : nullptr);
  NOTP_ASSIGN(model::ModelReport report,
              model::validate_model(*content.tree, load, &engine_,
                                    {.known = &documents_,
                                     .before = base ? base->content.tree.get() : nullptr,
                                     .allow = builtins_.of(release.ledger),
                                     .uses = &uses}));
  if (report.valid() && denied_ != nullptr && denied_->ledger() == release.ledger) {
    NOTP_ASSIGN(report.findings, authz::check_deny_list(content));
  }
  for (const model::ModelFinding& finding : report.findings)
    result.findings.push_back({finding.path, finding.line, finding.rule, finding.message});
  if (!report.valid())
    return fail(ErrorCode::kInvalidModel,
                fmt::format("{} v{} is not a valid model:\n{}", release.ledger.text(),
                            release.version, model::findings_text(report.findings)));
  const auto is_not = [&](std::string_view what) {
    return fail(ErrorCode::kInvalidModel,
                fmt::format("{} v{}: the signed {} are not those of manifest.json",
                            release.ledger.text(), release.version, what));
  };
  if (report.manifest.data_roots != release.data_roots) return is_not("roots");
  if (report.manifest.uses != release.uses) return is_not("uses");
  return {};
}

Result<void> PublishPipeline::check_neighbours(const wire::Publish& publish,
                                               const model::ModelContent& content,
                                               const trust::Release& release,
                                               wire::PublishResult& result) const {
  NOTP_ASSIGN(result.warnings, neighbours_.check_roots(release));
  NOTP_ASSIGN(std::vector<wire::Finding> broken, neighbours_.broken_by(release, content));
  if (broken.empty()) return {};
  if (publish.break_dependants) {
    std::ranges::move(broken, std::back_inserter(result.warnings));
    if (result.warnings.size() > limits::kFindingsMax) result.warnings.resize(limits::kFindingsMax);
    return {};
  }
  result.warnings.clear();
  result.findings = std::move(broken);
  return fail(ErrorCode::kInvalidModel,
              fmt::format("{} v{} breaks ledgers that use it; publish them first, or say "
                          "--break-dependants, and nodes withhold them until they are mended",
                          release.ledger.text(), release.version));
}

}  // namespace notp::publish
