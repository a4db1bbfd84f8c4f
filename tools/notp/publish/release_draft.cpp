#include "tools/notp/publish/release_draft.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/limits.hpp"
#include "common/size_text.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/trust/content_check.hpp"
#include "protocol/trust/roots_check.hpp"
#include "tools/notp/confirm.hpp"
#include "tools/notp/duration.hpp"
#include "tools/notp/publish/publish_trace.hpp"
#include "tools/notp/root/key_files.hpp"
#include "tools/notp/workspace.hpp"

namespace notp::cli {
namespace {

constexpr size_t kChangeLines = 100;
constexpr TimeMs kDayMs = 24LL * 3600 * 1000;

std::vector<std::string> head_roots(const ReleaseDraft& draft) {
  return draft.head ? draft.head->release().data_roots : std::vector<std::string>();
}

trust::Release make_release(const ReleaseDraft& draft, const PublishTerms& terms,
                            const trust::Root& root, TimeMs now_ms) {
  trust::Release release;
  release.trust_domain = root.trust_domain;
  release.ledger = draft.ledger;
  release.epoch = root.epoch;
  release.version = draft.version();
  if (draft.head) release.previous_hash = draft.head->verified.ref.release_hash;
  release.content_root = draft.content.tree->content_root();
  release.total_bytes = draft.content.tree->total_bytes();
  release.file_count = draft.content.tree->files().size();
  release.data_roots = draft.data_roots;
  release.uses = draft.uses;
  release.issued_ms = now_ms;
  if (terms.expires_in_days > 0) release.expires_ms = now_ms + terms.expires_in_days * kDayMs;
  release.fresh_s = terms.fresh_s;
  release.hard_s = terms.hard_s;
  release.on_hard = terms.on_hard == "serve" ? trust::OnHard::kServe : trust::OnHard::kDeny;
  release.source = draft.source;
  return release;
}

Result<Bytes> encode(const ReleaseDraft& draft, const SignedRelease& release) {
  const delta::ReleaseContent target{release.envelope, draft.content.tree.get(),
                                     draft.content.loader()};
  if (!draft.head) return delta::encode_artifact(nullptr, target);
  const PulledRelease& head = *draft.head;
  const delta::ReleaseContent base{head.verified.envelope, head.content.tree.get(),
                                   head.content.loader()};
  return delta::encode_artifact(&base, target);
}

// Caches the release for the next command; a failure to write is ignored.
void keep(ReleaseSource& source, const SignedRelease& made, const model::ModelContent& content) {
  auto verified = verify_ignoring_expiry(made.envelope, source.chain().all(), source.ledger(), {});
  if (verified)
    source.keep(PulledRelease{std::move(verified->verified), verified->root_version, content});
}

std::string findings_lines(const std::vector<wire::Finding>& findings) {
  std::string text;
  for (const wire::Finding& finding : findings)
    text += fmt::format("\n{}:{}: {}: {}", printable(finding.path), finding.line,
                        printable(finding.rule), printable(finding.message));
  return text;
}

json::array warnings_json(const std::vector<wire::Finding>& warnings) {
  json::array array;
  for (const wire::Finding& warning : warnings)
    array.push_back(json::object{{"path", printable(warning.path)},
                                 {"line", warning.line},
                                 {"rule", printable(warning.rule)},
                                 {"message", printable(warning.message)}});
  return array;
}

// Signatures are missing: the options allow the release to wait for them, or the user is asked.
Result<void> may_be_pending(const Context& context, const ReleaseDraft& draft,
                            const SignedRelease& made, const PublishTerms& terms) {
  if (made.complete() || terms.pending || terms.unsigned_draft || terms.dry_run) return {};
  const std::string have =
      fmt::format("{} v{} has {} of the {} signatures it needs", draft.ledger.text(),
                  draft.version(), made.signers, made.threshold);
  if (confirm(context.output, have + ". Leave it pending at the registry for the others?"))
    return {};
  return std::unexpected(Error{ErrorCode::kSignature, have, {}}.with(
      "hint",
      "--pending leaves it at the registry until others have signed ('notp sign'); several "
      "--signing-key sign at once"));
}

Result<void> check_result(const wire::PublishResult& result, const ReleaseDraft& draft,
                          const SignedRelease& release, TimeMs now_ms) {
  const uint64_t base = draft.head ? draft.head->release().version : 0;
  if (result.code == 0) {
    if (result.version == release.release().version &&
        result.release_hash == release.ref.release_hash)
      return {};
    return fail(ErrorCode::kState, "the registry confirmed another release than the one sent");
  }
  const ErrorCode code = error_code_from_wire(result.code);
  if (code == ErrorCode::kConflict && result.head)
    return std::unexpected(
        head_moved(draft.ledger, base, result.head->version,
                   who_and_when(result.head_publisher, result.head_issued_ms, now_ms)));
  // A registry of this version repeats its findings in the message.
  std::string message = result.message;
  message.erase(message.find_last_not_of('\n') + 1);
  if (!message.contains('\n')) message += findings_lines(result.findings);
  return fail(code, std::move(message));
}

}  // namespace

const model::Tree& ReleaseDraft::before() const {
  static const model::Tree kEmpty;
  return head ? *head->content.tree : kEmpty;
}

std::string draft_text(const Output& output, const ReleaseDraft& draft, TimeMs now_ms, bool all) {
  const std::vector<Change> changes = compare_trees(draft.before(), *draft.content.tree);
  std::string text;
  if (draft.head) {
    const trust::Release& head = draft.head->release();
    text = fmt::format("{} is at v{}, issued {} ({}).\n", draft.ledger.text(), head.version,
                       utc_time(head.issued_ms), ago(head.issued_ms, now_ms));
  } else {
    text = fmt::format("{} has no release yet.\n", draft.ledger.text());
  }
  const RootsChange roots = compare_roots(head_roots(draft), draft.data_roots);
  if (changes.empty() && roots.empty()) return text;
  text += "\n" + changes_text(output, changes, all ? changes.size() : kChangeLines);
  if (const std::string folders = folders_text(output, changes); !folders.empty())
    text += "\n" + folders;
  if (!roots.empty()) {
    text += "\nData roots:\n";
    for (const std::string& root : roots.added)
      text += fmt::format("  {}\n", output.paint(Colour::kGreen, "+ " + root));
    for (const std::string& root : roots.removed)
      text += fmt::format("  {}\n", output.paint(Colour::kRed, "- " + root));
  }
  return text;
}

json::object draft_json(const ReleaseDraft& draft) {
  const std::vector<Change> changes = compare_trees(draft.before(), *draft.content.tree);
  const RootsChange roots = compare_roots(head_roots(draft), draft.data_roots);
  json::object object{{"ledger", draft.ledger.text()}, {"head", nullptr}};
  if (draft.head)
    object["head"] = json::object{{"version", draft.head->release().version},
                                  {"release", draft.head->verified.ref.release_hash.hex()},
                                  {"issued", utc_time(draft.head->release().issued_ms)}};
  object["content_root"] = draft.content.tree->content_root().hex();
  object["changed"] = !draft.is_same();
  object["next_version"] = draft.version();
  object["changes"] = changes_json(changes);
  object["counts"] = counts_json(count_changes(changes));
  object["roots"] =
      json::object{{"added", json::array(roots.added.begin(), roots.added.end())},
                   {"removed", json::array(roots.removed.begin(), roots.removed.end())}};
  return object;
}

void declare_signing(CLI::App& command, PublishTerms& terms) {
  command
      .add_option("--signing-key", terms.signing_keys,
                  "Publisher's private key (notp keygen); several when the root asks for "
                  "several signatures (default: signing_key of the configuration)")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command.add_flag("--pending", terms.pending,
                   "With too few signatures: leave it at the registry for others to sign");
  command
      .add_flag("--unsigned", terms.unsigned_draft,
                "Leave it at the registry without any signature, for others to sign; needs no key, "
                "and replaces what this identity left there so before")
      ->excludes("--signing-key");
  command.add_flag("--break-dependants", terms.break_dependants,
                   "Publish it also when ledgers that use this one do not compile with it: nodes "
                   "withhold them then");
}

void declare_terms(CLI::App& command, PublishTerms& terms) {
  command.add_option("-m,--message", terms.message, "What changed and why, for the history")
      ->type_name("TEXT");
  declare_signing(command, terms);
  command
      .add_option(
          "--stale-after,--fresh-s", terms.fresh_s,
          "Time without a statement of the registry after which the release is stale, as in "
          "90s, 5m, 24h")
      ->transform(duration_in_seconds())
      ->check(CLI::PositiveNumber)
      ->type_name("TIME")
      ->default_str("5m");
  command
      .add_option("--expire-after,--hard-s", terms.hard_s,
                  "Time without a statement after which it is expired")
      ->transform(duration_in_seconds())
      ->check(CLI::PositiveNumber)
      ->type_name("TIME")
      ->default_str("24h");
  command
      .add_option("--on-expired,--on-hard", terms.on_hard,
                  "What a node does with an expired release")
      ->check(CLI::IsMember({"deny", "serve"}))
      ->capture_default_str();
  command
      .add_option("--expires-in", terms.expires_in_days,
                  "Days until the release itself expires; 0: never")
      ->check(CLI::Range(0, 36500))
      ->type_name("DAYS")
      ->capture_default_str();
  command.add_flag("--dry-run", terms.dry_run, "Do all but the publish itself");
}

Result<std::vector<PrivateKey>> signing_keys(const std::vector<std::string>& given,
                                             const Settings& settings) {
  std::vector<std::filesystem::path> paths(given.begin(), given.end());
  if (paths.empty()) paths = settings.signing_keys;
  if (paths.empty())
    return std::unexpected(Error{ErrorCode::kUsage, "no signing key is given", {}}.with(
        "hint", "give --signing-key FILE, or 'signing_key:' in the configuration"));
  std::vector<PrivateKey> keys;
  for (const auto& path : paths) {
    NOTP_ASSIGN(PrivateKey key, read_private_key(path));
    keys.push_back(std::move(key));
  }
  return keys;
}

Result<SignedRelease> sign_release(const ReleaseDraft& draft, const PublishTerms& terms,
                                   const Settings& settings, const RootPtr& root) {
  std::vector<PrivateKey> keys;
  if (!terms.unsigned_draft) {
    NOTP_ASSIGN(keys, signing_keys(terms.signing_keys, settings));
  }
  const TimeMs now_ms = read_clock().wall_ms;
  trust::Envelope envelope = trust::envelope_of(make_release(draft, terms, *root, now_ms));
  for (const PrivateKey& key : keys) trust::sign_envelope(envelope, key);
  trust::Trusted trusted;
  trusted.root = root;
  if (draft.head)
    trusted.ledgers[draft.ledger].floor = {draft.head->release().epoch,
                                           draft.head->release().version,
                                           draft.head->verified.ref.release_hash};
  NOTP_ASSIGN(trust::WaitingRelease waiting,
              trust::verify_pending(envelope.encode(), draft.ledger, trusted, now_ms));
  NOTP_TRY(
      trust::check_content(*root, waiting.release(), *draft.content.tree, draft.content.loader()));
  NOTP_TRY(trust::check_roots(waiting.release(), *draft.content.tree, draft.content.loader()));
  return SignedRelease{.ref = waiting.ref,
                       .envelope = std::move(waiting.envelope),
                       .signers = waiting.signers,
                       .threshold = waiting.threshold};
}

Result<PublishOutcome> publish_draft(const Context& context, const Settings& settings,
                                     ReleaseSource& source, const ReleaseDraft& draft,
                                     const PublishTerms& terms, const PublishTrace* trace) {
  Span signing = trace ? trace->step("sign") : Span();
  auto its_release = sign_release(draft, terms, settings, source.chain().newest());
  signing.end_with(its_release);
  NOTP_ASSIGN(SignedRelease made, std::move(its_release));
  NOTP_TRY(may_be_pending(context, draft, made, terms));
  PublishOutcome outcome;
  outcome.release = std::move(made);
  NOTP_ASSIGN(Bytes artifact, encode(draft, outcome.release));
  outcome.artifact_bytes = artifact.size();
  if (!terms.dry_run) {
    wire::Publish publish;
    publish.ledger = draft.ledger;
    publish.version = draft.version();
    publish.message = terms.message;
    publish.pending = !outcome.release.complete();
    publish.break_dependants = terms.break_dependants;
    if (draft.head) {
      const PulledRelease& head = *draft.head;
      publish.base = wire::Base{head.release().version, head.release().content_root};
      publish.expected_head_hash = head.verified.ref.release_hash;
    }
    Progress progress(context.output, fmt::format("publishing v{}", draft.version()));
    Span sending = trace ? trace->step("send", SpanKind::kClient) : Span();
    sending.set("notp.bytes", artifact.size());
    publish.trace = sending.context();
    auto sent = source.client().publish(
        std::move(publish), std::make_shared<const Bytes>(std::move(artifact)), progress);
    if (sent) sending.set_code(sent->code);
    sending.end_with(sent);
    NOTP_ASSIGN(const wire::PublishResult result, std::move(sent));
    progress.clear();
    NOTP_TRY(check_result(result, draft, outcome.release, context.now.wall_ms));
    outcome.pending = result.threshold != 0;
    outcome.published = !outcome.pending;
    outcome.commit = result.commit;
    outcome.warnings = result.warnings;
    if (outcome.pending)
      outcome.release.signers = result.signers;
    else
      keep(source, outcome.release, draft.content);
  }
  outcome.bytes_sent = source.client().bytes_sent();
  outcome.bytes_received = source.client().bytes_received();
  return outcome;
}

int print_outcome(const Context& context, const ReleaseDraft& draft,
                  const PublishOutcome& outcome) {
  const trust::Release& release = outcome.release.release();
  const ChangeCounts counts = count_changes(compare_trees(draft.before(), *draft.content.tree));
  const std::string kind =
      draft.head ? fmt::format("delta on v{}", draft.head->release().version) : "full model";
  std::vector<std::pair<std::string, std::string>> rows{
      {"release", outcome.release.ref.release_hash.hex()},
      {"content root", release.content_root.hex()},
      {"artifact", fmt::format("{}, {}", size_text(outcome.artifact_bytes), kind)}};
  if (outcome.published) rows.insert(rows.begin() + 1, {"commit", printable(outcome.commit)});
  if (outcome.pending)
    rows.emplace_back("signatures", fmt::format("{} of {} needed", outcome.release.signers,
                                                outcome.release.threshold));
  if (outcome.published || outcome.pending)
    rows.emplace_back("network", fmt::format("{} sent, {} received", size_text(outcome.bytes_sent),
                                             size_text(outcome.bytes_received)));
  std::string text =
      fmt::format("{} {} v{}: {}\n{}",
                  outcome.published ? "Published"
                  : outcome.pending ? "Pending"
                                    : "Would publish",
                  draft.ledger.text(), release.version, done_text(counts), facts(rows));
  if (outcome.pending)
    text += fmt::format("Others look at it and sign it with: notp sign {} v{}\n",
                        draft.ledger.text(), release.version);
  json::object document{{"published", outcome.published},
                        {"pending", outcome.pending},
                        {"signers", outcome.release.signers},
                        {"threshold", outcome.release.threshold},
                        {"ledger", draft.ledger.text()},
                        {"version", release.version},
                        {"release", outcome.release.ref.release_hash.hex()},
                        {"content_root", release.content_root.hex()},
                        {"base_version", draft.head ? draft.head->release().version : 0},
                        {"counts", counts_json(counts)},
                        {"artifact_bytes", outcome.artifact_bytes},
                        {"bytes_sent", outcome.bytes_sent},
                        {"bytes_received", outcome.bytes_received}};
  if (outcome.published) document["commit"] = outcome.commit;
  if (!outcome.warnings.empty()) {
    context.output.note("warning:" + findings_lines(outcome.warnings));
    document["warnings"] = warnings_json(outcome.warnings);
  }
  if (!outcome.notes.empty())
    document["notes"] = json::array(outcome.notes.begin(), outcome.notes.end());
  if (!outcome.undone.empty())
    document["undone"] = json::array(outcome.undone.begin(), outcome.undone.end());
  context.output.result(text, document);
  return outcome.pending ? exit_code::kPending : exit_code::kOk;
}

Error head_moved(const model::LedgerId& ledger, uint64_t expected_version, uint64_t head_version,
                 const std::string& who) {
  const std::string expected =
      expected_version == 0 ? "no release" : fmt::format("v{}", expected_version);
  const std::string head = head_version == 0 ? "no release" : fmt::format("v{}", head_version);
  Error error{ErrorCode::kConflict,
              fmt::format("the head of {} is {}, but {} was expected{}", ledger.text(), head,
                          expected, who.empty() ? "" : fmt::format(" ({})", who)),
              {}};
  if (head_version == 0)
    return std::move(error).with("hint",
                                 "is this the right registry? --base 0 publishes a first release");
  const std::string look =
      expected_version == 0 || expected_version > head_version
          ? fmt::format("'notp show {}@v{}' shows it", ledger.text(), head_version)
          : fmt::format("'notp diff {} v{} v{}' shows what changed", ledger.text(),
                        expected_version, head_version);
  return std::move(error).with(
      "hint", fmt::format("{}; bring it into your folder, then publish with --base v{}", look,
                          head_version));
}

std::string who_and_when(const std::string& publisher, TimeMs issued_ms, TimeMs now_ms) {
  if (publisher.empty()) return {};
  return fmt::format("by {}, {}, {}", short_identity(publisher), utc_time(issued_ms),
                     ago(issued_ms, now_ms));
}

}  // namespace notp::cli
