#include "notp-client/agent/core/agent_trust.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <tuple>

#include "common/limits.hpp"
#include "protocol/session/freshness_update.hpp"

namespace notp::agent {
namespace {

// For checks of authority rather than age: before any expiry.
constexpr TimeMs kBeforeAnyExpiry = 0;

trust::Verdict verify_one_root(ByteView envelope, std::shared_ptr<const trust::Root> trusted) {
  trust::Update update;
  update.root_chain = {envelope};
  trust::Trusted as_of;
  as_of.root = std::move(trusted);
  return trust::verify_update(update, as_of, kBeforeAnyExpiry);
}

// The content is not read again: `is_keys_only` is what it was found to be.
Result<trust::VerifiedRelease> verify_stored(const model::LedgerId& ledger,
                                             const trust::ReleaseEnvelope& envelope,
                                             bool is_keys_only,
                                             std::shared_ptr<const trust::Root> trusted) {
  trust::Trusted as_of;
  as_of.root = std::move(trusted);
  NOTP_ASSIGN(trust::VerifiedRelease verified,
              trust::verify_release(envelope, ledger, as_of, kBeforeAnyExpiry));
  const trust::Delegation* const delegation = as_of.root->delegation_for(ledger);
  if (delegation->content == trust::ContentRule::kKeys && !is_keys_only)
    return fail(ErrorCode::kWrongTarget,
                fmt::format("the delegation '{}' lets {} hold key sets alone, and v{} holds more",
                            delegation->pattern, ledger.text(), verified.release().version));
  return verified;
}

std::unexpected<Error> broken_chain(uint64_t version, const Error& error) {
  return fail(ErrorCode::kCorrupt,
              fmt::format("stored root {} does not stand verification ({}); nothing stored can be "
                          "trusted: move the data folder away and let the agent fetch again",
                          version, error.message));
}

constexpr std::string_view kAssignmentIgnored =
    "the stored assignment to a class fails verification and is ignored";

// Only a holder of a freshness key reaches the parser.
std::optional<trust::Assignment> read_signed_assignment(ByteView bytes, const trust::Root& root) {
  const auto envelope = trust::decode_envelope(bytes, trust::kAssignmentType);
  if (!envelope || trust::count_signers(*envelope, root.freshness_keys) == 0) return std::nullopt;
  auto assignment = trust::Assignment::decode(envelope->payload);
  return assignment ? std::optional(*std::move(assignment)) : std::nullopt;
}

bool same_statement(ByteView a, ByteView b) {
  const auto left = trust::Envelope::decode(a), right = trust::Envelope::decode(b);
  return left && right && left->payload == right->payload;
}

std::tuple<uint64_t, uint64_t> place(const trust::Floor& floor) {
  return {floor.epoch, floor.version};
}

}  // namespace

// --- a cold start

Result<AgentTrust> AgentTrust::open(AgentTrustOptions options, ByteView pinned_root,
                                    store::StoreState& state, Now now) {
  AgentTrust trust(state.clock, now);
  trust.findings_ = state.findings;
  trust.options_ = std::move(options);
  trust.trusted_.audience = trust.options_.audience;
  trust.trusted_.freshness_sequence = state.freshness_sequence;
  for (const model::LedgerId& ledger : trust.options_.ledgers) {
    trust::LedgerTrust& known = trust.trusted_.ledgers[ledger];
    if (const auto stored = state.ledgers.find(ledger); stored != state.ledgers.end())
      known = {stored->second.floor, stored->second.listed};
  }
  trust.read_assignment(state);
  NOTP_ASSIGN(const Chain chain, trust.walk(pinned_root, state));
  trust.verify_assignment(state);
  for (const auto& root : chain) trust.note_signed(root->issued_ms);
  trust.verify_releases(chain, state);
  trust.replay_statements(chain, state);
  return trust;
}

Result<AgentTrust::Chain> AgentTrust::walk(ByteView pinned_root, const store::StoreState& state) {
  NOTP_ASSIGN(trust::Root pinned, trust::verify_pinned_root(pinned_root, options_.trust_domain));
  Chain chain;
  if (state.root_chain.empty()) {
    new_roots_.push_back({{pinned.version, Bytes(pinned_root)}, false});
    root_chain_.push_back(new_roots_.back().root);
    chain.push_back(std::make_shared<const trust::Root>(std::move(pinned)));
    trusted_.root = chain.back();
    return chain;
  }
  for (const store::StoredRoot& stored : state.root_chain) {
    NOTP_TRY(trust::check_is_read(stored.envelope));
    if (chain.empty()) {
      auto first = trust::verify_pinned_root(stored.envelope, options_.trust_domain);
      if (!first) return broken_chain(stored.version, first.error());
      chain.push_back(std::make_shared<const trust::Root>(std::move(*first)));
    } else {
      const trust::Verdict verdict = verify_one_root(stored.envelope, chain.back());
      if (verdict.error) return broken_chain(stored.version, *verdict.error);
      chain.push_back(verdict.root_chain.back().root);
    }
  }
  trusted_.root = chain.back();
  root_chain_ = state.root_chain;
  NOTP_TRY(meet(pinned, pinned_root, state, chain));
  return chain;
}

// A pinned root that is older than the stored chain must be a link of it: the chain wins. A newer
// one must be its next link: a later one cannot be reached without those in between.
Result<void> AgentTrust::meet(const trust::Root& pinned, ByteView pinned_envelope,
                              const store::StoreState& state, Chain& chain) {
  const uint64_t first = state.root_chain.front().version, last = state.root_chain.back().version;
  if (pinned.version == last + 1) {
    const trust::Verdict verdict = verify_one_root(pinned_envelope, chain.back());
    if (verdict.error)
      return std::unexpected(Error(*verdict.error)
                                 .in(fmt::format("the root file (version {}) does not follow the "
                                                 "stored root {}",
                                                 pinned.version, last)));
    trust::advance(trusted_, verdict);
    chain.push_back(verdict.root_chain.back().root);
    new_roots_.push_back({{pinned.version, Bytes(pinned_envelope)}, verdict.freshness_key_changed});
    root_chain_.push_back(new_roots_.back().root);
    return {};
  }
  if (pinned.version > last)
    return fail(ErrorCode::kRootInvalid,
                fmt::format("the root file is version {}, this node has verified the roots up to "
                            "{}: put the older file back and let the node walk the roots between "
                            "(its registry sends them), or move the data folder away to start "
                            "anew from this file",
                            pinned.version, last));
  if (pinned.version < first)
    return fail(ErrorCode::kRootInvalid,
                fmt::format("the root file is version {}, this node's chain of roots starts at {}: "
                            "put root {} or a later one of its chain in place",
                            pinned.version, first, first));
  if (!same_statement(state.root_chain[pinned.version - first].envelope, pinned_envelope))
    return fail(ErrorCode::kRootInvalid,
                fmt::format("the root file and this node's store hold two different roots of "
                            "version {}: find out which one is genuine; to trust the file, move "
                            "the data folder away",
                            pinned.version));
  return {};
}

void AgentTrust::verify_releases(const Chain& chain, store::StoreState& state) {
  for (const model::LedgerId& ledger : options_.ledgers) {
    const auto stored = state.ledgers.find(ledger);
    if (stored == state.ledgers.end()) continue;
    auto& releases = stored->second.releases;
    const Hash newest = releases.empty() ? Hash{} : releases.front().ref.release_hash;
    std::vector<store::StoredRelease> verified;
    for (store::StoredRelease& release : releases) {
      auto stands = verify_release(chain, release, stored->second.floor);
      if (stands) {
        verified.push_back(std::move(release));
        continue;
      }
      if (release.ref.release_hash == newest) damaged_.insert(ledger);
      findings_.push_back(std::move(stands).error().in(
          fmt::format("stored release {} of {} does not stand verification and is not used",
                      release.ref.version, ledger.text())));
    }
    releases = std::move(verified);
  }
}

Result<void> AgentTrust::verify_release(const Chain& chain, store::StoredRelease& release,
                                        const trust::Floor& floor) {
  auto verified =
      verify_stored(release.ref.ledger, release.envelope, release.is_keys_only, chain.back());
  const bool authorised = verified.has_value();
  // A release authorised by an older root was verified under it: it stays in use, but is not
  // attested.
  for (size_t i = chain.size() - 1; i-- > 0 && !verified;) {
    auto older =
        verify_stored(release.ref.ledger, release.envelope, release.is_keys_only, chain[i]);
    if (older) verified = std::move(older);
  }
  if (!verified) return std::unexpected(std::move(verified).error());
  const trust::ReleaseRef& ref = verified->ref;
  const trust::Release& statement = verified->release();
  const trust::Floor at = trust::floor_of(ref);
  if (at != trust::Floor{release.ref.epoch, release.ref.version, release.ref.release_hash} ||
      ref.content_root != release.ref.content_root)
    return fail(ErrorCode::kCorrupt, "its row says something else than its signed statement");
  if (place(at) > place(floor) ||
      (place(at) == place(floor) && at.release_hash != floor.release_hash))
    return fail(ErrorCode::kCorrupt,
                fmt::format("the floor stored with it is release {} of epoch {} ({})",
                            floor.version, floor.epoch, floor.release_hash.brief()));
  note_signed(statement.issued_ms);
  release.envelope = verified->envelope;
  held_[release.ref.ledger][release.ref.release_hash] = {
      .envelope = release.envelope,
      .scope = {statement.data_roots, statement.uses},
      .terms = {statement.fresh_s, statement.hard_s, statement.on_hard},
      .expires_ms = statement.expires_ms,
      .vouched_ms = std::min({statement.issued_ms, release.stored_ms, now_ms()}),
      .is_keys_only = release.is_keys_only,
      .authorised = authorised};
  return {};
}

void AgentTrust::replay_statements(const Chain& chain, const store::StoreState& state) {
  for (const store::StoredStatement& statement : state.statements) {
    auto replayed = replay(chain, statement, &statement == &state.statements.back());
    if (!replayed)
      findings_.push_back(std::move(replayed).error().in(
          "a stored freshness statement fails verification and is ignored"));
  }
}

void AgentTrust::read_assignment(const store::StoreState& state) {
  if (state.assignment.empty()) return;
  const auto envelope = trust::Envelope::decode(state.assignment);
  auto assignment = envelope ? trust::Assignment::decode(envelope->payload)
                             : Result<trust::Assignment>(std::unexpected(envelope.error()));
  if (assignment)
    trusted_.assignment = *std::move(assignment);
  else
    findings_.push_back(std::move(assignment).error().in(kAssignmentIgnored));
}

// For whichever identity accepted it here. Whether it has expired is asked when it is used.
void AgentTrust::verify_assignment(const store::StoreState& state) {
  if (!trusted_.assignment) return;
  trust::Trusted as_of;
  as_of.root = trusted_.root;
  as_of.audience = trusted_.assignment->audience;
  trust::Update update;
  update.assignment = state.assignment;
  const trust::Verdict verdict =
      trust::verify_update(update, as_of, trusted_.assignment->issued_ms);
  if (!verdict.error) return;
  trusted_.assignment.reset();
  findings_.push_back(Error(*verdict.error).in(kAssignmentIgnored));
}

// Audience and class are those of the node that accepted the statement here, whatever its identity
// and its class are today. Its expiry does not matter: it proves what was the newest when it was
// issued.
Result<void> AgentTrust::replay(const Chain& chain, const store::StoredStatement& statement,
                                bool is_last) {
  NOTP_ASSIGN(const trust::Envelope envelope, trust::decode_freshness_envelope(statement.envelope));
  NOTP_ASSIGN(const trust::Freshness freshness, trust::Freshness::decode(envelope));
  const auto root = std::ranges::find(chain, freshness.root_version,
                                      [](const auto& link) { return link->version; });
  if (root == chain.end())
    return fail(ErrorCode::kRootInvalid,
                fmt::format("it speaks of root {}, which is not stored", freshness.root_version));
  trust::Trusted as_of;
  as_of.root = *root;
  as_of.audience = freshness.audience;
  if (freshness.class_id) {
    as_of.assignment.emplace();
    as_of.assignment->class_id = *freshness.class_id;
    as_of.assignment->expires_ms = freshness.expires_ms;
  }
  for (const auto& [ledger, trust] : trusted_.ledgers) as_of.ledgers[ledger];
  trust::Update update;
  update.freshness = statement.envelope;
  const trust::Verdict verdict = trust::verify_update(update, as_of, freshness.issued_ms);
  if (verdict.error) return std::unexpected(*verdict.error);

  note_signed(freshness.issued_ms);
  if (is_last) last_statement_ = statement.envelope;
  const bool counts = is_last && !(*root)->drops_freshness_key(*trusted_.root);
  if (counts)
    trusted_.freshness_sequence = std::max(trusted_.freshness_sequence, freshness.sequence);
  const TimeMs at_ms = std::min({freshness.issued_ms, statement.accepted_ms, now_ms()});
  for (const trust::FreshHead& head : freshness.heads) {
    const auto listed = verdict.freshness->listed.find(head.ledger);
    if (listed == verdict.freshness->listed.end()) continue;
    trust::LedgerTrust& known = trusted_.ledgers[head.ledger];
    if (counts && place(listed->second) > place(known.listed)) known.listed = listed->second;
    Held* held = find(head.ledger, head.release_hash);
    const bool attested = held != nullptr && is_authorised(head.ledger, *held, **root);
    if (attested) held->vouched_ms = std::max(held->vouched_ms, at_ms);
    last_statements_[head.ledger] = {.release_hash = head.release_hash,
                                     .at_ms = at_ms,
                                     .withdrawn = {head.withdrawn.begin(), head.withdrawn.end()},
                                     .in_last_statement = is_last && (attested || held == nullptr)};
  }
  return {};
}

// --- updates

TimeMs AgentTrust::tick(Now now) {
  ticked_at_ = now;
  return clock_.now_ms(now);
}

bool AgentTrust::is_authorised(const model::LedgerId& ledger, const Held& held,
                               const trust::Root& root) const {
  return verify_stored(ledger, held.envelope, held.is_keys_only,
                       std::shared_ptr<const trust::Root>(&root, [](const trust::Root*) {}))
      .has_value();
}

Result<store::change::PinRoot> AgentTrust::take_root(ByteView envelope) {
  trust::Update update;
  update.root_chain = {envelope};
  trust::Verdict verdict = trust::verify_update(update, trusted_, now_ms());
  if (verdict.error) return std::unexpected(std::move(*verdict.error));
  trust::advance(trusted_, verdict);
  note_signed(root().issued_ms);
  for (auto& [ledger, releases] : held_)
    for (auto& [hash, held] : releases) held.authorised = is_authorised(ledger, held, root());
  root_chain_.push_back({root().version, Bytes(envelope)});
  return store::change::PinRoot{root_chain_.back(), verdict.freshness_key_changed};
}

Result<std::optional<store::change::KeepAssignment>> AgentTrust::take_assignment(
    ByteView envelope) {
  session_.refused_assignment = envelope;
  return retry_assignment();
}

Result<std::optional<store::change::KeepAssignment>> AgentTrust::retry_assignment() {
  if (session_.refused_assignment.empty()) return std::nullopt;
  TimeMs at_ms = now_ms();
  if (const auto signed_one = read_signed_assignment(session_.refused_assignment, root())) {
    session_.class_id = signed_one->class_id;
    at_ms = verified_at_ms(signed_one->issued_ms);
  }
  trust::Update update;
  update.assignment = session_.refused_assignment;
  const trust::Verdict verdict = trust::verify_update(update, trusted_, at_ms);
  session_.refusal = verdict.error;
  if (verdict.error) return std::unexpected(*verdict.error);
  session_.refused_assignment.clear();
  const trust::Assignment& accepted = verdict.assignment->assignment;
  if (trusted_.assignment == accepted) return std::nullopt;
  trust::advance(trusted_, verdict);
  return store::change::KeepAssignment{accepted.sequence, verdict.assignment->envelope};
}

std::optional<TimeMs> AgentTrust::provable_ms(TimeMs issued_ms) const {
  const TimeMs wall_ms = ticked_at_.wall_ms;
  const bool is_ahead = now_ms() > std::max(wall_ms + limits::kClockSkewMs, signed_ms_);
  const bool is_near = std::abs(issued_ms - wall_ms) <= limits::kClockSkewMs;
  if (!is_ahead || !is_near || !session_.registry.covers(wall_ms)) return std::nullopt;
  return std::max(issued_ms, signed_ms_);
}

Result<store::FreshnessKeep> AgentTrust::take_freshness(
    const wire::FreshnessUpdate& update, const std::vector<model::LedgerId>& expected) {
  std::optional<trust::Freshness>& base = update.of_class ? session_.of_class : session_.individual;
  auto class_id = session_.class_id;
  if (!class_id && trusted_.assignment) class_id = trusted_.assignment->class_id;
  NOTP_ASSIGN(const trust::Envelope envelope,
              session::expand_freshness_update(update, base ? &*base : nullptr,
                                               options_.trust_domain, trusted_.audience, class_id));
  NOTP_ASSIGN(base, trust::Freshness::decode(envelope));
  if (update.of_class && session_.refusal) return std::unexpected(*session_.refusal);
  const Bytes bytes = envelope.encode();
  trust::Update what;
  what.freshness = bytes;
  what.expected = expected;
  const std::optional<TimeMs> earlier_ms = provable_ms(base->issued_ms);
  const trust::Verdict verdict =
      trust::verify_update(what, trusted_, verified_at_ms(base->issued_ms));
  if (verdict.error) return std::unexpected(*verdict.error);
  if (earlier_ms) clock_.set_back(*earlier_ms, ticked_at_);
  trust::advance(trusted_, verdict);
  note_signed(verdict.freshness->freshness.issued_ms);
  last_statement_ = bytes;

  const std::map<model::LedgerId, trust::Floor>& listed = verdict.freshness->listed;
  store::FreshnessKeep keep{.sequence = verdict.freshness->freshness.sequence,
                            .envelope = bytes,
                            .listed = listed,
                            .parted = {},
                            .clock = marks(),
                            .sets_clock_back = earlier_ms.has_value()};
  for (auto& [ledger, last] : last_statements_) {
    if (!std::exchange(last.in_last_statement, false)) continue;
    const Held* held = find(ledger, last.release_hash);
    const auto head = listed.find(ledger);
    const bool again = head != listed.end() && head->second.release_hash == last.release_hash;
    if (held != nullptr && !(again && held->authorised))
      keep.parted.emplace_back(ledger, last.release_hash);
  }
  const TimeMs at_ms = std::min(verdict.freshness->freshness.issued_ms, now_ms());
  for (const trust::FreshHead& head : verdict.freshness->freshness.heads) {
    if (!listed.contains(head.ledger)) continue;
    Held* held = find(head.ledger, head.release_hash);
    const bool attested = held != nullptr && held->authorised;
    if (attested) held->vouched_ms = std::max(held->vouched_ms, at_ms);
    last_statements_[head.ledger] = {.release_hash = head.release_hash,
                                     .at_ms = at_ms,
                                     .withdrawn = {head.withdrawn.begin(), head.withdrawn.end()},
                                     .in_last_statement = attested || held == nullptr};
  }
  return keep;
}

Result<void> AgentTrust::take_release(const store::StoredRelease& release) {
  trust::advance_floor(trusted_, release.ref.ledger, trust::floor_of(release.ref));
  NOTP_ASSIGN(
      const trust::VerifiedRelease verified,
      verify_stored(release.ref.ledger, release.envelope, release.is_keys_only, trusted_.root));
  const trust::Release& statement = verified.release();
  note_signed(statement.issued_ms);
  Held& held = held_[release.ref.ledger][release.ref.release_hash];
  // A release that arrives again does not become fresher.
  const TimeMs before_ms = held.vouched_ms;
  held = {.envelope = release.envelope,
          .scope = {statement.data_roots, statement.uses},
          .terms = {statement.fresh_s, statement.hard_s, statement.on_hard},
          .expires_ms = statement.expires_ms,
          .vouched_ms = before_ms != 0 ? before_ms : std::min(statement.issued_ms, now_ms()),
          .is_keys_only = release.is_keys_only,
          .authorised = true};
  const auto last = last_statements_.find(release.ref.ledger);
  if (last != last_statements_.end() && last->second.release_hash == release.ref.release_hash)
    held.vouched_ms = std::max(held.vouched_ms, last->second.at_ms);
  return {};
}

void AgentTrust::forget(const model::LedgerId& ledger, const Hash& release) {
  if (const auto releases = held_.find(ledger); releases != held_.end())
    releases->second.erase(release);
}

const AgentTrust::Scope& AgentTrust::scope(const model::LedgerId& ledger,
                                           const Hash& release) const {
  static const Scope kNone;
  const auto releases = held_.find(ledger);
  if (releases == held_.end()) return kNone;
  const auto held = releases->second.find(release);
  return held == releases->second.end() ? kNone : held->second.scope;
}

// --- the freshness of a release

AgentTrust::Held* AgentTrust::find(const model::LedgerId& ledger, const Hash& release) {
  const auto releases = held_.find(ledger);
  if (releases == held_.end()) return nullptr;
  const auto held = releases->second.find(release);
  return held == releases->second.end() ? nullptr : &held->second;
}

FreshnessForecast AgentTrust::forecast(const model::LedgerId& ledger, const Hash& release) const {
  FreshnessForecast forecast;
  const auto releases = held_.find(ledger);
  if (releases == held_.end()) return forecast;
  const auto found = releases->second.find(release);
  if (found == releases->second.end()) return forecast;
  const Held& held = found->second;
  trust::FreshnessStatus& freshness_status = forecast.freshness_status;
  freshness_status.vouched_ms = held.vouched_ms;
  freshness_status.terms = held.terms;
  if (!root().freshness_keys.empty()) {
    const trust::Age age = trust::age_of(held.terms, held.vouched_ms, now_ms());
    freshness_status.state = age.state;
    forecast.next_change_ms = age.next_change_ms;
    const auto last = last_statements_.find(ledger);
    freshness_status.withdrawn =
        last != last_statements_.end() && last->second.withdrawn.contains(release);
  }
  // An operator may have set trusted time back below what was signed.
  const TimeMs latest_ms = std::max(now_ms(), signed_ms_);
  const bool expired = held.expires_ms != 0 && latest_ms >= held.expires_ms;
  if (freshness_status.withdrawn || expired) {
    freshness_status.state = trust::FreshnessState::kExpired;
    forecast.next_change_ms = kNever;
  } else if (held.expires_ms != 0) {
    forecast.next_change_ms = std::min(forecast.next_change_ms, held.expires_ms);
  }
  return forecast;
}

}  // namespace notp::agent
