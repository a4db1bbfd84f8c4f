#include "notp-client/agent/agent_core.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/trust/statements.hpp"

// NOTP_PLANTED_…: bugs on demand. A simulation that does not find each of them proves nothing.

namespace notp {
namespace {

// An embedded PDP confirms within milliseconds; one Commit then says both.
constexpr TimeMs kStoredReportDelayMs = 500;

// Of what the store holds.
bool is_damage(ErrorCode code) {
  return code == ErrorCode::kNotFound || code == ErrorCode::kCorrupt;
}

bool is_delta_failure(ErrorCode code) {
  return code == ErrorCode::kArtifact || code == ErrorCode::kContentRoot || is_damage(code);
}

bool is_attack(ErrorCode code) {
  return code == ErrorCode::kRollback || code == ErrorCode::kEquivocation ||
         code == ErrorCode::kSignature || code == ErrorCode::kWrongTarget ||
         code == ErrorCode::kStatement || code == ErrorCode::kEnvelope;
}

// A clock that is off, here or there, or an expired root: the next statement may be fine, and
// releases do not depend on it.
bool may_pass(ErrorCode code) { return code == ErrorCode::kClock || code == ErrorCode::kExpired; }

}  // namespace

AgentCore::AgentCore(AgentOptions options, StoreState state, AgentTrust trust, Random& random,
                     Now now)
    : options_(std::move(options)),
      trust_(std::move(trust)),
      random_(random),
      backoff_(options_.backoff_first_ms, options_.backoff_max_ms),
      connect_at_ms_(now.boot_ms),
      keep_time_ms_(now.boot_ms) {
  for (const LedgerId& ledger : options_.ledgers) {
    LedgerRun& run = ledgers_[ledger];
    run.damaged = trust_.damaged().contains(ledger);
    if (const auto stored = state.ledgers.find(ledger); stored != state.ledgers.end())
      run.releases = std::move(stored->second.releases);
  }
}

void AgentCore::start(Now now) {
  trust_.tick(now);
  for (const Error& finding : trust_.findings()) alarm(finding);
  for (const PinnedRoot& pinned : trust_.new_roots())
    effects_.push_back(agent_effect::PinRoot{pinned});
  try_activation(/*again=*/true);
  on_deadline(now);
}

// --- the connection

TimeMs AgentCore::next_deadline() const {
  TimeMs deadline = std::min(keep_time_ms_, look_again_ms_);
  if (!dialling_ && !session_) deadline = std::min(deadline, connect_at_ms_);
  if (session_)
    for (const auto& [ledger, run] : ledgers_) deadline = std::min(deadline, run.stored_report_ms);
  return deadline;
}

void AgentCore::on_deadline(Now now) {
  trust_.tick(now);
  if (!dialling_ && !session_ && now.boot_ms >= connect_at_ms_) {
    dialling_ = true;
    effects_.push_back(agent_effect::Connect{});
  }
  for (auto& [ledger, run] : ledgers_) {
    if (now.boot_ms < run.stored_report_ms) continue;
    run.stored_report_ms = kNever;
    if (!run.releases.empty())
      report(ledger, run.releases.front().ref.version, wire::CommitState::kStored, nullptr);
  }
  if (now.boot_ms >= keep_time_ms_) {
    keep_time_ms_ = now.boot_ms + limits::kClockKeepMs;
    effects_.push_back(agent_effect::KeepTime{trust_.marks()});
  }
  age();
}

void AgentCore::connect_later(TimeMs retry_after_ms) {
  dialling_ = false;
  connect_at_ms_ = trust_.ticked_at().boot_ms + backoff_.next(random_, retry_after_ms);
}

void AgentCore::on_connect_failed(const Error& error, Now now) {
  trust_.tick(now);
  last_error_ = error.message;
  connect_later(0);
  age();
}

ClientSession& AgentCore::on_connected(Now now, tls::Validity registry) {
  NOTP_ASSERT(dialling_ && !session_, "one connection at a time");
  trust_.tick(now);
  dialling_ = false;
  retry_after_ms_ = 0;
  distrusted_ = false;
  is_vouched_ = false;
  trust_.begin_session(registry);
  wire::Hello hello = make_hello();
  session_ = std::make_unique<ClientSession>(std::move(hello), partials_, now);
  return *session_;
}

void AgentCore::on_disconnected(const std::optional<Error>& why, Now now) {
  NOTP_ASSERT(session_, "a session ends once");
  trust_.tick(now);
  take_session_events();
  if (why && !session_->is_welcomed()) last_error_ = why->message;
  for (PartialArtifact& partial : session_->take_partials())
    if (name_partial(partial)) partials_.push_back(std::move(partial));
  for (auto& [ledger, mark] : staged_) mark.stream.reset();
  session_.reset();
  for (auto& [ledger, run] : ledgers_) {
    run.registry_version = 0;
    run.stored_report_ms = kNever;
  }
  connect_later(retry_after_ms_);
  age();
}

// An offer to a subscription does not say the id of its artifact. It follows from the envelope, at
// the front of what has arrived; less than that is not worth keeping.
std::optional<Hash> AgentCore::artifact_of(const wire::Offer& offer, ByteView received) {
  if (!offer.artifact.is_zero()) return offer.artifact;
  const auto run = ledgers_.find(offer.ledger);
  if (run == ledgers_.end()) return std::nullopt;
  const StoredRelease* base = offer.base ? find(run->second, offer.base->version) : nullptr;
  if (offer.base && !base) return std::nullopt;
  const auto bytes = read_envelope(received, base ? ByteView(base->envelope) : ByteView());
  if (!bytes) return std::nullopt;
  const auto envelope = Envelope::decode(*bytes);
  if (!envelope) return std::nullopt;
  return artifact_id(base ? base->ref.release_hash : Hash{}, release_hash(envelope->payload),
                     offer.effort);
}

bool AgentCore::name_partial(PartialArtifact& partial) {
  const auto artifact = artifact_of(partial.offer, partial.bytes);
  if (artifact) partial.offer.artifact = *artifact;
  return artifact.has_value();
}

bool AgentCore::ask(const wire::Request& request) {
  if (!session_ || session_->is_closed() || !session_->is_welcomed()) return false;
  session_->request(request);
  return true;
}

wire::Hello AgentCore::make_hello() const {
  wire::Hello hello{.versions = {wire::kProtocolVersion},
                    .agent = options_.agent,
                    .root_version = trust_.root().version,
                    .freshness_sequence = trust_.trusted().freshness_sequence,
                    .wants = {}};
  for (const auto& [ledger, run] : ledgers_)
    hello.wants.push_back(make_want(ledger, run, /*with_base=*/true));
  return hello;
}

wire::Want AgentCore::make_want(const LedgerId& ledger, const LedgerRun& run,
                                bool with_base) const {
  wire::Want want;
  want.ledger = ledger;
  const auto partial =
      std::ranges::find(partials_, ledger, [](const PartialArtifact& p) { return p.offer.ledger; });
  if (partial != partials_.end())
    want.resume = wire::ResumeToken{partial->offer.artifact, partial->bytes.size()};
  if (!with_base || run.damaged || run.releases.empty()) return want;
  const auto base_of = [](const StoredRelease& r) {
    return wire::Base{r.ref.version, r.ref.content_root};
  };
  want.base = base_of(run.releases.front());
  if (run.held) want.lacks.assign(run.held->lacks.begin(), run.held->lacks.end());
  // 1, 2, 4, 8 … releases back: a base near any age, in a few entries.
  for (size_t back = 1; back < run.releases.size() && want.older.size() < limits::kOlderBasesMax;
       back *= 2)
    want.older.push_back(base_of(run.releases[back]));
  return want;
}

// --- the session

void AgentCore::on_session_progress(Now now) {
  if (!session_) return;
  trust_.tick(now);
  take_session_events();
  age();
}

void AgentCore::take_session_events() {
  for (ClientEvent& event : session_->take_events())
    std::visit([&](auto& e) { on_event(e); }, event);
}

// Ends the session over what the registry said of roots or freshness; nothing of that kind is taken
// from it any more. Unless it proves good next time, it is asked less and less often.
void AgentCore::distrust(const Error& error) {
  distrusted_ = suspicious_ = true;
  session_->refuse(error);
}

void AgentCore::on_event(client_event::Welcomed& event) {
  if (event.welcome.trust_domain != options_.trust_domain)
    return session_->refuse(
        Error{ErrorCode::kWrongTarget,
              fmt::format("this registry serves trust domain {}, this node is of {}",
                          event.welcome.trust_domain, options_.trust_domain),
              {}});
  if (!suspicious_) backoff_.reset();
  last_error_.clear();
  for (auto& [ledger, run] : ledgers_) {
    run.refusal.clear();
    run.registry_version = run.releases.empty() ? 0 : run.releases.front().ref.version;
  }
  for (const wire::Refusal& refusal : event.welcome.refusals) {
    const auto run = ledgers_.find(refusal.ledger);
    if (run == ledgers_.end()) continue;
    run->second.refusal = refusal.message;
    run->second.registry_version = 0;
    alarm(Error{refusal.code,
                refusal.code == ErrorCode::kCorrupt
                    ? fmt::format("the registry cannot serve {}: {}", refusal.ledger.text(),
                                  refusal.message)
                    : fmt::format("the registry does not grant {}: {}", refusal.ledger.text(),
                                  refusal.message),
                {}});
  }
  for (const ReleaseRef& head : event.welcome.heads) check_head(head);
  for (auto& [ledger, run] : ledgers_) report_ledger(ledger, run);
}

// The word of a registry about its head is not signed here: it can raise an alarm, never change
// state.
void AgentCore::check_head(const ReleaseRef& head) {
  const auto found = ledgers_.find(head.ledger);
  if (found == ledgers_.end()) return;
  const Floor& known = floor(head.ledger);
  // Versions start over with an epoch, and a head does not say of which one it is.
  if (trust_.root().epoch > known.epoch) return;
  if (head.version < known.version) {
    found->second.registry_version = head.version;
    alarm(Error{
        ErrorCode::kRollback,
        fmt::format("the registry's newest {} is v{}, this node has verified v{}: the registry "
                    "lost releases or is held back; this node keeps v{}",
                    head.ledger.text(), head.version, known.version, known.version),
        {}});
  } else if (head.version == known.version && head.version != 0 &&
             head.release_hash != known.release_hash) {
    alarm(Error{ErrorCode::kEquivocation,
                fmt::format("the registry shows another {} v{} than this node has verified",
                            head.ledger.text(), head.version),
                {}});
  }
}

void AgentCore::report_ledger(const LedgerId& ledger, const LedgerRun& run) {
  const auto active = active_.find(ledger);
  std::optional<Error> error = trouble_of(run);
  if (active != active_.end() && !active->second.standing.withheld) {
    if (!error) error = quarantined_paths(run);
    report(ledger, active->second.version, wire::CommitState::kActive, error ? &*error : nullptr);
  }
  if (run.releases.empty()) return;
  const StoredRelease& newest = run.releases.front();
  if (newest.quarantined) {
    const Error refused{ErrorCode::kPdpRejected, newest.error, {}};
    report(ledger, newest.ref.version, wire::CommitState::kRejected, &refused);
  } else if (run.beside) {
    report(ledger, run.beside->version, wire::CommitState::kRejected, &run.beside->error);
  } else if (active == active_.end() || active->second.version != newest.ref.version) {
    if (!pdp_trouble_.empty()) error = Error{ErrorCode::kUnavailable, pdp_trouble_, {}};
    report(ledger, newest.ref.version, wire::CommitState::kStored, error ? &*error : nullptr);
  }
}

void AgentCore::report_all() {
  for (const auto& [ledger, run] : ledgers_) report_ledger(ledger, run);
}

void AgentCore::report(const LedgerId& ledger, uint64_t version, wire::CommitState state,
                       const Error* error) {
  if (!session_ || session_->is_closed() || !session_->is_welcomed()) return;
  // A registry that lost releases would take a report of one that it never had for a broken peer.
  if (version > ledgers_.at(ledger).registry_version) return;
  wire::Commit commit;
  commit.ledger = ledger;
  commit.version = version;
  commit.state = state;
  commit.freshness = active_state(ledger).value_or(FreshnessState::kUntracked);
  if (error) {
    commit.code = static_cast<uint32_t>(error->code);
    commit.message = error->message.substr(0, limits::kErrorTextBytesMax);
  }
  session_->commit(commit);
}

void AgentCore::on_event(client_event::OfferStarted& event) {
  const auto run = ledgers_.find(event.offer.ledger);
  if (run == ledgers_.end())
    return session_->refuse(
        Error{ErrorCode::kState,
              fmt::format("{} was offered but never wanted", event.offer.ledger.text()),
              {}});
  run->second.registry_version = std::max(run->second.registry_version, event.offer.version);
  // The session has what it resumes from.
  std::erase_if(partials_, [&](const PartialArtifact& partial) {
    return partial.offer.ledger == event.offer.ledger;
  });
  on_staged_offer(event.offer);
}

void AgentCore::on_event(client_event::OfferComplete& event) {
  if (!ledgers_.contains(event.offer.ledger)) return;
  if (const auto mark = staged_.find(event.offer.ledger);
      mark != staged_.end() && mark->second.stream == event.offer.stream)
    mark->second.stream.reset();
  arrived_.push_back(
      {std::move(event.offer), std::make_shared<const Bytes>(std::move(event.artifact))});
  install_next();
}

void AgentCore::on_event(client_event::Published&) {}

void AgentCore::on_event(client_event::Answered& event) {
  effects_.push_back(agent_effect::Answered{std::move(event.response)});
}

void AgentCore::on_event(client_event::RootArrived& event) {
  if (distrusted_) return;
  auto pinned = trust_.take_root(event.envelope);
  if (!pinned) {
    alarm(pinned.error());
    root_trouble_ = Error(pinned.error()).in("the registry's root is refused");
    report_all();
    return distrust(pinned.error());
  }
  if (!trust_.root_has_expired()) root_alarm_.clear();
  root_trouble_.reset();
#ifndef NOTP_PLANTED_NEVER_KEEP_ROOT
  effects_.push_back(agent_effect::PinRoot{std::move(*pinned)});
#endif
}

void AgentCore::on_event(client_event::FreshnessArrived& event) {
  if (distrusted_) return;
  std::vector<LedgerId> expected;
  for (const auto& [ledger, run] : ledgers_)
    if (run.refusal.empty()) expected.push_back(ledger);
  auto keep = trust_.take_freshness(event.update, expected);
  if (!keep) {
    alarm_once(freshness_alarm_, keep.error());
    const bool is_told = freshness_trouble_ && freshness_trouble_->code == keep.error().code;
    freshness_trouble_ =
        Error(keep.error()).in("the registry's word that this is the newest is refused");
    if (!is_told) report_all();
    if (!may_pass(keep.error().code)) distrust(keep.error());
    return;
  }
  suspicious_ = false;
  freshness_alarm_.clear();
  bool is_over = freshness_trouble_ || root_trouble_;
  freshness_trouble_.reset();
  root_trouble_.reset();
  if (std::exchange(is_vouched_, true))
    is_over |= std::exchange(store_trouble_, std::nullopt).has_value();
  if (is_over) report_all();
  keep_time_ms_ = trust_.ticked_at().boot_ms + limits::kClockKeepMs;
  effects_.push_back(agent_effect::KeepFreshness{std::move(*keep)});
}

void AgentCore::on_event(client_event::Closed& event) {
  last_error_ = event.error.message;
  retry_after_ms_ = event.retry_after_ms;
}

void AgentCore::on_store_failed(const Error& error, Now now) {
  trust_.tick(now);
  alarm(error);
  store_trouble_ = Error(error).in("this node cannot keep what it is told");
  // What is trusted by now would be forgotten by a restart: it is asked for again after a pause.
  if (session_) session_->say_bye("the node's store failed");
  age();
}

// --- installation

void AgentCore::install_next() {
  if (installing_ || arrived_.empty()) return;
  installing_ = std::move(arrived_.front());
  arrived_.pop_front();
  const wire::Offer& offer = installing_->offer;
  LedgerRun& run = ledgers_.at(offer.ledger);
  InstallRequest request{.ledger = offer.ledger,
                         .version = offer.version,
                         .artifact = installing_->artifact,
                         .base_version = 0,
                         .base_envelope = {},
                         .partial = {},
                         .trusted = trust_.trusted(),
                         .now_ms = trust_.now_ms(),
                         .confirmed = {}};
  if (offer.base || offer.partial) {
    // A part of a release that the registry does not know is one of the last inventory's.
    const uint64_t held = run.held ? run.held->version : 0;
    const StoredRelease* base = find(run, offer.base ? offer.base->version : held);
    const bool other = base && offer.base && !offer.base->content_root.is_zero() &&
                       base->ref.content_root != offer.base->content_root;
    if (!base || other) {
      fetch_full(offer.ledger);
      drop_staged(offer);
      installing_.reset();
      return install_next();
    }
    request.base_version = base->ref.version;
    if (offer.partial)
      request.partial = HeldPart{.content_root = offer.partial->content_root,
                                 .lacks = run.held ? run.held->lacks : std::set<Hash>(),
                                 .without = offer.partial->without};
    else
      request.base_envelope = base->envelope;
  }
  const auto active = active_.find(offer.ledger);
  if (active != active_.end() && !active->second.standing.denies())
    request.confirmed = active->second.version;
  effects_.push_back(agent_effect::Install{std::move(request)});
}

void AgentCore::on_installed(Result<StoredRelease> outcome, Now now) {
  NOTP_ASSERT(installing_, "an installation that was never asked for");
  trust_.tick(now);
  const Arrived arrived = std::move(*installing_);
  installing_.reset();
  drop_staged(arrived.offer);
  if (outcome)
    if (auto authorised = trust_.take_release(*outcome); !authorised)
      outcome = std::unexpected(std::move(authorised).error());
  if (outcome)
    on_stored(std::move(*outcome));
  else
    on_install_failed(arrived, outcome.error());
  install_next();
  age();
}

void AgentCore::on_stored(StoredRelease release) {
  const LedgerId ledger = release.ref.ledger;
  LedgerRun& run = ledgers_.at(ledger);
  if (const auto active = active_.find(ledger); active != active_.end())
    if (StoredRelease* confirmed = find(run, active->second.version))
      confirmed->confirmed |= !active->second.standing.denies();
  run.damaged = false;
  run.held.reset();
  run.trouble.reset();
  suspicious_ = false;
  // The store works: what it could not keep before, it keeps now.
  if (std::exchange(store_trouble_, std::nullopt)) report_all();
  futile_.reset();
  futile_aged_.reset();
  run.stored_report_ms = trust_.ticked_at().boot_ms + kStoredReportDelayMs;
  effects_.push_back(
      agent_effect::Changed{ledger, release.ref.version, wire::CommitState::kStored, {}});
  std::erase_if(run.releases,
                [&](const StoredRelease& r) { return r.ref.version == release.ref.version; });
  run.releases.insert(run.releases.begin(), std::move(release));
  drop_old_releases(ledger, run);
  try_activation(/*again=*/false);
}

// The store has dropped the same ones (Store::swap), but for what the PDP has still; a base that is
// gone is fetched whole.
void AgentCore::drop_old_releases(const LedgerId& ledger, LedgerRun& run) {
  const auto good = std::ranges::find_if(
      run.releases, [](const StoredRelease& r) { return r.confirmed && !r.quarantined; });
  const uint64_t good_version = good == run.releases.end() ? 0 : good->ref.version;
  const auto active = active_.find(ledger);
  const uint64_t active_version = active == active_.end() ? 0 : active->second.version;
  size_t left = run.releases.size();
  for (size_t i = left; i-- > 1 && left > options_.releases_kept;) {
    const StoredRelease& release = run.releases[i];
    if (release.ref.version == good_version || release.ref.version == active_version) continue;
    trust_.forget(ledger, release.ref.release_hash);
    run.releases.erase(run.releases.begin() + static_cast<ptrdiff_t>(i));
    --left;
  }
}

void AgentCore::on_install_failed(const Arrived& arrived, const Error& error) {
  const LedgerId& ledger = arrived.offer.ledger;
  const wire::Offer& offer = arrived.offer;
  if (offer.base && !offer.partial && is_damage(error.code))
    return take_stock(ledger, offer.base->version, std::nullopt);
  // The front of a resumed transfer came from an earlier session, maybe from another registry:
  // whatever is wrong with it, its envelope included, says nothing against this one.
  const bool resumed = offer.offset > 0;
  if (resumed && error.code != ErrorCode::kIo) return fetch_full(ledger);
  if (is_attack(error.code)) alarm(error);
  if (is_delta_failure(error.code) && (offer.base || offer.partial)) return fetch_full(ledger);
  effects_.push_back(agent_effect::Changed{ledger, arrived.offer.version,
                                           wire::CommitState::kRejected, error.message});
  ledgers_.at(ledger).trouble =
      Error(error).in(fmt::format("v{} cannot be taken", arrived.offer.version));
  report(ledger, arrived.offer.version, wire::CommitState::kRejected, &error);
  // A store that failed may work again after a pause; the release is pulled anew then.
  if (error.code == ErrorCode::kIo && session_) session_->say_bye("the node's store failed");
}

}  // namespace notp
