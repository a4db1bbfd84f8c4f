#include "tools/notp/mirror/mirror_pass.hpp"

#include <fmt/format.h>

#include "common/failpoint.hpp"
#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "common/storage/folder_lock.hpp"
#include "common/storage/private_files.hpp"
#include "common/utf8_cut.hpp"
#include "tools/notp/mirror/upstream.hpp"
#include "tools/notp/publish/release_draft.hpp"
#include "tools/notp/publish/used_ledgers.hpp"
#include "tools/notp/query/query_session.hpp"
#include "tools/notp/workspace.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

// The head or the ref moved under a pass: it looks again so often.
constexpr int kTriesMax = 3;
// Content that was refused is validated again after this time: a ledger that it uses may be there
// now.
constexpr TimeMs kRefusedAgainMs = 600'000;
constexpr size_t kRefusalBytesMax = 8'192;

bool is_about_signatures(ErrorCode code) {
  return code == ErrorCode::kSignature || code == ErrorCode::kExpired ||
         code == ErrorCode::kRevoked;
}

// The content will not become better by another attempt.
bool is_about_content(ErrorCode code) {
  return code == ErrorCode::kInvalidModel || code == ErrorCode::kPdpRejected ||
         code == ErrorCode::kRootsOverlap || code == ErrorCode::kWrongTarget;
}

// A model needs a manifest; the mirror's own is for trees of people who know nothing of NOTP.
Result<void> add_manifest(FolderContent& read, const fs::path& file) {
  if (file.empty() || read.content.tree->find(model::kManifestPath) != nullptr) return {};
  NOTP_ASSIGN(Bytes text, read_file(file, limits::kManifestBytesMax));
  const model::FileEntry entry{model::blob_hash(text), text.size()};
  model::Files files = read.content.tree->files();
  files.emplace(model::kManifestPath, entry);
  NOTP_ASSIGN(model::Tree tree, model::Tree::make(std::move(files)));
  read.content.tree = std::make_shared<const model::Tree>(std::move(tree));
  read.content.blobs[entry.hash] = std::make_shared<const Bytes>(std::move(text));
  return {};
}

class MirrorPass {
 public:
  MirrorPass(const Context& context, const MirrorsConfig& config, const MirrorConfig& mirror)
      : mirror_(mirror),
        folder_(config.folder_of(mirror)),
        environment_(config.environment_in_state(context.environment)),
        settings_(config.settings_for(mirror, environment_)),
        context_{context.flags, environment_, context.output, context.now} {
    result_.status = load_mirror_status(folder_);
  }

  MirrorResult run() {
    Result<bool> ended = false;
    for (int tried = 0; tried < kTriesMax && ended && !*ended; ++tried) ended = attempt();
    if (ended && !*ended)
      ended = fail(ErrorCode::kConflict,
                   fmt::format("{} attempts did not succeed: {}", kTriesMax, conflict_));
    if (!ended) {
      result_.status.fail_with(ended.error(), blame_, read_clock().wall_ms);
      result_.error = std::move(ended).error();
    }
    return std::move(result_);
  }

 private:
  // False: something moved meanwhile.
  Result<bool> attempt();
  Result<void> open();
  Result<void> read_pending();
  Result<void> read_head();
  Result<void> verify_tip();
  Result<void> build();
  Result<bool> gather(MirrorStep step);
  Result<bool> conclude(const MirrorDecision& decision);
  Result<bool> send(const MirrorDecision& decision);
  void note_refusal(const Error& error);
  Result<void> drop_superseded();
  void note_checked(const Hash& head, MirrorChecked::Outcome outcome, std::string message);
  PublishTerms terms(const MirrorDecision& decision) const;

  const MirrorConfig& mirror_;
  const fs::path folder_;
  const Environment environment_;
  const Settings settings_;
  const Context context_;                         // with environment_
  MirrorReason blame_ = MirrorReason::kUpstream;  // whose part is being done
  std::string conflict_;                          // of the last attempt
  MirrorResult result_;

  // Of one attempt.
  MirrorRules rules_;
  MirrorFacts facts_;
  UpstreamTip tip_;
  std::optional<Upstream> upstream_;
  std::unique_ptr<ReleaseSource> source_;
  ReleaseDraft draft_;
};

Result<void> MirrorPass::open() {
  blame_ = MirrorReason::kUpstream;
  NOTP_ASSIGN(const Hash digest, mirror_.digest());
  rules_ = {.ledger = mirror_.ledger.text(),
            .repository = mirror_.upstream.repository,
            .on_rewrite = mirror_.on_rewrite,
            .can_sign = !settings_.signing_keys.empty(),
            .digest = digest};
  facts_ = {};
  if (!upstream_) {
    NOTP_ASSIGN(upstream_, Upstream::open(folder_, mirror_.upstream, environment_));
  }
  NOTP_ASSIGN(tip_, upstream_->look());
  facts_.tip = {tip_.ref, tip_.commit};
  blame_ = MirrorReason::kRegistry;
  NOTP_ASSIGN(source_,
              ReleaseSource::open(settings_, environment_, context_.output, mirror_.ledger));
  draft_ = {};
  draft_.ledger = mirror_.ledger;
  if (const auto& head = source_->head())
    facts_.head = MirrorHead{head->version, head->release_hash, {}, {}};
  const MirrorStatus& status = result_.status;
  const bool is_refusal =
      status.checked && status.checked->outcome == MirrorChecked::Outcome::kInvalid;
  const TimeMs since_ms = context_.now.wall_ms - status.checked_ms;  // < 0: the clock was set back
  if (!is_refusal || (since_ms >= 0 && since_ms < kRefusedAgainMs)) facts_.checked = status.checked;
  return read_pending();
}

Result<void> MirrorPass::read_pending() {
  std::vector<PublicKey> own;
  if (rules_.can_sign) {
    NOTP_ASSIGN(const std::vector<PrivateKey> keys, signing_keys({}, settings_));
    for (const PrivateKey& key : keys) own.push_back(key.public_key());
  }
  NOTP_ASSIGN(const auto rows, ask_pending(source_->client(), mirror_.ledger));
  for (const wire::PendingRow& row : rows) {
    const auto envelope = trust::Envelope::decode(row.envelope);
    if (!envelope) continue;
    const auto release = trust::Release::decode(envelope->payload);
    if (!release || !release->source) continue;
    facts_.pending.push_back({.version = row.version,
                              .release_hash = row.release_hash,
                              .source = *release->source,
                              .content_root = release->content_root,
                              .signers = row.signers,
                              .is_signed_here = trust::count_signers(*envelope, own) > 0});
  }
  return {};
}

Result<void> MirrorPass::read_head() {
  blame_ = MirrorReason::kRegistry;
  NOTP_ASSIGN(draft_.head, source_->pull_head());
  if (draft_.head) {
    const trust::Release& release = draft_.head->release();
    facts_.head = MirrorHead{release.version, draft_.head->verified.ref.release_hash,
                             release.content_root, release.source};
  }
  facts_.is_head_read = true;
  return {};
}

Result<void> MirrorPass::verify_tip() {
  auto signer = upstream_->verify(tip_);
  if (!signer && !is_about_signatures(signer.error().code))
    return std::unexpected(std::move(signer).error());
  facts_.verification = {.is_good = signer.has_value(),
                         .signer = signer ? *signer : "",
                         .message = signer ? "" : signer.error().message};
  result_.status.signer = signer ? *signer : "";
  return {};
}

Result<void> MirrorPass::build() {
  auto read = upstream_->content(tip_);
  if (!read) {
    // The folder is gone, or no model: a person has to look, not another attempt.
    if (read.error().code != ErrorCode::kNotFound && !is_about_content(read.error().code))
      return std::unexpected(std::move(read).error());
    facts_.content_root = Hash{};
    facts_.invalid = read.error().message;
    return {};
  }
  NOTP_TRY(add_manifest(*read, mirror_.manifest));
  blame_ = MirrorReason::kRegistry;  // used ledgers
  EngineCheck engine;
  engine.find_used = [this](const model::LedgerId& ledger) {
    return used_head(ledger, settings_, environment_, context_.output);
  };
  NOTP_ASSIGN(CheckedModel model, check_read_model(*std::move(read), engine));
  facts_.content_root = model.content.tree->content_root();
  if (!model.report.valid()) facts_.invalid = model::findings_text(model.report.findings);
  draft_.content = std::move(model.content);
  draft_.data_roots = model.report.manifest.data_roots;
  draft_.uses = model.report.manifest.uses;
  return {};
}

Result<bool> MirrorPass::gather(MirrorStep step) {
  blame_ = MirrorReason::kUpstream;
  switch (step) {
    case MirrorStep::kReadHead:
      NOTP_TRY(read_head());
      return true;
    case MirrorStep::kFetch: {
      auto fetched = upstream_->fetch(tip_);
      if (!fetched && fetched.error().code == ErrorCode::kConflict) {
        conflict_ = fetched.error().message;
        return false;
      }
      if (!fetched) return std::unexpected(std::move(fetched).error());
      failpoint("mirror.fetched");
      facts_.is_fetched = true;
      return true;
    }
    case MirrorStep::kVerify:
      NOTP_TRY(verify_tip());
      return true;
    case MirrorStep::kCompareHistory: {
      NOTP_ASSIGN(facts_.has_head_commit,
                  upstream_->has_ancestor(tip_, facts_.head->source->commit));
      return true;
    }
    case MirrorStep::kComparePath: {
      NOTP_ASSIGN(facts_.has_checked_content,
                  upstream_->same_content(facts_.checked->commit, tip_));
      return true;
    }
    default:
      NOTP_TRY(build());
      failpoint("mirror.built");
      return true;
  }
}

Result<bool> MirrorPass::attempt() {
  NOTP_TRY(open());
  MirrorDecision decision = decide_mirror(rules_, facts_);
  while (decision.step < MirrorStep::kPublish) {
    NOTP_ASSIGN(const bool goes_on, gather(decision.step));
    if (!goes_on) return false;
    decision = decide_mirror(rules_, facts_);
  }
  MirrorStatus& status = result_.status;
  status.tip = facts_.tip;
  status.head_version = facts_.head ? facts_.head->version : 0;
  blame_ = MirrorReason::kRegistry;
  NOTP_TRY(drop_superseded());
  return decision.step == MirrorStep::kNothing ? conclude(decision) : send(decision);
}

Result<bool> MirrorPass::conclude(const MirrorDecision& decision) {
  const Hash head = facts_.head ? facts_.head->release_hash : Hash{};
  if (decision.state == MirrorState::kCurrent)
    note_checked(head, MirrorChecked::Outcome::kSameContent, {});
  else if (decision.reason == MirrorReason::kInvalidModel && facts_.invalid)
    note_checked(head, MirrorChecked::Outcome::kInvalid, *facts_.invalid);
  else if (facts_.content_root && find_pending(facts_, rules_.repository) != nullptr)
    note_checked(head, MirrorChecked::Outcome::kPending, {});
  result_.status.enter(decision.state, decision.reason, decision.message, context_.now.wall_ms);
  return true;
}

// What the registry's history shows, and what a person reads before signing.
PublishTerms MirrorPass::terms(const MirrorDecision& decision) const {
  const std::string& signer = facts_.verification->signer;
  const bool is_held = decision.state == MirrorState::kHeld;
  PublishTerms out;
  out.message =
      fmt::format("{}\n\n{}Repository: {}\nRef: {}\nCommit: {}\n{}", mirror_.message,
                  is_held ? fmt::format("Held: {}\n", decision.message) : "", rules_.repository,
                  tip_.ref, tip_.commit, signer.empty() ? "" : fmt::format("Signer: {}\n", signer));
  out.fresh_s = mirror_.terms.stale_after_s;
  out.hard_s = mirror_.terms.expire_after_s;
  out.on_hard = mirror_.terms.on_expired;
  out.pending = true;
  out.unsigned_draft = decision.step == MirrorStep::kPropose;
  return out;
}

Result<bool> MirrorPass::send(const MirrorDecision& decision) {
  if (!facts_.is_head_read) NOTP_TRY(read_head());
  draft_.source = trust::Source{.repository = rules_.repository,
                                .ref = tip_.ref,
                                .commit = tip_.commit,
                                .signer = facts_.verification->signer};
  const bool is_unsigned = decision.step == MirrorStep::kPropose;
  auto sent = publish_draft(context_, settings_, *source_, draft_, terms(decision));
  if (!sent && sent.error().code == ErrorCode::kConflict) {
    conflict_ = sent.error().message;
    return false;
  }
  if (!sent && is_about_content(sent.error().code)) {
    note_refusal(sent.error());
    return true;
  }
  if (!sent) return std::unexpected(std::move(sent).error());
  failpoint("mirror.sent");
  MirrorStatus& status = result_.status;
  const TimeMs now_ms = read_clock().wall_ms;
  if (sent->published) {
    status.head_version = result_.published = draft_.version();
    ++status.releases;
    status.released_ms = now_ms;
    note_checked(sent->release.ref.release_hash, MirrorChecked::Outcome::kSameContent, {});
    status.enter(MirrorState::kCurrent, MirrorReason::kNone, {}, now_ms);
    return true;
  }
  result_.proposed = draft_.version();
  note_checked(facts_.head ? facts_.head->release_hash : Hash{}, MirrorChecked::Outcome::kPending,
               {});
  ++status.proposals;
  if (is_unsigned)
    status.enter(decision.state, decision.reason, decision.message, now_ms);
  else
    status.enter(MirrorState::kWaiting, MirrorReason::kThreshold,
                 fmt::format("v{} has {} of the {} signatures that it needs: 'notp sign {} v{}'",
                             draft_.version(), sent->release.signers, sent->release.threshold,
                             rules_.ledger, draft_.version()),
                 now_ms);
  return true;
}

void MirrorPass::note_refusal(const Error& error) {
  const Hash head = facts_.head ? facts_.head->release_hash : Hash{};
  note_checked(head, MirrorChecked::Outcome::kInvalid, error.message);
  result_.status.enter(
      MirrorState::kRefused, MirrorReason::kInvalidModel,
      fmt::format("the registry refuses {} ({}): {}", tip_.ref, tip_.commit, error.message),
      context_.now.wall_ms);
}

Result<void> MirrorPass::drop_superseded() {
  for (const Hash& hash : superseded_pending(facts_, rules_.repository)) {
    auto dropped = source_->client().ask(wire::DropPending{mirror_.ledger, hash});
    // Others may drop it, too.
    if (!dropped && dropped.error().code != ErrorCode::kNotFound)
      return std::unexpected(std::move(dropped).error());
  }
  return {};
}

void MirrorPass::note_checked(const Hash& head, MirrorChecked::Outcome outcome,
                              std::string message) {
  message = utf8_cut(message, kRefusalBytesMax);
  result_.status.checked =
      MirrorChecked{tip_.commit, head, rules_.digest, outcome, std::move(message)};
  result_.status.checked_ms = context_.now.wall_ms;
}

}  // namespace

int MirrorResult::exit_code() const {
  if (error) return error_traits(error->code).exit;
  if (status.reason == MirrorReason::kSignature) return exit_code::kUntrusted;
  if (status.state == MirrorState::kRefused) return exit_code::kInvalid;
  const bool waits = status.state == MirrorState::kHeld || status.state == MirrorState::kWaiting;
  return waits ? exit_code::kPending : exit_code::kOk;
}

Result<MirrorResult> run_mirror_pass(const Context& context, const MirrorsConfig& config,
                                     const MirrorConfig& mirror) {
  const fs::path folder = config.folder_of(mirror);
  NOTP_TRY(make_private_folder(config.state_dir));
  NOTP_TRY(make_private_folder(folder));
  NOTP_ASSIGN(const FolderLock lock, FolderLock::acquire(folder));
  MirrorResult result = MirrorPass(context, config, mirror).run();
  NOTP_TRY(save_mirror_status(folder, result.status));
  return result;
}

}  // namespace notp::cli
