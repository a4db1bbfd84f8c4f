// The remains of denied ledgers in a PDP that reads files.
#pragma once

#include "notp-client/pdp/pdp.hpp"

namespace notp::pdp {

// Returns the policies that replace those of denied ledgers, by path in the layout: functions that
// other ledgers call, undefined for every argument. Without them the callers would not compile and
// the PDP would keep deciding with the denied release. Loads nothing if nothing is denied or
// nothing else is left; otherwise slow, because all policies are parsed. Errors of `load` and
// `engine`.
Result<std::map<std::string, Bytes>> stub_functions(const ActiveSet& active,
                                                    const model::BlobLoader& load,
                                                    rego::ModelChecker& engine);

// Returns the Rego version of each policy of a release, from its manifest; 1 without one. Errors of
// `load`.
Result<std::map<std::string, uint8_t>> rego_versions(const model::Tree& tree,
                                                     const model::BlobLoader& load);

}  // namespace notp::pdp
