// A session for requests only, and the requests that several commands make.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tools/notp/command.hpp"
#include "tools/notp/query/release_source.hpp"

namespace notp::cli {

struct QuerySession {
  std::optional<RootChain> chain;  // nullopt: no root is configured
  std::string trust_domain;
  std::unique_ptr<RegistryClient> client;
};
// The trust domain comes from the pinned root or from the settings. kUsage when there is neither.
Result<QuerySession> open_query_session(const Context& context, const Settings& settings);

struct ShownLedgers {
  std::vector<trust::ReleaseRef> heads;
  std::vector<wire::Refusal> damaged;  // present, but cannot be served
};

// The newest `rows_max` releases, as the registry states them: nothing is verified.
Result<std::vector<wire::HistoryRow>> ask_history(RegistryClient& client,
                                                  const model::LedgerId& ledger, uint32_t rows_max);
// Every node that the registry has seen.
Result<std::vector<wire::NodeRow>> ask_nodes(RegistryClient& client);
// Every release that waits for signatures, of one ledger or of all.
Result<std::vector<wire::PendingRow>> ask_pending(RegistryClient& client,
                                                  std::optional<model::LedgerId> ledger);
// Every ledger that may be read here.
Result<ShownLedgers> ask_ledgers(RegistryClient& client);
// What the registry has lost, of all ledgers; the other figures are those of the first answer.
Result<wire::RecoveryStatus> ask_recovery(RegistryClient& client);

// Returns the first line of the message, fit for a table.
std::string first_line(const std::string& message);

}  // namespace notp::cli
