// Reports of this node to the registry: a Commit for each change of a ledger, with the reason why
// the node does not have the newest release. Pure. One thread.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "notp-client/agent/core/agent_trust.hpp"
#include "notp-client/agent/core/local_releases.hpp"
#include "notp-client/agent/core/registry_session.hpp"
#include "notp-client/agent/core/selection.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::agent {

// Reasons why a node cannot take any new release, whatever the ledger. In order of severity: the
// first one that lasts is reported.
enum class NodeTrouble { kStore, kRoot, kFreshness };

class CommitReports {
 public:
  // All arguments outlive this object.
  CommitReports(const LocalReleases& releases, const AgentTrust& trust, RegistryPort& registry);

  // --- the session

  // A Hello names what is stored now.
  void send_hello();
  // A Welcome arrived: the registry is assumed to know what the Hello named, until see_head() or
  // refuse() says otherwise.
  void begin_session();
  void end_session();
  // The registry's newest version is `version`; it would treat a report of a later one as a peer's
  // error.
  void see_head(const model::LedgerId& ledger, uint64_t version);
  // As see_head(), but never lowers the known version.
  void see_offer(const model::LedgerId& ledger, uint64_t version);
  // Whether the registry may be told of this version: it has shown it, or a later one, in this
  // session.
  bool is_shown(const model::LedgerId& ledger, uint64_t version) const {
    return version <= ledgers_.at(ledger).registry_version;
  }
  // The registry vouches for this version. True: in this session it lacked the newest release that
  // is stored here, and has it now, so that reports of it are of use again.
  bool see_listed(const model::LedgerId& ledger, uint64_t version);
  // The registry does not grant this ledger.
  void refuse(const model::LedgerId& ledger, const std::string& why);
  // Empty: the ledger is granted, as far as is known.
  const std::string& refusal(const model::LedgerId& ledger) const {
    return ledgers_.at(ledger).refusal;
  }

  // --- reports

  void report_ledger(const model::LedgerId& ledger);
  void report_all();
  void report(const model::LedgerId& ledger, uint64_t version, wire::CommitState state,
              const Error* error);
  // A release was stored: reports it at the deadline, unless the PDP confirms it before. An
  // embedded PDP confirms within milliseconds; one Commit then reports both.
  void report_stored_later(const model::LedgerId& ledger, TimeMs boot_ms);
  // Sends the report of report_stored_later() now, if it is still due.
  void report_stored_now(const model::LedgerId& ledger, uint64_t version);
  void drop_stored_report(const model::LedgerId& ledger) {
    ledgers_.at(ledger).stored_due_ms = kNever;
  }
  // Boot clock.
  TimeMs next_deadline() const;
  void on_deadline(TimeMs boot_ms);

  // --- what is reported

  // Sets the freshness of the active release as last reported to the registry and the log. False:
  // unchanged.
  bool set_freshness(const model::LedgerId& ledger, std::optional<trust::FreshnessState> state);
  // Sets why the last release that arrived could not be taken; nullopt: it was taken.
  void set_install_error(const model::LedgerId& ledger, std::optional<Error> error);
  // Sets the release that is better than the active one but that other ledgers keep from being
  // activated; nullopt: none. False: unchanged.
  bool set_kept_back(const model::LedgerId& ledger, std::optional<Refused> release);
  const std::optional<Refused>& kept_back(const model::LedgerId& ledger) const {
    return ledgers_.at(ledger).kept_back;
  }
  // Sets why a path is refused; empty: no longer refused. Keeps at most
  // limits::kQuarantinedPathsMax.
  void set_path_quarantine(const model::LedgerId& ledger, const std::string& path,
                           const std::string& reason);
  void clear_path_quarantines(const model::LedgerId& ledger) {
    ledgers_.at(ledger).quarantined_paths.clear();
  }
  const std::map<std::string, std::string>& path_quarantines(const model::LedgerId& ledger) const {
    return ledgers_.at(ledger).quarantined_paths;
  }
  void set_trouble(NodeTrouble trouble, Error error);
  const Error* trouble(NodeTrouble trouble) const;
  // False: it was not set.
  bool clear_trouble(NodeTrouble trouble) { return troubles_.erase(trouble) > 0; }
  // Sets a known reason why the PDP does not answer; empty: none. False: unchanged.
  bool set_pdp_trouble(const std::string& reason);

 private:
  struct LedgerReport {
    std::string refusal;
    uint64_t named_version = UINT64_MAX;  // newest in the last Hello
    uint64_t registry_version = 0;        // highest that the registry has shown in this session
    TimeMs stored_due_ms = kNever;        // boot clock
    std::optional<trust::FreshnessState> last_reported;
    std::optional<Error> install_error;
    std::optional<Refused> kept_back;
    std::map<std::string, std::string> quarantined_paths;  // each with the reason
  };
  std::optional<Error> trouble_of(const LedgerReport& report) const;
  // The error that reports which paths of an active release are currently not evaluated.
  static std::optional<Error> quarantine_error(const LedgerReport& report);

  const LocalReleases& releases_;
  const AgentTrust& trust_;
  RegistryPort& registry_;
  std::map<model::LedgerId, LedgerReport> ledgers_;
  std::map<NodeTrouble, Error> troubles_;
  std::string pdp_trouble_;
};

}  // namespace notp::agent
