// Prepares a new release: its changes, its signed statement, and the publish itself.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/crypto/signature.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/publish/plan.hpp"
#include "tools/notp/query/release_source.hpp"

namespace notp::cli {

class PublishTrace;

using PulledReleasePtr = std::shared_ptr<const PulledRelease>;

// The proposed next release of a ledger. `head` is null when it would be the first one.
struct ReleaseDraft {
  model::LedgerId ledger;
  PulledReleasePtr head;
  model::ModelContent content;
  std::vector<std::string> data_roots;
  std::vector<model::LedgerUse> uses;
  std::optional<trust::Source> source;  // where the content comes from

  uint64_t version() const { return head ? head->release().version + 1 : 1; }
  const model::Tree& before() const;
  bool is_same() const {
    return head && head->release().content_root == content.tree->content_root();
  }
};

// Prints the plan as `notp plan` does, without the result of the model check.
std::string draft_text(const Output& output, const ReleaseDraft& draft, TimeMs now_ms, bool all);
json::object draft_json(const ReleaseDraft& draft);

struct PublishTerms {
  std::string message;
  std::vector<std::string> signing_keys;
  uint64_t fresh_s = 300;
  uint64_t hard_s = 86400;
  std::string on_hard = "deny";
  int64_t expires_in_days = 0;
  bool pending = false;
  // Sends the release without any signature, for others to sign: no key is read, and it is left
  // pending as with `pending`.
  bool unsigned_draft = false;
  bool break_dependants = false;
  bool dry_run = false;
};
void declare_terms(CLI::App& command, PublishTerms& terms);
// Declares the options shared by every command that publishes.
void declare_signing(CLI::App& command, PublishTerms& terms);

// Returns the given keys, else those of the configuration. kUsage when there is none.
Result<std::vector<PrivateKey>> signing_keys(const std::vector<std::string>& given,
                                             const Settings& settings);

// A statement signed by this process.
struct SignedRelease {
  trust::ReleaseRef ref;
  trust::ReleaseEnvelope envelope;  // read
  size_t signers = 0;               // 0: PublishTerms::unsigned_draft
  uint32_t threshold = 0;

  const trust::Release& release() const { return envelope.release(); }
  bool complete() const { return signers >= threshold; }
};
// Signs the statement, unless it is to stay unsigned, and verifies it as the registry will. kUsage
// without a signing key; kSignature when the root does not allow the keys to publish this ledger;
// kWrongTarget when it does not allow this content.
Result<SignedRelease> sign_release(const ReleaseDraft& draft, const PublishTerms& terms,
                                   const Settings& settings, const RootPtr& root);

struct PublishOutcome {
  SignedRelease release;
  uint64_t artifact_bytes = 0;
  bool published = false;  // false: a dry run, or pending
  bool pending = false;    // it waits for signatures
  std::string commit;
  std::vector<std::string> undone;      // releases that this publish undid, a line each
  std::vector<std::string> notes;       // for the user, a line each
  std::vector<wire::Finding> warnings;  // from the registry
  uint64_t bytes_sent = 0;              // of the whole session
  uint64_t bytes_received = 0;
};

// Signs, encodes against the head, sends and waits for the registry's result. kConflict when the
// head has moved meanwhile; kInvalidModel with the registry's findings; kSignature when signatures
// are missing and the release must not be left pending. `trace` has a span for each step; null:
// none.
Result<PublishOutcome> publish_draft(const Context& context, const Settings& settings,
                                     ReleaseSource& source, const ReleaseDraft& draft,
                                     const PublishTerms& terms,
                                     const PublishTrace* trace = nullptr);

// Prints the outcome and returns the exit code: kOk, or kPending.
int print_outcome(const Context& context, const ReleaseDraft& draft, const PublishOutcome& outcome);

// Builds the error for a head that is not the one a publish expects: who moved it, and what to do.
Error head_moved(const model::LedgerId& ledger, uint64_t expected_version, uint64_t head_version,
                 const std::string& who);
// "publisher/alice, 2026-07-01T12:00:00Z, 5m ago"; empty when `publisher` is.
std::string who_and_when(const std::string& publisher, TimeMs issued_ms, TimeMs now_ms);

}  // namespace notp::cli
