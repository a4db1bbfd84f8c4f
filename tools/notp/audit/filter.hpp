// The filters of `notp decisions`, which all its lists share.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "protocol/wire/messages/audit.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/query/reference.hpp"

namespace notp::cli {

class RegistryClient;

struct FilterOptions {
  std::string since, until;
  std::string node, ledger, path, outcome, release;
  std::vector<std::string> values;
  std::string contains;
};
void add_filter_options(CLI::App& command, FilterOptions& options);

// "edge-1", "node/edge-1" or a SPIFFE id; each may end in '*', which covers all that begin so.
// Returns an identity, or a beginning of identities and '*'; empty for "" and "*". kUsage.
Result<std::string> node_pattern(const std::string& text, const std::string& trust_domain);

// Whether a text can be asked for as a decision_id.
bool is_askable_id(std::string_view text);

// Returns the hash of a release that is named by ledger and version.
using FindRelease = std::function<Result<Hash>(const ReleaseReference& reference)>;
// Asks the registry's history. kNotFound.
FindRelease release_finder(RegistryClient& client);

// kUsage for an option that does not parse or is too long, and for a time range that is empty.
Result<wire::DecisionFilter> make_filter(const FilterOptions& options,
                                         const std::string& trust_domain, TimeMs now_ms,
                                         const FindRelease& find_release);

}  // namespace notp::cli
