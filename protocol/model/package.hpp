// The package of a policy, without an engine.
#pragma once

#include <optional>
#include <string_view>

#include "protocol/model/data.hpp"

namespace notp::model {

// Returns the path below data that `package` names at the start of a module, as OPA's parser reads
// it: `package a.b["c"]` is a/b/c. nullopt when the module does not begin with one, and for clauses
// that OPA may read in another way, or refuse: whatever OPA accepts with another path is nullopt
// here. The rest of the module is not read. Linear in what stands before the end of the clause.
std::optional<DataPath> package_of(std::string_view module);

}  // namespace notp::model
