#include "notp-client/agent/agent_core.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/assert.hpp"
#include "common/limits.hpp"

namespace notp {
namespace {

// An embedded PDP confirms within milliseconds; one Commit then says both.
constexpr TimeMs kStoredReportDelayMs = 500;
constexpr size_t kAlarmsKept = 16;

bool is_delta_failure(ErrorCode code) {
  return code == ErrorCode::kArtifact || code == ErrorCode::kContentRoot ||
         code == ErrorCode::kNotFound || code == ErrorCode::kCorrupt;
}

// What was to be activated could not be read: no word of the PDP about it.
bool is_store_failure(ErrorCode code) {
  return code == ErrorCode::kCorrupt || code == ErrorCode::kNotFound || code == ErrorCode::kIo;
}

bool is_attack(ErrorCode code) {
  return code == ErrorCode::kRollback || code == ErrorCode::kEquivocation ||
         code == ErrorCode::kSignature || code == ErrorCode::kWrongTarget ||
         code == ErrorCode::kStatement || code == ErrorCode::kEnvelope;
}

}  // namespace

AgentCore::AgentCore(AgentOptions options, StoreState state, std::shared_ptr<const Root> root,
                     Random& random, Now now)
    : options_(std::move(options)),
      root_(std::move(root)),
      random_(random),
      backoff_(options_.backoff_first_ms, options_.backoff_max_ms),
      connect_at_ms_(now.boot_ms) {
  for (const LedgerId& ledger : options_.ledgers) {
    LedgerRun& run = ledgers_[ledger];
    if (const auto stored = state.ledgers.find(ledger); stored != state.ledgers.end()) {
      run.floor = stored->second.floor;
      run.releases = std::move(stored->second.releases);
    }
  }
}

void AgentCore::start(Now now) {
  try_activation(/*again=*/true);
  on_deadline(now);
}

// --- the connection

TimeMs AgentCore::next_deadline() const {
  TimeMs deadline = dialling_ || session_ ? kNever : connect_at_ms_;
  if (session_)
    for (const auto& [ledger, run] : ledgers_) deadline = std::min(deadline, run.stored_report_ms);
  return deadline;
}

void AgentCore::on_deadline(Now now) {
  if (!dialling_ && !session_ && now.boot_ms >= connect_at_ms_) {
    dialling_ = true;
    effects_.push_back(agent_effect::Connect{});
  }
  for (auto& [ledger, run] : ledgers_) {
    if (now.boot_ms < run.stored_report_ms) continue;
    run.stored_report_ms = kNever;
    if (!run.releases.empty())
      report(ledger, run.releases.front().version, wire::CommitState::kStored, nullptr);
  }
}

void AgentCore::connect_later(TimeMs retry_after_ms, Now now) {
  dialling_ = false;
  connect_at_ms_ = now.boot_ms + backoff_.next(random_, retry_after_ms);
}

void AgentCore::on_connect_failed(const Error& error, Now now) {
  last_error_ = error.message;
  connect_later(0, now);
}

ClientSession& AgentCore::on_connected(Now now) {
  NOTP_ASSERT(dialling_ && !session_, "one connection at a time");
  dialling_ = false;
  retry_after_ms_ = 0;
  wire::Hello hello = make_hello();
  session_ = std::make_unique<ClientSession>(std::move(hello), std::exchange(partials_, {}), now);
  return *session_;
}

void AgentCore::on_disconnected(const std::optional<Error>& why, Now now) {
  NOTP_ASSERT(session_, "a session ends once");
  on_session_progress(now);
  if (why && !session_->is_welcomed()) last_error_ = why->message;
  partials_ = session_->take_partials();
  session_.reset();
  for (auto& [ledger, run] : ledgers_) {
    run.registry_version = 0;
    run.stored_report_ms = kNever;
  }
  connect_later(retry_after_ms_, now);
}

wire::Hello AgentCore::make_hello() const {
  wire::Hello hello{.versions = {wire::kProtocolVersion},
                    .agent = options_.agent,
                    .root_version = root_->version,
                    .freshness_sequence = 0,
                    .wants = {}};
  for (const auto& [ledger, run] : ledgers_)
    hello.wants.push_back(make_want(ledger, run, /*with_base=*/true));
  return hello;
}

wire::Want AgentCore::make_want(const LedgerId& ledger, const LedgerRun& run,
                                bool with_base) const {
  wire::Want want{
      .ledger = ledger, .base = {}, .older = {}, .resume = {}, .version = 0, .heads_only = false};
  const auto partial =
      std::ranges::find(partials_, ledger, [](const PartialArtifact& p) { return p.offer.ledger; });
  if (partial != partials_.end())
    want.resume = wire::ResumeToken{partial->offer.artifact, partial->bytes.size()};
  if (!with_base || run.damaged || run.releases.empty()) return want;
  const auto base_of = [](const StoredRelease& r) { return wire::Base{r.version, r.content_root}; };
  want.base = base_of(run.releases.front());
  // 1, 2, 4, 8 … releases back: a base near any age, in a few entries.
  for (size_t back = 1; back < run.releases.size() && want.older.size() < limits::kOlderBasesMax;
       back *= 2)
    want.older.push_back(base_of(run.releases[back]));
  return want;
}

// --- the session

void AgentCore::on_session_progress(Now now) {
  if (!session_) return;
  for (ClientEvent& event : session_->take_events())
    std::visit([&](auto& e) { on_event(e, now); }, event);
}

void AgentCore::on_event(client_event::Welcomed& event, Now now) {
  if (event.welcome.trust_domain != options_.trust_domain)
    return session_->refuse(
        Error{ErrorCode::kWrongTarget,
              fmt::format("this registry serves trust domain {}, this node is of {}",
                          event.welcome.trust_domain, options_.trust_domain),
              {}});
  backoff_.reset();
  last_error_.clear();
  for (auto& [ledger, run] : ledgers_) {
    run.refusal.clear();
    run.registry_version = run.releases.empty() ? 0 : run.releases.front().version;
  }
  for (const wire::Refusal& refusal : event.welcome.refusals) {
    const auto run = ledgers_.find(refusal.ledger);
    if (run == ledgers_.end()) continue;
    run->second.refusal = refusal.message;
    run->second.registry_version = 0;
    alarm(Error{
        refusal.code,
        fmt::format("the registry does not grant {}: {}", refusal.ledger.text(), refusal.message),
        {}});
  }
  for (const wire::Head& head : event.welcome.heads) check_head(head);
  for (const auto& [ledger, run] : ledgers_) report_ledger(ledger, run);
  (void)now;
}

// The word of a registry about its head is not signed here: it can raise an alarm, never change
// state.
void AgentCore::check_head(const wire::Head& head) {
  const auto found = ledgers_.find(head.ledger);
  if (found == ledgers_.end()) return;
  LedgerRun& run = found->second;
  if (head.version < run.floor.version) {
    run.registry_version = head.version;
    alarm(Error{
        ErrorCode::kRollback,
        fmt::format("the registry's newest {} is v{}, this node has verified v{}: the registry "
                    "lost releases or is held back; this node keeps v{}",
                    head.ledger.text(), head.version, run.floor.version, run.floor.version),
        {}});
  } else if (head.version == run.floor.version && head.version != 0 &&
             head.release_hash != run.floor.release) {
    alarm(Error{ErrorCode::kEquivocation,
                fmt::format("the registry shows another {} v{} than this node has verified",
                            head.ledger.text(), head.version),
                {}});
  }
}

void AgentCore::report_ledger(const LedgerId& ledger, const LedgerRun& run) {
  const auto active = active_.find(ledger);
  if (active != active_.end()) report(ledger, active->second, wire::CommitState::kActive, nullptr);
  if (run.releases.empty()) return;
  const StoredRelease& newest = run.releases.front();
  if (newest.quarantined) {
    const Error error{ErrorCode::kPdpRejected, newest.error, {}};
    report(ledger, newest.version, wire::CommitState::kRejected, &error);
  } else if (active == active_.end() || active->second != newest.version) {
    report(ledger, newest.version, wire::CommitState::kStored, nullptr);
  }
}

void AgentCore::report(const LedgerId& ledger, uint64_t version, wire::CommitState state,
                       const Error* error) {
  if (!session_ || session_->is_closed() || !session_->is_welcomed()) return;
  // A registry that lost releases would take a report of one that it never had for a broken peer.
  if (version > ledgers_.at(ledger).registry_version) return;
  wire::Commit commit{.ledger = ledger,
                      .version = version,
                      .state = state,
                      .code = 0,
                      .message = {},
                      .content_root = {}};
  if (error) {
    commit.code = static_cast<uint32_t>(error->code);
    commit.message = error->message.substr(0, limits::kErrorTextBytesMax);
  }
  session_->commit(commit);
}

void AgentCore::on_event(client_event::OfferStarted& event, Now) {
  const auto run = ledgers_.find(event.offer.ledger);
  if (run == ledgers_.end())
    return session_->refuse(
        Error{ErrorCode::kState,
              fmt::format("{} was offered but never wanted", event.offer.ledger.text()),
              {}});
  run->second.registry_version = std::max(run->second.registry_version, event.offer.version);
}

void AgentCore::on_event(client_event::OfferComplete& event, Now) {
  if (!ledgers_.contains(event.offer.ledger)) return;
  arrived_.push_back(
      {std::move(event.offer), std::make_shared<const Bytes>(std::move(event.artifact))});
  install_next();
}

void AgentCore::on_event(client_event::Published&, Now) {}
void AgentCore::on_event(client_event::Answered&, Now) {}
void AgentCore::on_event(client_event::RootArrived&, Now) {}
void AgentCore::on_event(client_event::FreshnessArrived&, Now) {}

void AgentCore::on_event(client_event::Closed& event, Now) {
  last_error_ = event.error.message;
  retry_after_ms_ = event.retry_after_ms;
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
                         .floor = run.floor,
                         .root = root_,
                         .confirmed = {}};
  if (offer.base) {
    const StoredRelease* base = find(run, offer.base->version);
    if (!base || base->content_root != offer.base->content_root) {
      fetch_full(offer.ledger);
      installing_.reset();
      return install_next();
    }
    request.base_version = base->version;
    request.base_envelope = base->envelope;
  }
  const auto active = active_.find(offer.ledger);
  if (active != active_.end()) request.confirmed = active->second;
  effects_.push_back(agent_effect::Install{std::move(request)});
}

void AgentCore::on_installed(Result<StoredRelease> outcome, Now now) {
  NOTP_ASSERT(installing_, "an installation that was never asked for");
  const Arrived arrived = std::move(*installing_);
  installing_.reset();
  if (!outcome) {
    on_install_failed(arrived, outcome.error());
    return install_next();
  }
  LedgerRun& run = ledgers_.at(outcome->ledger);
  if (const auto active = active_.find(outcome->ledger); active != active_.end())
    if (StoredRelease* confirmed = find(run, active->second)) confirmed->confirmed = true;
  run.damaged = false;
  run.floor = {outcome->epoch, outcome->version, outcome->release};
  run.stored_report_ms = now.boot_ms + kStoredReportDelayMs;
  effects_.push_back(
      agent_effect::Changed{outcome->ledger, outcome->version, wire::CommitState::kStored, {}});
  std::erase_if(run.releases,
                [&](const StoredRelease& r) { return r.version == outcome->version; });
  run.releases.insert(run.releases.begin(), std::move(*outcome));
  // The store has dropped the same ones (Store::swap); a base that is gone is fetched whole.
  try_activation(/*again=*/false);
  install_next();
}

void AgentCore::on_install_failed(const Arrived& arrived, const Error& error) {
  const LedgerId& ledger = arrived.offer.ledger;
  if (is_attack(error.code)) alarm(error);
  // What was half received earlier may be the damage, too.
  const bool pieced = arrived.offer.base || arrived.offer.offset > 0;
  if (is_delta_failure(error.code) && pieced) return fetch_full(ledger);
  effects_.push_back(agent_effect::Changed{ledger, arrived.offer.version,
                                           wire::CommitState::kRejected, error.message});
  report(ledger, arrived.offer.version, wire::CommitState::kRejected, &error);
  // A store that failed may work again after a pause; the release is pulled anew then.
  if (error.code == ErrorCode::kIo && session_) session_->say_bye("the node's store failed");
}

void AgentCore::fetch_full(const LedgerId& ledger) {
  if (!session_ || session_->is_closed()) return;
  session_->want({make_want(ledger, ledgers_.at(ledger), /*with_base=*/false)});
}

// --- activation

StoredRelease* AgentCore::find(LedgerRun& run, uint64_t version) {
  const auto found = std::ranges::find(run.releases, version, &StoredRelease::version);
  return found == run.releases.end() ? nullptr : &*found;
}

const StoredRelease* AgentCore::desired(const LedgerRun& run) {
  if (run.releases.empty()) return nullptr;
  if (!run.releases.front().quarantined) return &run.releases.front();
  const auto good = std::ranges::find_if(
      run.releases, [](const StoredRelease& r) { return r.confirmed && !r.quarantined; });
  if (good != run.releases.end()) return &*good;
  // A crash forgets what the PDP had confirmed, not what was verified: the PDP is asked again.
  const auto untried =
      std::ranges::find_if(run.releases, [](const StoredRelease& r) { return !r.quarantined; });
  return untried == run.releases.end() ? nullptr : &*untried;
}

VersionSet AgentCore::known_good() const {
  VersionSet good;
  for (const auto& [ledger, run] : ledgers_) {
    if (const auto active = active_.find(ledger); active != active_.end()) {
      good.emplace(ledger, active->second);
      continue;
    }
    const auto confirmed = std::ranges::find_if(
        run.releases, [](const StoredRelease& r) { return r.confirmed && !r.quarantined; });
    if (confirmed != run.releases.end()) good.emplace(ledger, confirmed->version);
  }
  return good;
}

void AgentCore::try_activation(bool again) {
  VersionSet goal;
  for (const auto& [ledger, run] : ledgers_)
    if (const StoredRelease* release = desired(run)) goal.emplace(ledger, release->version);
  if (isolating_) {
    // One change on top of what is known to work; the next one follows when this is decided.
    VersionSet next = known_good();
    const auto change = std::ranges::find_if(goal, [&](const auto& entry) {
      const auto good = next.find(entry.first);
      return good == next.end() || good->second != entry.second;
    });
    if (change == goal.end())
      isolating_ = false;
    else
      next[change->first] = change->second;
    goal = std::move(next);
  }
  const bool same = attempt_ ? goal == *attempt_ : goal == active_;
  if (goal.empty() || (same && !again)) return;
  attempt_ = goal;
  effects_.push_back(agent_effect::Activate{std::move(goal)});
}

void AgentCore::on_pdp(const VersionSet& versions, const std::optional<Error>& rejected, Now) {
  if (!rejected) return on_activated(versions);
  if (is_store_failure(rejected->code)) return on_unreadable(versions, *rejected);
  // A refusal of what has been superseded says nothing about what is wanted now.
  if (attempt_ && versions == *attempt_) on_rejected(versions, *rejected);
}

void AgentCore::on_activated(const VersionSet& versions) {
  const VersionSet before = std::exchange(active_, versions);
  if (attempt_ && *attempt_ == versions) attempt_.reset();
  for (const auto& [ledger, version] : versions) {
    const auto was = before.find(ledger);
    if (was != before.end() && was->second == version) continue;
    LedgerRun& run = ledgers_.at(ledger);
    if (!run.releases.empty() && run.releases.front().version == version)
      run.stored_report_ms = kNever;
    effects_.push_back(agent_effect::Changed{ledger, version, wire::CommitState::kActive, {}});
    // With a refused newest release both are said, the refusal last: the fleet shows the last word.
    report_ledger(ledger, run);
  }
  try_activation(/*again=*/false);
}

// Damage in the store: nothing of it is activated. The registry has the content, if it can be
// reached.
void AgentCore::on_unreadable(const VersionSet& versions, const Error& error) {
  alarm(error);
  if (attempt_ && versions == *attempt_) attempt_.reset();
  for (const auto& [ledger, version] : versions) {
    ledgers_.at(ledger).damaged = true;
    fetch_full(ledger);
  }
}

void AgentCore::on_rejected(const VersionSet& versions, const Error& error) {
  attempt_.reset();
  const VersionSet good = known_good();
  std::vector<LedgerId> changed;
  for (const auto& [ledger, version] : versions) {
    const auto was = good.find(ledger);
    if (was == good.end() || was->second != version) changed.push_back(ledger);
  }
  if (changed.size() == 1) {
    quarantine(changed.front(), versions.at(changed.front()), error);
  } else if (changed.size() > 1 && !isolating_) {
    isolating_ = true;
  } else {
    // The PDP refuses what it once accepted: there is nothing better to offer. Everyone is told,
    // and the next release is tried when it comes.
    isolating_ = false;
    for (const auto& [ledger, version] : versions)
      report(ledger, version, wire::CommitState::kRejected, &error);
    return alarm(error);
  }
  try_activation(/*again=*/true);
}

void AgentCore::quarantine(const LedgerId& ledger, uint64_t version, const Error& error) {
  LedgerRun& run = ledgers_.at(ledger);
  StoredRelease* release = find(run, version);
  if (!release) return;
  release->quarantined = true;
  release->error = error.message;
  effects_.push_back(agent_effect::Quarantine{ledger, version, error});
  effects_.push_back(
      agent_effect::Changed{ledger, version, wire::CommitState::kRejected, error.message});
  // The registry learns first that the node holds it, then that its PDP refused it: the next delta
  // starts from it.
  if (run.stored_report_ms != kNever) {
    run.stored_report_ms = kNever;
    report(ledger, version, wire::CommitState::kStored, nullptr);
  }
  report(ledger, version, wire::CommitState::kRejected, &error);
}

void AgentCore::alarm(const Error& error) {
  if (std::ranges::find(alarms_, error.message) == alarms_.end()) {
    alarms_.push_back(error.message);
    if (alarms_.size() > kAlarmsKept) alarms_.erase(alarms_.begin());
  }
  effects_.push_back(agent_effect::Alarm{error});
}

AgentStatus AgentCore::status() const {
  AgentStatus status{.connected = session_ && session_->is_welcomed(),
                     .last_error = last_error_,
                     .ledgers = {},
                     .alarms = alarms_};
  for (const auto& [ledger, run] : ledgers_) {
    LedgerStatus row{.ledger = ledger,
                     .stored_version = 0,
                     .active_version = 0,
                     .rejected_version = 0,
                     .error = {},
                     .refusal = run.refusal};
    if (!run.releases.empty()) {
      const StoredRelease& newest = run.releases.front();
      row.stored_version = newest.version;
      if (newest.quarantined) row.rejected_version = newest.version;
      row.error = newest.error;
    }
    if (const auto active = active_.find(ledger); active != active_.end())
      row.active_version = active->second;
    status.ledgers.push_back(std::move(row));
  }
  return status;
}

}  // namespace notp
