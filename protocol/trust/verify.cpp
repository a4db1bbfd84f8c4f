#include "protocol/trust/verify.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "protocol/trust/verify_checks.hpp"

namespace notp::trust {
namespace {

// Passes on the outcome of each check, and records it for callers that review all of them.
class Checks {
 public:
  explicit Checks(std::vector<VerifyStep>* steps) : steps_(steps) {}

  // `compared` describes the compared values, given the value if there is one; called only for a
  // record.
  template <typename T, typename Compared>
  Result<T> operator()(std::string_view check, Result<T> outcome, Compared compared) {
    if (steps_ == nullptr) return outcome;
    VerifyStep step{check, {}, outcome.has_value()};
    if (!outcome)
      step.detail = outcome.error().message;
    else if constexpr (std::is_void_v<T>)
      step.detail = compared();
    else
      step.detail = compared(*outcome);
    steps_->push_back(std::move(step));
    return outcome;
  }

 private:
  std::vector<VerifyStep>* steps_;
};

std::string describe(const Envelope& envelope) {
  return fmt::format("{}, {} bytes, {} signatures", envelope.payload_type, envelope.payload.size(),
                     envelope.signatures.size());
}

std::string describe(const Floor& at) {
  return fmt::format("release {} of epoch {} ({})", at.version, at.epoch, at.release_hash.brief());
}

std::string until(TimeMs expires_ms) {
  return expires_ms == 0 ? "no expiry" : "until " + utc_time(expires_ms);
}

// Compares `offered` with what is already known of the same ledger.
Result<void> check_not_below(const Floor& offered, const Floor& known,
                             const model::LedgerId& ledger, std::string_view known_as) {
  const auto place = std::tie(offered.epoch, offered.version);
  const auto known_place = std::tie(known.epoch, known.version);
  if (place < known_place)
    return fail(ErrorCode::kRollback, fmt::format("{}: {} is below {}, which {}", ledger.text(),
                                                  describe(offered), describe(known), known_as));
  if (place == known_place && offered.release_hash != known.release_hash)
    return fail(ErrorCode::kEquivocation,
                fmt::format("there are two releases {} of {}: {} and {}; a key may be stolen",
                            known.version, ledger.text(), known.release_hash.brief(),
                            offered.release_hash.brief()));
  return {};
}

constexpr std::string_view kVerifiedHere = "was already verified here";
constexpr std::string_view kListedBefore = "the registry attested before";
constexpr std::string_view kFreshnessWords = "freshness statement";

// ---- roots

Result<void> check_patterns(const Root& root) {
  std::set<std::string_view> patterns;
  for (const Delegation& delegation : root.delegations)
    if (!patterns.insert(delegation.pattern).second)
      return fail(ErrorCode::kRootInvalid,
                  fmt::format("the root delegates '{}' twice; the second could never apply",
                              delegation.pattern));
  return {};
}

Result<void> check_next_version(const Root& next, const Root& old) {
  if (next.version <= old.version)
    return fail(ErrorCode::kRollback,
                fmt::format("root {} where root {} is trusted already", next.version, old.version));
  if (next.version != old.version + 1)
    return fail(ErrorCode::kRootInvalid, fmt::format("root {} does not follow root {}; get the "
                                                     "roots between them first",
                                                     next.version, old.version));
  return {};
}

Result<void> check_root_epoch(const Root& next, const Root& old) {
  if (next.epoch >= old.epoch) return {};
  return fail(ErrorCode::kRollback, fmt::format("root {} of epoch {} after one of epoch {}",
                                                next.version, next.epoch, old.epoch));
}

Result<void> check_old_signers(const Envelope& envelope, const Root& old) {
  return check_signers(envelope, old.root_keys, old.root_threshold,
                       fmt::format("root {}", old.version));
}

Result<Root> verify_next_root(ByteView bytes, const Root& old, Checks& checks) {
  NOTP_ASSIGN(const Envelope envelope, checks("root.envelope", decode_envelope(bytes, kRootType),
                                              [](const Envelope& e) { return describe(e); }));
  NOTP_ASSIGN(Root next, checks("root.statement", Root::decode(envelope.payload),
                                [](const Root& r) { return fmt::format("root {}", r.version); }));
  NOTP_TRY(checks("root.version", check_next_version(next, old),
                  [&] { return fmt::format("{} follows {}", next.version, old.version); }));
  NOTP_TRY(checks("root.domain", check_domain(next.trust_domain, old.trust_domain, "root"),
                  [&] { return next.trust_domain; }));
  NOTP_TRY(checks("root.threshold_old", check_old_signers(envelope, old), [&] {
    return fmt::format("{} of {} old root keys needed", old.root_threshold, old.root_keys.size());
  }));
  NOTP_TRY(checks(
      "root.threshold_new",
      check_signers(envelope, next.root_keys, next.root_threshold, "the new root itself"), [&] {
        return fmt::format("{} of {} new root keys needed", next.root_threshold,
                           next.root_keys.size());
      }));
  NOTP_TRY(checks("root.epoch", check_root_epoch(next, old),
                  [&] { return fmt::format("{} after {}", next.epoch, old.epoch); }));
  NOTP_TRY(checks("root.patterns", check_patterns(next),
                  [&] { return fmt::format("{} delegations", next.delegations.size()); }));
  return next;
}

Result<void> check_root_expiry(const Root& root, TimeMs now_ms) {
  if (root.expires_ms == 0 || now_ms < root.expires_ms) return {};
  return fail(ErrorCode::kExpired, fmt::format("root {} has expired; its keys must sign the next "
                                               "one",
                                               root.version));
}

// ---- freshness

Floor place_of(const FreshHead& head) { return {head.epoch, head.version, head.release_hash}; }

// ---- release

Result<const Delegation*> delegation_of(const Root& root, const model::LedgerId& ledger) {
  if (const Delegation* delegation = root.delegation_for(ledger)) return delegation;
  return fail(ErrorCode::kSignature,
              fmt::format("no publisher of the root covers {}", ledger.text()));
}

Result<void> check_publishers(const Envelope& envelope, const Root& root,
                              const model::LedgerId& ledger) {
  NOTP_ASSIGN(const Delegation* delegation, delegation_of(root, ledger));
  return check_signers(envelope, delegation->keys, delegation->threshold,
                       fmt::format("the delegation '{}'", delegation->pattern));
}

// Drops every signature except one valid one for each key of the delegation.
Result<WaitingRelease> keep_valid_signatures(const Envelope& envelope,
                                             const Delegation& delegation) {
  WaitingRelease out;
  out.valid = {envelope.payload, envelope.payload_type,
               valid_signatures(envelope, delegation.keys)};
  out.signers = static_cast<uint32_t>(out.valid.signatures.size());
  out.threshold = delegation.threshold;
  if (out.signers > 0) return out;
  return fail(
      ErrorCode::kSignature,
      fmt::format("no valid signature by a key of the delegation '{}'", delegation.pattern));
}

Result<WaitingRelease> check_unsigned(const Envelope& envelope, const Delegation& delegation) {
  if (!envelope.signatures.empty())
    return fail(ErrorCode::kSignature, "a proposal without a signature was expected");
  WaitingRelease out;
  out.valid = envelope;
  out.threshold = delegation.threshold;
  return out;
}

Result<void> check_target(const Release& release, const Root& root, const model::LedgerId& ledger) {
  if (release.trust_domain == root.trust_domain && release.ledger == ledger) return {};
  return fail(ErrorCode::kWrongTarget,
              fmt::format("a release of {} where {} is expected",
                          release.ledger.uri(release.trust_domain), ledger.uri(root.trust_domain)));
}

Result<void> check_release_epoch(const Release& release, const Root& root) {
  if (release.epoch <= root.epoch) return {};
  return fail(ErrorCode::kWrongTarget,
              fmt::format("a release of epoch {} under a root of epoch {}; get the newest root",
                          release.epoch, root.epoch));
}

Result<void> check_release_expiry(const Release& release, TimeMs now_ms) {
  if (release.expires_ms == 0 || now_ms < release.expires_ms) return {};
  return fail(ErrorCode::kExpired,
              fmt::format("release {} of {} has expired", release.version, release.ledger.text()));
}

// The delegation for the ledger has signed, but it does not cover every root.
Result<void> check_data_roots(const Release& release, const Root& root,
                              const model::LedgerId& ledger) {
  NOTP_ASSIGN(const Delegation* delegation, delegation_of(root, ledger));
  if (delegation->data_roots.empty()) return {};
  for (const std::string& owned : release.data_roots)
    if (std::ranges::none_of(delegation->data_roots, [&](const std::string& pattern) {
          return data_root_covers(pattern, owned);
        }))
      return fail(ErrorCode::kWrongTarget,
                  fmt::format("release {} of {} owns data.{}; the delegation '{}' lets it own {}",
                              release.version, ledger.text(), owned, delegation->pattern,
                              fmt::join(delegation->data_roots, ", ")));
  return {};
}

Result<void> check_floor(const Floor& offered, const Floor& floor, const model::LedgerId& ledger) {
  return check_not_below(offered, floor, ledger, kVerifiedHere);
}

Result<void> check_listed(const Floor& offered, const Floor& listed,
                          const model::LedgerId& ledger) {
  // A release below the listed head may still be under way; only another one at the same place is
  // an attack.
  if (std::tie(offered.epoch, offered.version) < std::tie(listed.epoch, listed.version)) return {};
  return check_not_below(offered, listed, ledger, kListedBefore);
}

Result<void> check_previous(const Release& release, const Floor& floor) {
  const bool next = release.epoch == floor.epoch && release.version == floor.version + 1;
  if (!next || release.previous_hash == floor.release_hash) return {};
  return fail(ErrorCode::kEquivocation,
              fmt::format("release {} of {} follows {}, and release {} is {} here; a key may be "
                          "stolen",
                          release.version, release.ledger.text(), release.previous_hash.brief(),
                          floor.version, floor.release_hash.brief()));
}

// ---- all of them, in order

class Verification {
 public:
  Verification(const Trusted& trusted, TimeMs now_ms, std::vector<VerifyStep>* steps)
      : trusted_(trusted), now_ms_(now_ms), checks_(steps), root_(trusted.root) {
    NOTP_ASSERT(root_ != nullptr, "nothing can be verified without a trusted root");
  }

  Verdict run(const Update& update) && {
    if (auto done = take(update); !done) verdict_.error = std::move(done).error();
    return std::move(verdict_);
  }

  using SignerCheck = Result<WaitingRelease> (*)(const Envelope&, const Delegation&);
  Result<WaitingRelease> run_waiting(ReleaseEnvelope envelope, const model::LedgerId& ledger,
                                     SignerCheck check_signers) && {
    NOTP_TRY(check_root_expiry(*root_, now_ms_));
    NOTP_TRY(envelope.open());
    NOTP_ASSIGN(const Delegation* delegation, delegation_of(*root_, ledger));
    NOTP_ASSIGN(WaitingRelease waiting, check_signers(envelope.envelope(), *delegation));
    NOTP_TRY(envelope.read());
    waiting.ref = ref_of(envelope.release(), envelope.hash());
    NOTP_TRY(check_release(envelope.release(), envelope.hash(), ledger));
    waiting.envelope = std::move(envelope);
    return waiting;
  }

 private:
  Result<void> take(const Update& update) {
    NOTP_TRY(walk_roots(update.root_chain));
    if (!update.assignment && !update.freshness && !update.release) return {};
    NOTP_TRY(checks_("root.expiry", check_root_expiry(*root_, now_ms_), [&] {
      return fmt::format("root {}, {}, at {}", root_->version, until(root_->expires_ms),
                         utc_time(now_ms_));
    }));
    if (update.assignment) NOTP_TRY(take_assignment(*update.assignment));
    if (update.freshness) NOTP_TRY(take_freshness(*update.freshness, update.expected));
    if (!update.release) return {};
    NOTP_ASSERT(update.release_ledger.has_value(), "a release of no ledger that was asked for");
    return take_release(*update.release, *update.release_ledger);
  }

  Result<void> walk_roots(const std::vector<ByteView>& roots) {
    if (roots.size() > limits::kRootStepsMax)
      return fail(ErrorCode::kLimit, fmt::format("{} roots at once, {} are allowed", roots.size(),
                                                 limits::kRootStepsMax));
    for (const ByteView bytes : roots) {
      NOTP_ASSIGN(Root next, verify_next_root(bytes, *root_, checks_));
      if (root_->drops_freshness_key(next)) verdict_.freshness_key_changed = true;
      root_ = std::make_shared<const Root>(std::move(next));
      verdict_.root_chain.push_back({root_, Bytes(bytes)});
    }
    return {};
  }

  Result<void> take_assignment(ByteView bytes) {
    constexpr std::string_view kWhat = "assignment";
    NOTP_ASSIGN(const Envelope envelope,
                checks_("assignment.envelope", decode_envelope(bytes, kAssignmentType),
                        [](const Envelope& e) { return describe(e); }));
    NOTP_TRY(checks_("assignment.signature", check_freshness_signer(envelope, *root_),
                     [&] { return describe_signer(); }));
    NOTP_ASSIGN(const Assignment a,
                checks_("assignment.statement", Assignment::decode(envelope.payload),
                        [](const Assignment& it) { return "to class " + it.class_id.hex(); }));
    NOTP_TRY(checks_("assignment.domain", check_domain(a.trust_domain, root_->trust_domain, kWhat),
                     [&] { return a.trust_domain; }));
    NOTP_TRY(checks_("assignment.audience", check_audience(kWhat, a.audience, trusted_.audience),
                     [&] { return a.audience; }));
    NOTP_TRY(checks_("assignment.root", check_known_root(a.root_version, *root_),
                     [&] { return describe_root(a.root_version); }));
    NOTP_TRY(checks_("assignment.sequence", check_assignment_sequence(a, assignment()), [&] {
      return fmt::format("{} after {}", a.sequence, assignment_sequence());
    }));
    NOTP_TRY(checks_("assignment.issued", check_issued(kWhat, a.sequence, a.issued_ms, now_ms_),
                     [&] { return utc_time(a.issued_ms) + " at " + utc_time(now_ms_); }));
    NOTP_TRY(checks_("assignment.expiry", check_expiry(kWhat, a.sequence, a.expires_ms, now_ms_),
                     [&] { return until(a.expires_ms) + " at " + utc_time(now_ms_); }));
    verdict_.assignment = {a, Bytes(bytes)};
    return {};
  }

  Result<void> take_freshness(ByteView bytes, const std::vector<model::LedgerId>& expected) {
    NOTP_ASSIGN(const Envelope envelope,
                checks_("freshness.envelope", decode_freshness_envelope(bytes),
                        [](const Envelope& e) { return describe(e); }));
    NOTP_TRY(checks_("freshness.signature", check_freshness_signer(envelope, *root_),
                     [&] { return describe_signer(); }));
    NOTP_ASSIGN(Freshness freshness,
                checks_("freshness.statement", Freshness::decode(envelope), [](const Freshness& f) {
                  return fmt::format("{} heads", f.heads.size());
                }));
    NOTP_TRY(check_freshness_frame(freshness));
    NOTP_TRY(checks_("freshness.complete", check_complete(freshness, expected),
                     [&] { return fmt::format("{} ledgers expected", expected.size()); }));
    std::map<model::LedgerId, Floor> listed;
    for (const FreshHead& head : freshness.heads) {
      if (!trusted_.ledgers.contains(head.ledger) &&
          std::ranges::find(expected, head.ledger) == expected.end())
        continue;
      NOTP_TRY(check_head(head));
      listed.emplace(head.ledger, place_of(head));
    }
    verdict_.freshness = {std::move(freshness), std::move(listed), Bytes(bytes)};
    return {};
  }

  // Checks audience, origin and time.
  Result<void> check_freshness_frame(const Freshness& f) {
    NOTP_TRY(checks_("freshness.domain",
                     check_domain(f.trust_domain, root_->trust_domain, kFreshnessWords),
                     [&] { return f.trust_domain; }));
    if (f.class_id)
      NOTP_TRY(checks_("freshness.class",
                       check_class(*f.class_id, assignment(), trusted_.audience, now_ms_),
                       [&] { return f.class_id->hex(); }));
    else
      NOTP_TRY(checks_("freshness.audience",
                       check_audience("freshness", f.audience, trusted_.audience),
                       [&] { return f.audience; }));
    NOTP_TRY(checks_("freshness.root", check_known_root(f.root_version, *root_),
                     [&] { return describe_root(f.root_version); }));
    const uint64_t last = verdict_.freshness_key_changed ? 0 : trusted_.freshness_sequence;
    NOTP_TRY(checks_("freshness.sequence", check_sequence(f, last),
                     [&] { return fmt::format("{} after {}", f.sequence, last); }));
    NOTP_TRY(checks_("freshness.issued",
                     check_issued(kFreshnessWords, f.sequence, f.issued_ms, now_ms_),
                     [&] { return utc_time(f.issued_ms) + " at " + utc_time(now_ms_); }));
    return checks_("freshness.expiry",
                   check_expiry(kFreshnessWords, f.sequence, f.expires_ms, now_ms_),
                   [&] { return until(f.expires_ms) + " at " + utc_time(now_ms_); });
  }

  Result<void> check_head(const FreshHead& head) {
    const Floor offered = place_of(head);
    const LedgerTrust known = known_of(head.ledger);
    NOTP_TRY(checks_("freshness.floor",
                     check_not_below(offered, known.floor, head.ledger, kVerifiedHere),
                     [&] { return fmt::format("{}: {}", head.ledger.text(), describe(offered)); }));
    return checks_("freshness.listed",
                   check_not_below(offered, known.listed, head.ledger, kListedBefore), [&] {
                     return fmt::format("{}: {} after {}", head.ledger.text(), offered.version,
                                        known.listed.version);
                   });
  }

  // The signatures come first: only the holders of keys reach the parser of statements.
  Result<void> take_release(ReleaseEnvelope envelope, const model::LedgerId& ledger) {
    NOTP_TRY(checks_("release.envelope", envelope.open(),
                     [&] { return describe(envelope.envelope()); }));
    NOTP_TRY(
        checks_("release.threshold", check_publishers(envelope.envelope(), *root_, ledger), [&] {
          const Delegation* delegation = root_->delegation_for(ledger);
          return fmt::format("{} of {} keys of '{}' needed", delegation->threshold,
                             delegation->keys.size(), delegation->pattern);
        }));
    NOTP_TRY(checks_("release.statement", envelope.read(),
                     [&] { return fmt::format("release {}", envelope.release().version); }));
    NOTP_TRY(check_release(envelope.release(), envelope.hash(), ledger));
    const ReleaseRef ref = ref_of(envelope.release(), envelope.hash());
    verdict_.release = {ref, std::move(envelope)};
    return {};
  }

  Result<void> check_release(const Release& release, const Hash& hash,
                             const model::LedgerId& ledger) {
    NOTP_TRY(checks_("release.target", check_target(release, *root_, ledger),
                     [&] { return ledger.uri(release.trust_domain); }));
    NOTP_TRY(checks_("release.data_roots", check_data_roots(release, *root_, ledger),
                     [&] { return fmt::format("{}", fmt::join(release.data_roots, ", ")); }));
    NOTP_TRY(checks_("release.epoch", check_release_epoch(release, *root_),
                     [&] { return fmt::format("{} within {}", release.epoch, root_->epoch); }));
    NOTP_TRY(checks_("release.expiry", check_release_expiry(release, now_ms_),
                     [&] { return until(release.expires_ms) + " at " + utc_time(now_ms_); }));
    const Floor offered{release.epoch, release.version, hash};
    const LedgerTrust known = known_of(ledger);
    NOTP_TRY(checks_("release.floor", check_floor(offered, known.floor, ledger),
                     [&] { return describe(offered) + " at or above " + describe(known.floor); }));
    NOTP_TRY(checks_("release.listed", check_listed(offered, known.listed, ledger),
                     [&] { return "listed: " + describe(known.listed); }));
    return checks_("release.previous", check_previous(release, known.floor),
                   [&] { return release.previous_hash.brief(); });
  }

  std::string describe_signer() const {
    return fmt::format("1 of {} freshness keys needed", root_->freshness_keys.size());
  }
  std::string describe_root(uint64_t version) const {
    return fmt::format("root {}, {} is trusted", version, root_->version);
  }

  // Returns the assignment that counts, including that of this update; nullptr: none.
  const Assignment* assignment() const {
    if (verdict_.assignment) return &verdict_.assignment->assignment;
    if (verdict_.freshness_key_changed || !trusted_.assignment) return nullptr;
    return &*trusted_.assignment;
  }
  uint64_t assignment_sequence() const { return assignment() ? assignment()->sequence : 0; }

  // Returns what is known of a ledger, including the statement of this update.
  LedgerTrust known_of(const model::LedgerId& ledger) const {
    LedgerTrust known;
    const auto found = trusted_.ledgers.find(ledger);
    if (found != trusted_.ledgers.end()) known = found->second;
    if (verdict_.freshness_key_changed) known.listed = {};
    if (!verdict_.freshness) return known;
    const auto listed = verdict_.freshness->listed.find(ledger);
    if (listed != verdict_.freshness->listed.end()) known.listed = listed->second;
    return known;
  }

  const Trusted& trusted_;
  const TimeMs now_ms_;
  Checks checks_;
  std::shared_ptr<const Root> root_;
  Verdict verdict_;
};

}  // namespace

Result<Root> verify_pinned_root(ByteView envelope_bytes, std::string_view trust_domain,
                                std::vector<VerifyStep>* steps) {
  Checks checks(steps);
  NOTP_ASSIGN(const Envelope envelope,
              checks("root.envelope", decode_envelope(envelope_bytes, kRootType),
                     [](const Envelope& e) { return describe(e); }));
  NOTP_ASSIGN(Root root, checks("root.statement", Root::decode(envelope.payload),
                                [](const Root& r) { return fmt::format("root {}", r.version); }));
  NOTP_TRY(checks("root.domain", check_domain(root.trust_domain, trust_domain, "root"),
                  [&] { return root.trust_domain; }));
  NOTP_TRY(checks(
      "root.threshold_new",
      check_signers(envelope, root.root_keys, root.root_threshold, "the root itself"), [&] {
        return fmt::format("{} of {} root keys needed", root.root_threshold, root.root_keys.size());
      }));
  NOTP_TRY(checks("root.patterns", check_patterns(root),
                  [&] { return fmt::format("{} delegations", root.delegations.size()); }));
  return root;
}

Verdict verify_update(const Update& update, const Trusted& trusted, TimeMs now_ms,
                      std::vector<VerifyStep>* steps) {
  return Verification(trusted, now_ms, steps).run(update);
}

Result<VerifiedRelease> verify_release(ReleaseEnvelope envelope, const model::LedgerId& ledger,
                                       const Trusted& trusted, TimeMs now_ms) {
  Update update;
  update.release = std::move(envelope);
  update.release_ledger = ledger;
  Verdict verdict = verify_update(update, trusted, now_ms);
  if (verdict.error) return std::unexpected(*std::move(verdict.error));
  return *std::move(verdict.release);
}

Result<WaitingRelease> verify_waiting(ReleaseEnvelope envelope, const model::LedgerId& ledger,
                                      const Trusted& trusted, TimeMs now_ms) {
  return Verification(trusted, now_ms, nullptr)
      .run_waiting(std::move(envelope), ledger, keep_valid_signatures);
}

Result<WaitingRelease> verify_unsigned(ReleaseEnvelope envelope, const model::LedgerId& ledger,
                                       const Trusted& trusted, TimeMs now_ms) {
  return Verification(trusted, now_ms, nullptr)
      .run_waiting(std::move(envelope), ledger, check_unsigned);
}

Result<WaitingRelease> verify_pending(ReleaseEnvelope envelope, const model::LedgerId& ledger,
                                      const Trusted& trusted, TimeMs now_ms) {
  NOTP_TRY(envelope.open());
  const bool is_signed = !envelope.envelope().signatures.empty();
  return is_signed ? verify_waiting(std::move(envelope), ledger, trusted, now_ms)
                   : verify_unsigned(std::move(envelope), ledger, trusted, now_ms);
}

void advance(Trusted& trusted, const Verdict& verdict) {
  if (!verdict.root_chain.empty()) trusted.root = verdict.root_chain.back().root;
  if (verdict.freshness_key_changed) {
    trusted.freshness_sequence = 0;
    for (auto& [ledger, trust] : trusted.ledgers) trust.listed = {};
    trusted.assignment.reset();
  }
  if (verdict.assignment) trusted.assignment = verdict.assignment->assignment;
  if (!verdict.freshness) return;
  trusted.freshness_sequence = verdict.freshness->freshness.sequence;
  for (const auto& [ledger, listed] : verdict.freshness->listed)
    trusted.ledgers[ledger].listed = listed;
}

Floor floor_of(const ReleaseRef& ref) { return {ref.epoch, ref.version, ref.release_hash}; }

void advance_floor(Trusted& trusted, const model::LedgerId& ledger, const Floor& floor) {
  Floor& known = trusted.ledgers[ledger].floor;
  if (std::tie(floor.epoch, floor.version) > std::tie(known.epoch, known.version)) known = floor;
}

}  // namespace notp::trust
