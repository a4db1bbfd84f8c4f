#include "notp-client/agent/core/commit_reports.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"

namespace notp::agent {
namespace {

constexpr TimeMs kStoredReportDelayMs = 500;

}  // namespace

CommitReports::CommitReports(const LocalReleases& releases, const AgentTrust& trust,
                             RegistryPort& registry)
    : releases_(releases), trust_(trust), registry_(registry) {
  for (const model::LedgerId& ledger : releases_.ledgers()) ledgers_[ledger];
}

// --- the session

void CommitReports::send_hello() {
  for (auto& [ledger, report] : ledgers_) {
    const store::StoredRelease* newest = releases_.newest(ledger);
    report.named_version = newest ? newest->ref.version : 0;
  }
}

void CommitReports::begin_session() {
  for (auto& [ledger, report] : ledgers_) {
    report.refusal.clear();
    const store::StoredRelease* newest = releases_.newest(ledger);
    report.registry_version = std::min(newest ? newest->ref.version : 0, report.named_version);
  }
}

void CommitReports::end_session() {
  for (auto& [ledger, report] : ledgers_) {
    report.registry_version = 0;
    report.stored_due_ms = kNever;
  }
}

void CommitReports::see_head(const model::LedgerId& ledger, uint64_t version) {
  ledgers_.at(ledger).registry_version = version;
}

void CommitReports::see_offer(const model::LedgerId& ledger, uint64_t version) {
  uint64_t& known = ledgers_.at(ledger).registry_version;
  known = std::max(known, version);
}

bool CommitReports::see_listed(const model::LedgerId& ledger, uint64_t version) {
  LedgerReport& report = ledgers_.at(ledger);
  const store::StoredRelease* newest = releases_.newest(ledger);
  if (!newest || !report.refusal.empty()) return false;
  const uint64_t own = newest->ref.version;
  const bool is_back = report.registry_version < own && own <= version;
  report.registry_version = std::max(report.registry_version, version);
  return is_back;
}

void CommitReports::refuse(const model::LedgerId& ledger, const std::string& why) {
  LedgerReport& report = ledgers_.at(ledger);
  report.refusal = why;
  report.registry_version = 0;
}

// --- reports

void CommitReports::report_ledger(const model::LedgerId& ledger) {
  const LedgerReport& what = ledgers_.at(ledger);
  const DesiredRelease* active = releases_.active(ledger);
  std::optional<Error> error = trouble_of(what);
  if (active && !active->freshness_status.withheld) {
    if (!error) error = quarantine_error(what);
    report(ledger, active->version, wire::CommitState::kActive, error ? &*error : nullptr);
  }
  const store::StoredRelease* newest = releases_.newest(ledger);
  if (!newest) return;
  if (newest->quarantined) {
    const Error refused{
        newest->held ? ErrorCode::kGateHeld : ErrorCode::kPdpRejected, newest->error, {}};
    report(ledger, newest->ref.version, wire::CommitState::kRejected, &refused);
  } else if (what.kept_back) {
    report(ledger, what.kept_back->version, wire::CommitState::kRejected, &what.kept_back->error);
  } else if (!active || active->version != newest->ref.version) {
    if (!pdp_trouble_.empty()) error = Error{ErrorCode::kUnavailable, pdp_trouble_, {}};
    report(ledger, newest->ref.version, wire::CommitState::kStored, error ? &*error : nullptr);
  }
}

void CommitReports::report_all() {
  for (const auto& [ledger, report] : ledgers_) report_ledger(ledger);
}

void CommitReports::report(const model::LedgerId& ledger, uint64_t version, wire::CommitState state,
                           const Error* error) {
  if (version > ledgers_.at(ledger).registry_version) return;
  wire::Commit commit;
  commit.ledger = ledger;
  commit.version = version;
  commit.state = state;
  commit.freshness = releases_.active_freshness(ledger).value_or(trust::FreshnessState::kUntracked);
  if (error) {
    commit.code = static_cast<uint32_t>(error->code);
    commit.message = error->message.substr(0, limits::kErrorTextBytesMax);
  }
  registry_.commit(std::move(commit));
}

void CommitReports::report_stored_later(const model::LedgerId& ledger, TimeMs boot_ms) {
  ledgers_.at(ledger).stored_due_ms = boot_ms + kStoredReportDelayMs;
}

void CommitReports::report_stored_now(const model::LedgerId& ledger, uint64_t version) {
  if (std::exchange(ledgers_.at(ledger).stored_due_ms, kNever) == kNever) return;
  report(ledger, version, wire::CommitState::kStored, nullptr);
}

TimeMs CommitReports::next_deadline() const {
  TimeMs deadline_ms = kNever;
  for (const auto& [ledger, report] : ledgers_)
    deadline_ms = std::min(deadline_ms, report.stored_due_ms);
  return deadline_ms;
}

void CommitReports::on_deadline(TimeMs boot_ms) {
  for (auto& [ledger, what] : ledgers_) {
    if (boot_ms < what.stored_due_ms) continue;
    what.stored_due_ms = kNever;
    if (const store::StoredRelease* newest = releases_.newest(ledger))
      report(ledger, newest->ref.version, wire::CommitState::kStored, nullptr);
  }
}

// --- contents of reports

bool CommitReports::set_freshness(const model::LedgerId& ledger,
                                  std::optional<trust::FreshnessState> state) {
  return std::exchange(ledgers_.at(ledger).last_reported, state) != state;
}

void CommitReports::set_install_error(const model::LedgerId& ledger, std::optional<Error> error) {
  ledgers_.at(ledger).install_error = std::move(error);
}

bool CommitReports::set_kept_back(const model::LedgerId& ledger, std::optional<Refused> release) {
  std::optional<Refused>& before = ledgers_.at(ledger).kept_back;
  const bool is_same = release.has_value() == before.has_value() &&
                       (!release || (before->version == release->version &&
                                     before->error.message == release->error.message));
  if (is_same) return false;
  before = std::move(release);
  return true;
}

void CommitReports::set_path_quarantine(const model::LedgerId& ledger, const std::string& path,
                                        const std::string& reason) {
  auto& paths = ledgers_.at(ledger).quarantined_paths;
  if (reason.empty())
    paths.erase(path);
  else if (paths.contains(path) || paths.size() < limits::kQuarantinedPathsMax)
    paths[path] = reason;
}

void CommitReports::set_trouble(NodeTrouble trouble, Error error) {
  troubles_.insert_or_assign(trouble, std::move(error));
}

const Error* CommitReports::trouble(NodeTrouble trouble) const {
  const auto found = troubles_.find(trouble);
  return found == troubles_.end() ? nullptr : &found->second;
}

bool CommitReports::set_pdp_trouble(const std::string& reason) {
  return std::exchange(pdp_trouble_, reason) != reason;
}

std::optional<Error> CommitReports::trouble_of(const LedgerReport& report) const {
  if (report.install_error) return report.install_error;
  for (const NodeTrouble each : {NodeTrouble::kStore, NodeTrouble::kRoot})
    if (const Error* error = trouble(each)) return *error;
  if (trust_.root_has_expired())
    return Error{ErrorCode::kExpired,
                 fmt::format("root {} has expired by this node's clock, and nothing new is taken",
                             trust_.root().version),
                 {}};
  const Error* freshness = trouble(NodeTrouble::kFreshness);
  return freshness ? std::optional(*freshness) : std::nullopt;
}

std::optional<Error> CommitReports::quarantine_error(const LedgerReport& report) {
  if (report.quarantined_paths.empty()) return std::nullopt;
  std::string message;
  for (const auto& [path, reason] : report.quarantined_paths) {
    if (!message.empty()) message.push_back('\n');
    message.append(path).append(": ").append(reason);
  }
  return Error{ErrorCode::kQuarantined, std::move(message), {}};
}

}  // namespace notp::agent
