// Ledgers that must not be decided with: what stays of them in a PDP that reads files.
#pragma once

#include "notp-client/pdp/pdp.hpp"

namespace notp {

// The policies that stand in for those of denied ledgers, by path in the layout: functions that
// other ledgers call, undefined for every argument, without which the callers would not compile
// and the PDP would go on deciding with what is denied. Loads nothing when nothing is denied or
// nothing else is left. Slow otherwise: all policies are parsed. Errors of `load` and `engine`.
Result<std::map<std::string, Bytes>> stub_functions(const ActiveSet& active, const BlobLoader& load,
                                                    rego::ModelChecker& engine);

// The version of Rego of each policy of a release, by its manifest; 1 without one. Errors of
// `load`.
Result<std::map<std::string, uint8_t>> rego_versions(const Tree& tree, const BlobLoader& load);

}  // namespace notp
