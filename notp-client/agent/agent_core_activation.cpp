// The half of AgentCore that chooses what the PDP decides with, and tells how it stands.
#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "notp-client/agent/agent_core.hpp"

// NOTP_PLANTED_…: bugs on demand. A simulation that does not find each of them proves nothing.

namespace notp {
namespace {

constexpr size_t kAlarmsKept = 16;
constexpr size_t kFaultsKept = 16;  // of one ledger, and one for each release that is stored

// What was to be activated could not be read: no word of the PDP about it.
bool is_store_failure(ErrorCode code) {
  return code == ErrorCode::kCorrupt || code == ErrorCode::kNotFound || code == ErrorCode::kIo;
}

// A PDP's findings begin with the file, which lies under its ledger: a line for each.
bool is_blamed(const LedgerId& ledger, std::string_view findings) {
  const std::string prefix = ledger.text() + "/";
  for (size_t at = 0; at < findings.size();) {
    std::string_view line = findings.substr(at, findings.find('\n', at) - at);
    at += line.size() + 1;
    if (line.starts_with('/')) line.remove_prefix(1);
    if (line.starts_with(prefix)) return true;
  }
  return false;
}

}  // namespace

bool same_goal(const Goal& told, const Goal& goal) {
  return std::ranges::equal(told, goal, [](const auto& was, const auto& is) {
    return was.first == is.first && was.second.version == is.second.version &&
           !is_news(was.second.standing, is.second.standing);
  });
}

StoredRelease* AgentCore::find(LedgerRun& run, uint64_t version) {
  const auto found = std::ranges::find(run.releases, version, version_of);
  return found == run.releases.end() ? nullptr : &*found;
}

const StoredRelease* AgentCore::last_good(const LedgerRun& run) {
  const auto good = std::ranges::find_if(run.releases, [&](const StoredRelease& r) {
    return r.confirmed && !r.quarantined && !run.unreadable.contains(r.ref.version);
  });
  return good == run.releases.end() ? nullptr : &*good;
}

std::vector<const StoredRelease*> AgentCore::fit(const LedgerRun& run) {
  std::vector<const StoredRelease*> out;
  if (!run.releases.empty() && !run.releases.front().quarantined)
    out.push_back(&run.releases.front());
  // A crash forgets what the PDP had confirmed, not what was verified: the PDP is asked again.
  for (const bool confirmed : {true, false})
    for (const StoredRelease& release : run.releases)
      if (&release != &run.releases.front() && release.confirmed == confirmed &&
          !release.quarantined && !run.unreadable.contains(release.ref.version))
        out.push_back(&release);
  return out;
}

const Floor& AgentCore::floor(const LedgerId& ledger) const {
  return trust_.trusted().ledgers.at(ledger).floor;
}

Outlook AgentCore::outlook(const LedgerId& ledger, uint64_t version) const {
  const auto& releases = ledgers_.at(ledger).releases;
  const auto found = std::ranges::find(releases, version, version_of);
  return found == releases.end() ? Outlook{} : trust_.outlook(ledger, found->ref.release_hash);
}

std::optional<FreshnessState> AgentCore::active_state(const LedgerId& ledger) const {
  const auto active = active_.find(ledger);
  if (active == active_.end()) return std::nullopt;
  return outlook(ledger, active->second.version).standing.state;
}

Picks AgentCore::picks_of(const Goal& goal) {
  Picks out;
  for (const auto& [ledger, release] : goal)
    out[ledger] = {release.version, release.standing.withheld};
  return out;
}

// With a standing that denies, the PDP accepted the release's roots only.
AgentCore::Versions AgentCore::proven() const {
  Versions out;
  for (const auto& [ledger, release] : active_)
    if (!release.standing.denies()) out.emplace(ledger, release.version);
  return out;
}

AgentCore::Versions AgentCore::known_good() const {
  Versions good = proven();
  for (const auto& [ledger, run] : ledgers_) {
    if (good.contains(ledger)) continue;
    if (const StoredRelease* release = last_good(run)) good.emplace(ledger, release->ref.version);
  }
  return good;
}

LedgerCandidates AgentCore::candidates(const LedgerId& ledger,
                                       const std::vector<const StoredRelease*>& releases) const {
  LedgerCandidates out{ledger, {}};
  for (const StoredRelease* release : releases) {
    const AgentTrust::Scope& scope = trust_.scope(ledger, release->ref.release_hash);
    out.candidates.push_back({release->ref.version, &scope.data_roots, &scope.uses});
  }
  return out;
}

Selection AgentCore::wanted() const {
  std::vector<LedgerCandidates> ledgers;
  for (const LedgerId& ledger : options_.ledgers)
    ledgers.push_back(candidates(ledger, fit(ledgers_.at(ledger))));
  return select_releases(ledgers,
                         [this](const LedgerId& ledger, uint64_t version, const Picks& beside) {
                           return fault_of(ledger, version, beside);
                         });
}

std::optional<Selection> AgentCore::one_change(const Selection& all) const {
  const Versions good = known_good();
  for (const auto& [change, pick] : all.picks) {
    const auto was = good.find(change);
    if (pick.withheld || (was != good.end() && was->second == pick.version)) continue;
    std::vector<LedgerCandidates> ledgers;
    for (const LedgerId& ledger : options_.ledgers) {
      std::vector<const StoredRelease*> releases;
      for (const StoredRelease& release : ledgers_.at(ledger).releases) {
        const auto known = good.find(ledger);
        if (ledger == change && release.ref.version == pick.version)
          releases.insert(releases.begin(), &release);
        else if (known != good.end() && known->second == release.ref.version)
          releases.push_back(&release);
      }
      ledgers.push_back(candidates(ledger, releases));
    }
    Selection next = select_releases(
        ledgers, [this](const LedgerId& ledger, uint64_t version, const Picks& beside) {
          return fault_of(ledger, version, beside);
        });
    // Beside what is known to work it may have no place; another change makes it one.
    const auto picked = next.picks.find(change);
    if (picked == next.picks.end() || picked->second != pick) continue;
    next.refused = all.refused;
    return next;
  }
  return std::nullopt;
}

std::optional<Error> AgentCore::fault_of(const LedgerId& ledger, uint64_t version,
                                         const Picks& beside) const {
  const auto faults = faults_.find(ledger);
  if (faults == faults_.end()) return std::nullopt;
  for (const Fault& fault : faults->second) {
    const bool is_same =
        fault.version == version && std::ranges::all_of(fault.beside, [&](const auto& used) {
          const auto pick = beside.find(used.first);
          return pick != beside.end() && pick->second.version == used.second;
        });
    if (is_same) return fault.error;
  }
  return std::nullopt;
}

Goal AgentCore::goal_of(const Picks& picks) const {
  Goal goal;
  for (const auto& [ledger, pick] : picks) {
    // A PDP may have confirmed what has been dropped since.
    const auto& releases = ledgers_.at(ledger).releases;
    if (std::ranges::find(releases, pick.version, version_of) == releases.end()) continue;
    GoalRelease release{pick.version, outlook(ledger, pick.version).standing};
    release.standing.withheld = pick.withheld;
    goal.emplace(ledger, release);
  }
#ifdef NOTP_PLANTED_SERVE_DENIED
  for (auto& [ledger, release] : goal)
    if (release.standing.denies()) release.standing.state = FreshnessState::kStale;
#endif
  return goal;
}

void AgentCore::try_activation(bool again) {
  Selection selection = wanted();
  if (isolating_) {
    // One change on top of what is known to work; the next one follows when this is decided.
    if (auto next = one_change(selection))
      selection = *std::move(next);
    else
      isolating_ = false;
  }
  tell_refused(selection.refused);
  Goal goal = goal_of(selection.picks);
  const bool is_futile = !again && futile_ && same_goal(*futile_, goal);
  // What cannot be had is not tried again, but time goes on for what the PDP decides with: an older
  // release that has expired meanwhile is denied.
  if (is_futile) goal = goal_of(picks_of(active_));
  if (goal.empty() || (!again && same_goal(attempt_ ? *attempt_ : active_, goal))) return;
  if (is_futile && futile_aged_ && same_goal(*futile_aged_, goal)) return;
  if (!is_futile) futile_.reset();
  attempt_ = goal;
  agent_effect::Activate effect{std::move(goal), {}, trust_.now_ms()};
  for (const auto& [ledger, release] : effect.goal)
    effect.releases.emplace(ledger, *find(ledgers_.at(ledger), release.version));
  effects_.push_back(std::move(effect));
}

void AgentCore::tell_refused(const std::map<LedgerId, Refused>& refused) {
  for (auto& [ledger, run] : ledgers_) {
    const auto found = refused.find(ledger);
    const bool is_refused = found != refused.end();
    if (is_refused == run.beside.has_value() &&
        (!is_refused || (run.beside->version == found->second.version &&
                         run.beside->error.message == found->second.error.message)))
      continue;
    run.beside = is_refused ? std::optional(found->second) : std::nullopt;
    if (is_refused)
      effects_.push_back(agent_effect::Changed{ledger, found->second.version,
                                               wire::CommitState::kRejected,
                                               found->second.error.message});
    report_ledger(ledger, run);
  }
}

void AgentCore::set_futile(const Goal& goal) {
  // With another goal futile before it, this one was what the PDP has, in its present standing.
  const bool is_aged = futile_ && picks_of(goal) == picks_of(active_);
  (is_aged ? futile_aged_ : futile_) = goal;
}

void AgentCore::on_pdp(const Goal& goal, const std::optional<Error>& rejected, Now now) {
  trust_.tick(now);
  if (!rejected)
    on_activated(goal);
  else if (is_store_failure(rejected->code))
    on_unreadable(goal, *rejected);
  // A refusal of what has been superseded says nothing about what is wanted now.
  else if (attempt_ && same_goal(*attempt_, goal))
    on_rejected(goal, *rejected);
  age();
}

void AgentCore::on_path_quarantine(const LedgerId& ledger, const std::string& path,
                                   const std::string& reason, Now now) {
  trust_.tick(now);
  const auto found = ledgers_.find(ledger);
  if (found == ledgers_.end()) return;
  auto& paths = found->second.quarantined_paths;
  if (reason.empty())
    paths.erase(path);
  else if (paths.contains(path) || paths.size() < limits::kQuarantinedPathsMax)
    paths[path] = reason;
  report_ledger(ledger, found->second);
}

void AgentCore::on_pdp_trouble(const std::string& reason, Now now) {
  trust_.tick(now);
  if (std::exchange(pdp_trouble_, reason) == reason) return;
  report_all();
}

std::optional<Error> AgentCore::trouble_of(const LedgerRun& run) const {
  if (run.trouble) return run.trouble;
  if (store_trouble_) return store_trouble_;
  if (root_trouble_) return root_trouble_;
  if (trust_.root_has_expired())
    return Error{ErrorCode::kExpired,
                 fmt::format("root {} has expired by this node's clock, and nothing new is taken",
                             trust_.root().version),
                 {}};
  return freshness_trouble_;
}

// An active release says with it what of it is not decided at the moment.
std::optional<Error> AgentCore::quarantined_paths(const LedgerRun& run) {
  if (run.quarantined_paths.empty()) return std::nullopt;
  std::string message;
  for (const auto& [path, reason] : run.quarantined_paths) {
    if (!message.empty()) message.push_back('\n');
    message.append(path).append(": ").append(reason);
  }
  return Error{ErrorCode::kQuarantined, std::move(message), {}};
}

void AgentCore::on_activated(const Goal& goal) {
  const Goal before = std::exchange(active_, goal);
  if (attempt_ && same_goal(*attempt_, goal)) attempt_.reset();
  for (const auto& [ledger, release] : goal) {
    const auto was = before.find(ledger);
    const bool is_same = was != before.end() && was->second.version == release.version &&
                         was->second.standing.withheld == release.standing.withheld;
    if (is_same || release.standing.withheld) continue;
    LedgerRun& run = ledgers_.at(ledger);
    if (!run.releases.empty() && run.releases.front().ref.version == release.version)
      run.stored_report_ms = kNever;
    effects_.push_back(
        agent_effect::Changed{ledger, release.version, wire::CommitState::kActive, {}});
    run.told = active_state(ledger);
    run.quarantined_paths.clear();
    // With a refused newest release both are said, the refusal last: the fleet shows the last word.
    report_ledger(ledger, run);
  }
  try_activation(/*again=*/false);
}

// The PDP may take its time over a new goal; the registry and the log hear of the age at once.
void AgentCore::age() {
  TimeMs next_ms = kNever;
  for (auto& [ledger, run] : ledgers_) {
    const auto active = active_.find(ledger);
    if (active == active_.end()) continue;
    const Outlook now = outlook(ledger, active->second.version);
    next_ms = std::min(next_ms, now.next_change_ms);
    if (run.told == now.standing.state) continue;
    run.told = now.standing.state;
    effects_.push_back(agent_effect::Aged{ledger, active->second.version, now.standing});
    // What time has taken, neither a clock set back nor a new process gives back.
    if (now.standing.state > FreshnessState::kFresh)
      effects_.push_back(agent_effect::KeepTime{trust_.marks()});
    report_ledger(ledger, run);
  }
  for (const auto& [ledger, pick] : wanted().picks)
    next_ms = std::min(next_ms, outlook(ledger, pick.version).next_change_ms);
  next_ms = std::min(next_ms, watch_root());
  try_activation(/*again=*/false);
  look_again_ms_ = next_ms == kNever ? kNever : trust_.boot_deadline_ms(next_ms);
}

// When to look at it again, in trusted time.
TimeMs AgentCore::watch_root() {
  const Root& root = trust_.root();
  const RootExpiry expiry = root_expiry(root.expires_ms, trust_.now_ms());
  if (std::exchange(root_told_, expiry) != expiry)
    effects_.push_back(agent_effect::RootAged{root, trust_.now_ms()});
  if (expiry == RootExpiry::kExpired)
    alarm_once(root_alarm_,
               Error{ErrorCode::kExpired,
                     fmt::format("root {} has expired: this node goes on with what it has and "
                                 "accepts nothing new until the registry sends a newer root",
                                 root.version),
                     {}});
  return next_root_expiry_ms(root.expires_ms, trust_.now_ms());
}

// With fewer than releases, such that all fail beside the same others would be tried in turn for
// ever.
void AgentCore::keep_fault(const LedgerId& ledger, Fault fault) {
  LedgerRun& run = ledgers_.at(ledger);
  std::deque<Fault>& faults = faults_[ledger];
  std::erase_if(faults, [&](const Fault& each) { return find(run, each.version) == nullptr; });
  faults.push_back(std::move(fault));
  if (faults.size() > std::max(kFaultsKept, run.releases.size())) faults.pop_front();
}

bool AgentCore::blame_users(const Goal& goal, const Error& error) {
  bool any = false;
  for (const auto& [ledger, release] : goal) {
    if (release.standing.denies() || !is_blamed(ledger, error.message)) continue;
    const StoredRelease* stored = find(ledgers_.at(ledger), release.version);
    if (stored == nullptr) continue;
    const auto& uses = trust_.scope(ledger, stored->ref.release_hash).uses;
    if (uses.empty()) continue;
    Fault fault{release.version, {}, error};
    std::string names;
    for (const LedgerUse& use : uses)
      if (const auto used = goal.find(use.ledger); used != goal.end()) {
        fault.beside[use.ledger] = used->second.version;
        names += fmt::format("{}{} v{}", names.empty() ? "" : ", ", use.ledger.text(),
                             used->second.version);
      }
    fault.error = Error(error).in(
        fmt::format("{} v{} does not compile beside {}", ledger.text(), release.version, names));
    keep_fault(ledger, std::move(fault));
    any = true;
  }
  return any;
}

void AgentCore::on_rejected(const Goal& goal, const Error& error) {
  attempt_.reset();
  if (blame_users(goal, error)) return try_activation(/*again=*/true);
  const Versions good = known_good();
  std::vector<LedgerId> changed;
  for (const auto& [ledger, release] : goal) {
    const auto was = good.find(ledger);
    if (release.standing.withheld) continue;
    if (was == good.end() || was->second != release.version) changed.push_back(ledger);
  }
  if (changed.size() == 1) {
    quarantine(changed.front(), goal.at(changed.front()).version, error);
  } else if (changed.size() > 1 && !isolating_) {
    isolating_ = true;
  } else {
    // The PDP refuses what it once accepted: there is nothing better to offer. Everyone is told,
    // and the next release is tried when it comes.
    isolating_ = false;
    set_futile(goal);
    for (const auto& [ledger, release] : goal)
      report(ledger, release.version, wire::CommitState::kRejected, &error);
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

void AgentCore::alarm_once(std::string& raised, const Error& error) {
  const std::string_view what = error_traits(error.code).name;
  if (raised == what) return;
  raised = what;
  alarm(error);
}

AgentStatus AgentCore::status() const {
  AgentStatus status;
  status.connected = session_ && session_->is_welcomed();
  status.last_error = last_error_;
  status.alarms = alarms_;
  status.root_version = trust_.root().version;
  status.root_expires_ms = trust_.root().expires_ms;
  status.freshness_sequence = trust_.trusted().freshness_sequence;
  status.as_of_ms = trust_.now_ms();
  status.as_of_boot_ms = trust_.ticked_at().boot_ms;
  for (const auto& [ledger, run] : ledgers_) status.ledgers.push_back(status_of(ledger, run));
  return status;
}

LedgerStatus AgentCore::status_of(const LedgerId& ledger, const LedgerRun& run) const {
  LedgerStatus row;
  row.ledger = ledger;
  row.refusal = run.refusal;
  row.quarantined_paths = run.quarantined_paths;
  if (!run.releases.empty()) {
    const StoredRelease& newest = run.releases.front();
    row.stored_version = newest.ref.version;
    if (newest.quarantined)
      row.rejected_version = newest.ref.version;
    else if (run.beside)
      row.rejected_version = run.beside->version;
    row.error = newest.quarantined || !run.beside ? newest.error : run.beside->error.message;
  }
  const auto active = active_.find(ledger);
  const bool is_withheld = active != active_.end() && active->second.standing.withheld;
  if (active != active_.end() && !is_withheld) row.active_version = active->second.version;
  const auto to_be = fit(run);
  const uint64_t standing_of =
      row.active_version != 0 || to_be.empty() ? row.active_version : to_be.front()->ref.version;
  const Outlook now = outlook(ledger, standing_of);
  row.standing = now.standing;
  row.standing.withheld = is_withheld;
  row.next_change_ms = now.next_change_ms;
  return row;
}

}  // namespace notp
